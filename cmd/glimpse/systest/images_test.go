package systest

import (
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"testing"

	"glimpse/cmd/testenv"
)

// sample is a real image in a file.
type sample struct {
	file, format string
	virtual      int64 // 0: not asked
}

// samples makes real images: a bootable ISO and a file system, and what qemu-img
// turns them into.
func samples(t *testing.T) map[string]sample {
	t.Helper()
	testenv.Need(t, "qemu-img", "mke2fs")
	testenv.NeedFile(t, isoFile)
	dir := t.TempDir()
	raw := filepath.Join(dir, "ext4.raw")
	tree := filepath.Join(dir, "tree")
	must(t, os.MkdirAll(filepath.Join(tree, "boot"), 0o755))
	random(t, filepath.Join(tree, "boot", "initrd"), 20<<20)
	testenv.Run(t, nil, "/sbin/mke2fs", "-q", "-t", "ext4", "-d", tree, raw, "64M")
	iso := stat(t, isoFile)
	found := map[string]sample{
		"iso": {isoFile, "iso", 0}, "raw": {raw, "raw", 64 << 20},
	}
	for name, c := range map[string]struct {
		from string
		opts []string
		size int64
	}{
		"qcow2":                {raw, []string{"-O", "qcow2"}, 64 << 20},
		"qcow2 of the iso":     {isoFile, []string{"-O", "qcow2"}, iso},
		"vmdk":                 {raw, []string{"-O", "vmdk"}, 64 << 20},
		"vmdk streamOptimized": {isoFile, []string{"-O", "vmdk", "-o", "subformat=streamOptimized"}, iso},
	} {
		out := filepath.Join(dir, name)
		testenv.Run(t, nil, "qemu-img", append(append([]string{"convert", "-f", "raw"}, c.opts...), c.from, out)...)
		found[name] = sample{out, c.opts[1], (c.size + 511) / 512 * 512}
	}
	return found
}

const isoFile = "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"

func stat(t *testing.T, file string) int64 {
	t.Helper()
	st, err := os.Stat(file)
	must(t, err)
	return st.Size()
}

// random writes n bytes that no chunk of zeros is among.
func random(t *testing.T, file string, n int64) {
	t.Helper()
	f, err := os.Create(file)
	must(t, err)
	_, err = io.CopyN(f, rand.Reader, n)
	must(t, err)
	must(t, f.Close())
}

// Each real image comes back byte for byte: cold, warm from memory, warm from
// disk, after a restart and after kill -9.
func TestRealImagesComeBackByteForByte(t *testing.T) {
	files := samples(t)
	n := testenv.Glimpse(t, "stores.main.cache=on")
	a := on(t, n.API)
	ids := map[string]string{}
	for name, s := range files {
		ids[name] = a.create(name, s.format)
		a.upload(ids[name], s.file)
		v := a.show(ids[name])
		if v["status"] != "active" || v["size"] != float64(stat(t, s.file)) || v["os_hash_value"] != sha(t, s.file) {
			t.Errorf("%s: %v", name, v)
		}
		if s.virtual > 0 && v["virtual_size"] != float64(s.virtual) {
			t.Errorf("%s: virtual size %v, want %d", name, v["virtual_size"], s.virtual)
		}
	}
	all := func(how string) {
		for name, s := range files {
			t.Run(how+" "+name, func(t *testing.T) {
				a.t = t
				a.same(ids[name], s.file)
			})
		}
		a.t = t
	}
	origin := func() float64 { return metric(t, n, `glimpse_origin_read_bytes_total{for="fill",store="main"}`) }
	all("after the upload")
	n.Stop()
	n.Start()
	all("after a restart, warm from disk")
	if metric(t, n, `glimpse_sent_bytes_total{tier="disk"}`) == 0 || origin() != 0 {
		t.Errorf("the disk tier was not asked: %v bytes of the origin", origin())
	}
	n.Stop()
	must(t, os.RemoveAll(filepath.Join(n.Dir, "cache")))
	n.Start()
	all("cold")
	cold := origin()
	if cold == 0 {
		t.Error("cold, but the origin was not read")
	}
	all("warm from memory")
	if again := origin(); again != cold {
		t.Errorf("warm, and yet %v bytes more of the origin", again-cold)
	}
	n.Kill()
	n.Start()
	all("after kill -9")
}

// A range of a large sparse image: 10 GiB, 100 MiB of it data.
func TestASparseImageOfTenGiB(t *testing.T) {
	testenv.Need(t, "curl")
	file := filepath.Join(t.TempDir(), "sparse")
	f, err := os.Create(file)
	must(t, err)
	must(t, f.Truncate(10<<30))
	for i := range int64(10) {
		_, err := f.Seek(i<<30+i*1000, io.SeekStart)
		must(t, err)
		_, err = io.CopyN(f, rand.Reader, 10<<20)
		must(t, err)
	}
	must(t, f.Close())
	n := testenv.Glimpse(t, "stores.main.thin_provisioning=true", "stores.main.cache=on")
	a := on(t, n.API)
	id := a.create("sparse", "raw")
	testenv.Run(t, nil, "curl", "--fail", "-sS", "-T", file, "-H", "Content-Type: application/octet-stream", n.URL("/v2/images/"+id+"/file"))
	n.Stop()
	must(t, os.RemoveAll(filepath.Join(n.Dir, "cache")))
	n.Start()
	for _, off := range []int64{0, 1<<30 + 1000, 5<<30 + 5000 + 9<<20, 10<<30 - 1<<20} {
		want := make([]byte, 1<<20)
		f, err := os.Open(file)
		must(t, err)
		_, err = f.ReadAt(want, off)
		must(t, err)
		must(t, f.Close())
		got := rangeOf(a, id, off, 1<<20)
		if string(got) != string(want) {
			t.Errorf("other bytes from %d", off)
		}
	}
	testenv.Run(t, nil, "curl", "--fail", "-sS", "-o", file+".back", n.URL("/v2/images/"+id+"/file"))
	testenv.Run(t, nil, "cmp", file, file+".back")
}

func rangeOf(a api, id string, off, n int64) []byte {
	a.t.Helper()
	resp := a.do("GET", "/v2/images/"+id+"/file", nil, "Range", rangeHeader(off, n))
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(a.t, err)
	if resp.StatusCode != 206 {
		a.t.Fatalf("%s %s", resp.Status, b)
	}
	return b
}
