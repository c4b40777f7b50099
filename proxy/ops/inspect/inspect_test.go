package inspect

import (
	"math"
	"reflect"
	"strings"
	"testing"
)

func look(b []byte) Result {
	i := New()
	_, _ = i.Write(b)
	return i.Finish()
}

func TestEachFormatIsFoundWithTheSizeOfItsDisk(t *testing.T) {
	const gib = 1 << 30
	for name, want := range map[string]Result{
		"empty": {Format: "raw"}, "one byte": {Format: "raw", VirtualSize: 1}, "raw": {Format: "raw", VirtualSize: 100_000},
		"qcow2": {Format: "qcow2", VirtualSize: gib}, "vmdk": {Format: "vmdk", VirtualSize: 1 << 20},
		"vmdk stream": {Format: "vmdk", VirtualSize: 1 << 20}, "vhd": {Format: "vhd", VirtualSize: gib},
		"vhd fixed": {Format: "vhd", VirtualSize: 4096}, "vhdx": {Format: "vhdx", VirtualSize: gib},
		"vdi": {Format: "vdi", VirtualSize: gib}, "iso": {Format: "iso", VirtualSize: 20 * 2048},
		"iso and gpt": {Format: "iso", VirtualSize: 20 * 2048}, "luks": {Format: "luks", VirtualSize: 4096},
		"gpt": {Format: "gpt", VirtualSize: 4096}, "mbr": {Format: "gpt", VirtualSize: 4096},
		"qcow2 and iso": {Format: "qcow2+iso", VirtualSize: -1, Ambiguous: true},
	} {
		if got := look(made()[name]); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

// A client chooses how it cuts the body; it must not choose the answer with it.
func TestTheResultDoesNotDependOnHowTheBytesAreCut(t *testing.T) {
	for name, b := range made() {
		want := look(b)
		for _, n := range []int{1, 7, 511, 512, 513, 4096, 65_537} {
			if n == 1 && len(b) > 1<<20 {
				continue
			}
			i := New()
			for rest := b; len(rest) > 0; {
				k := min(n, len(rest))
				_, _ = i.Write(rest[:k])
				rest = rest[k:]
			}
			if got := i.Finish(); !reflect.DeepEqual(got, want) {
				t.Errorf("%s in pieces of %d: %+v, want %+v", name, n, got, want)
			}
		}
	}
}

func TestSafetyChecksName(t *testing.T) {
	edit := func(b []byte, off int, data string) []byte { return put(b, off, data) }
	desc := func(old, new string) []byte { return madeVMDK(strings.Replace(soundDescriptor, old, new, 1)) }
	for name, c := range map[string]struct {
		file []byte
		want string // the check, or "" for sound
	}{
		"qcow2 v2":                          {madeQcow2(2, 1), ""},
		"qcow2 v2 has no features":          {edit(madeQcow2(2, 1), 72, "\xe2\x79\x2a\xca"), ""},
		"qcow2 dirty, zstd and extended L2": {edit(madeQcow2(3, 1), 79, "\x19"), ""},
		"qcow2 v1":                          {madeQcow2(1, 1), "version"},
		"qcow2 v4":                          {madeQcow2(4, 1), "version"},
		"qcow2 backing file":                {edit(madeQcow2(3, 1), 15, "\x01"), "backing_file"},
		"qcow2 backing file far away":       {edit(madeQcow2(3, 1), 8, "\x80"), "backing_file"},
		"qcow2 data file":                   {edit(madeQcow2(3, 1), 79, "\x04"), "data_file"},
		"qcow2 lowest unknown feature":      {edit(madeQcow2(3, 1), 79, "\x20"), "unknown_features"},
		"qcow2 highest unknown feature":     {edit(madeQcow2(3, 1), 72, "\x80"), "unknown_features"},
		"qcow2 cut in its header":           {madeQcow2(3, 1)[:71], "header"},
		"qcow2 cut in its features":         {madeQcow2(3, 1)[:103], "header"},
		"qed":                               {made()["qed"], "banned"},
		"luks 2":                            {madeLUKS(2), "version"},
		"luks without a key":                {edit(madeLUKS(1), luksSlots+7*luksSlotSize, "\x00\x00\xde\xad"), "passphrase"},
		"luks cut short":                    {madeLUKS(1)[:591], "header"},
		"vhd cut short":                     {vhdFooter(3, 1)[:511], "header"},
		"vhdx of one header":                {madeVHDX(1, 64<<10)[:1<<20], "metadata"},
		"vhdx with its size inside a table": {madeVHDX(1, 64<<10-8), "metadata"},
		"vhdx with a table before its end":  {edit(madeVHDX(1, 64<<10), vhdxRegions+16+32+16, "\x00\x00\x03\x00"), "metadata"},
		"vhdx with a table beyond all":      {edit(madeVHDX(1, 64<<10), vhdxRegions+16+32+16, "\xff\xff\xff\xff\xff\xff\xff\xff"), "metadata"},
		"vhdx with more regions than fit":   {edit(madeVHDX(1, 64<<10), vhdxRegions+8, "\xff\xff\xff\xff"), ""},
		"vhdx without regions":              {edit(madeVHDX(1, 64<<10), vhdxRegions+8, "\x00"), "metadata"},
		"vmdk of text":                      {made()["vmdk text"], "descriptor"},
		"vmdk of text without its comment":  {[]byte("# x\n\nversion=1\ncreateType=\"monolithicFlat\"\n"), "descriptor"},
		"vmdk of old ESX":                   {edit(make([]byte, 600), 0, "COWD"), "version"},
		"vmdk of an unknown version":        {edit(madeVMDK(soundDescriptor), 4, "\x04"), "version"},
		"vmdk cut short":                    {madeVMDK(soundDescriptor)[:100], "header"},
		"vmdk cut in its descriptor":        {madeVMDK(soundDescriptor)[:600], "descriptor"},
		"vmdk without size":                 {edit(madeVMDK(soundDescriptor), 12, "\x00\x00\x00\x00"), "header"},
		"vmdk flat":                         {desc("monolithicSparse", "monolithicFlat"), "descriptor"},
		"vmdk of two createTypes":           {desc("CID=", "createType=\"custom\"\nCID="), "descriptor"},
		"vmdk without createType":           {desc("createType", "kind"), "descriptor"},
		"vmdk extent with a path":           {desc("disk.vmdk", "../disk.vmdk"), "descriptor"},
		"vmdk extent with a Windows path":   {desc("disk.vmdk", `c:\disk.vmdk`), "descriptor"},
		"vmdk extent in another file":       {desc("SPARSE", "FLAT"), "descriptor"},
		"vmdk extent in small letters":      {desc("RW 2048 SPARSE", "rw 2048 sparse"), ""},
		"vmdk with two extents":             {desc("RW 2048", "RW 1 SPARSE \"other\"\nRW 2047"), "descriptor"},
		"vmdk without extents":              {desc("RW 2048", "#RW 2048"), "descriptor"},
		"vmdk with a parent":                {desc("ffffffff", "00000001"), "descriptor"},
		"vmdk with a parent's name":         {desc("CID=", "parentFileNameHint=\"x\"\nCID="), "descriptor"},
		"vmdk with a parent in a comment":   {desc("CID=", "#parentFileNameHint=\"x\"\nCID="), "descriptor"},
		"vmdk with a strange line":          {desc("CID=", "include me\nCID="), "descriptor"},
		"vmdk that isn't text":              {desc("CID=", "#\xc3\xa4\nCID="), "descriptor"},
		"vmdk with text after its end":      {edit(madeVMDK(soundDescriptor), 2*sector, "parent"), "descriptor"},
		"vmdk whose text became shorter":    {madeVMDK(soundDescriptor + "\x00 \"4\"\n"), ""},
		"vmdk with another text's end":      {madeVMDK(soundDescriptor + "\x00 \"5\"\n"), "descriptor"},
		"vmdk with much after its end":      {madeVMDK(soundDescriptor + "\x00ion = \"4\"\n"), "descriptor"},
		"vmdk descriptor elsewhere":         {edit(madeVMDK(soundDescriptor), 28, "\x02"), "descriptor"},
		"vmdk descriptor of no size":        {edit(madeVMDK(soundDescriptor), 36, "\x00"), "descriptor"},
		"vmdk descriptor too large":         {edit(madeVMDK(soundDescriptor), 36, "\x01\x01"), "descriptor"},
		"vmdk descriptor of absurd size":    {edit(madeVMDK(soundDescriptor), 36, "\xff\xff\xff\xff\xff\xff\xff\xff"), "descriptor"},
		"vmdk descriptor that runs on":      {edit(madeVMDK(soundDescriptor+strings.Repeat("#", 512)), 36, "\x01"), "descriptor"},
		"vmdk descriptor without end":       {madeVMDK(soundDescriptor + strings.Repeat("#", 20*sector)), "descriptor"},
		"vmdk footer missing":               {edit(madeVMDK(streamDescriptor), 56, "\xff\xff\xff\xff\xff\xff\xff\xff"), "footer"},
		"vmdk footer larger disk":           {madeStream(func(f []byte) { f[14] = 1 }), "footer"},
		"vmdk footer other descriptor":      {madeStream(func(f []byte) { f[28] = 9 }), "footer"},
		"vmdk footer points on":             {madeStream(func(f []byte) { le.PutUint64(f[56:], math.MaxUint64) }), "footer"},
		"vmdk footer of a plain file": {
			edit(madeStream(func([]byte) {}), sector, strings.Replace(soundDescriptor, "ddb", "#db", 1)), "footer",
		},
		"gpt":                      {madeMBR(protective), ""},
		"mbr":                      {madeMBR(bootable, bootable), ""},
		"mbr empty":                {madeMBR(), "mbr"},
		"mbr with a bad boot flag": {madeMBR(bootable, "\x01"+bootable[1:]), "mbr"},
		"gpt with more partitions": {madeMBR(protective, bootable), "mbr"},
		"gpt from elsewhere (CHS)": {madeMBR("\x00\x00\x01\x00" + protective[4:]), "mbr"},
		"gpt from elsewhere (LBA)": {madeMBR(protective[:8] + "\x02" + protective[9:]), "mbr"},
	} {
		r := look(c.file)
		if c.want == "" && len(r.Problems) == 0 {
			continue
		}
		if len(r.Problems) != 1 || c.want == "" || !strings.HasPrefix(r.Problems[0], c.want+": ") {
			t.Errorf("%s: problems %q, want one of %q", name, r.Problems, c.want)
		}
	}
}

func TestWhatOnlyLooksLikeAFormatIsRaw(t *testing.T) {
	badSum := append(madeMBR(), vhdFooter(2, 4096)...)
	badSum[len(badSum)-1] ^= 1
	for name, b := range map[string][]byte{
		"a FAT boot sector":             put(madeMBR(), 0, "\xeb\x3c\x90mkfs.fat\x00\x02\x04\x01\x00\x02\x00\x02\x00\x00\xf8"),
		"an NTFS boot sector":           put(madeMBR(), 0, "\xeb\x52\x90NTFS    "),
		"a disk cut before its mark":    madeMBR(bootable)[:511],
		"an ISO cut in its descriptor":  madeISO(1)[:isoOffset+isoSize-1],
		"a text":                        []byte("# a comment\nname=value\n"),
		"a footer of a dynamic VHD":     append(make([]byte, 4096), vhdFooter(3, 4096)...),
		"a footer with a wrong sum":     badSum[512:],
		"a text that ends in a version": []byte("version=1"),
	} {
		if r := look(b); r.Format != "raw" || r.VirtualSize != int64(len(b)) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestSizesThatNobodyCanHaveAreUnknown(t *testing.T) {
	for name, b := range map[string][]byte{
		"qcow2": madeQcow2(3, math.MaxUint64), "vdi": madeVDI(1 << 63), "vhd": put(vhdFooter(3, 1<<63), 600, "x"),
		"vmdk": put(madeVMDK(soundDescriptor), 12, "\xff\xff\xff\xff\xff\xff\xff\xff"), "vhdx": madeVHDX(1<<63, 64<<10),
		"iso": put(madeISO(1), isoOffset+128, "\x00\x00"), "luks": put(madeLUKS(1), 104, "\xff"),
	} {
		if r := look(b); r.VirtualSize != -1 || r.Format != name {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestCheckComparesWithTheDeclaredFormat(t *testing.T) {
	backed := put(madeQcow2(3, 1), 8, "\x01")
	for _, c := range []struct {
		name, declared string
		file           []byte
		gpt            bool
		want           string // part of the error
	}{
		{"as declared", "qcow2", madeQcow2(3, 1), false, ""},
		{"unsafe", "qcow2", backed, false, "safety checks of qcow2: backing_file"},
		{"raw for qcow2", "qcow2", make([]byte, 512), false, `declared as "qcow2", but the content is raw`},
		{"a disk for qcow2", "qcow2", madeMBR(bootable), false, `declared as "qcow2", but the content is raw`},
		{"a disk for qcow2, told apart", "qcow2", madeMBR(bootable), true, `declared as "qcow2", but the content is gpt`},
		{"vmdk for vhd", "vhd", madeVMDK(soundDescriptor), false, `declared as "vhd", but the content is vmdk`},
		{"fixed vhd", "vhd", made()["vhd fixed"], false, ""},
		{"qcow2 for raw", "raw", madeQcow2(3, 1), false, ""},
		{"unsafe qcow2 for raw", "raw", backed, false, ""},
		{"a disk for raw", "raw", madeMBR(protective, bootable), false, ""},
		{"a disk for raw, told apart", "raw", madeMBR(protective), true, ""},
		{"gpt", "gpt", madeMBR(protective), true, ""},
		{"unsafe gpt", "gpt", madeMBR(protective, bootable), true, "safety checks of gpt: mbr"},
		{"raw for gpt", "gpt", make([]byte, 512), true, "but the content is raw"},
		{"a kernel", "aki", madeMBR(), false, ""},
		{"a container's disk", "ploop", make([]byte, 512), false, ""},
		{"two formats for one of them", "iso", made()["qcow2 and iso"], false, "more than one format: qcow2+iso"},
		{"two formats for raw", "raw", made()["qcow2 and iso"], false, "more than one format"},
		{"a bootable CD", "iso", made()["iso and gpt"], true, ""},
		{"qed", "qed", made()["qed"], false, "banned"},
	} {
		err := look(c.file).Check(c.declared, c.gpt)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestWhatPassesAsRawIsWarnedOf(t *testing.T) {
	backed := put(madeQcow2(3, 1), 8, "\x01")
	for _, c := range []struct {
		declared string
		file     []byte
		want     string
	}{
		{"raw", make([]byte, 512), ""},
		{"raw", madeMBR(bootable), ""},
		{"qcow2", madeQcow2(3, 1), ""},
		{"raw", madeQcow2(3, 1), `declared as "raw", but the content looks like qcow2`},
		{"ami", backed, `declared as "ami", but the content looks like qcow2 with failed safety checks: backing_file`},
	} {
		if got := look(c.file).Warning(c.declared); c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %q", c.declared, got, c.want)
		}
	}
}

// The bytes of a large image must cost next to nothing once its headers passed.
func TestLaterWritesKeepAndAllocateNothing(t *testing.T) {
	i := New()
	_, _ = i.Write(madeVHDX(1, 64<<10))
	block := make([]byte, 64<<10)
	_, _ = i.Write(block)
	if n := testing.AllocsPerRun(100, func() { _, _ = i.Write(block) }); n != 0 {
		t.Errorf("%v allocations a write", n)
	}
	if len(i.open) != 0 {
		t.Errorf("%d captures still open", len(i.open))
	}
	if n := i.memory(); n > maxMemory {
		t.Errorf("%d bytes kept", n)
	}
}

func (i *Inspector) memory() int {
	n := cap(i.tail.buf)
	for _, c := range []*capture{i.head, i.volume, i.descriptor, i.slots, i.regions, i.metadata, i.diskSize} {
		n += cap(c.bytes())
	}
	return n
}

func BenchmarkWrite(b *testing.B) {
	block := make([]byte, 4<<20)
	i := New()
	b.SetBytes(int64(len(block)))
	for b.Loop() {
		_, _ = i.Write(block)
	}
}
