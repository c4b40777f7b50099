package inspect

import (
	"slices"
	"strings"
)

const (
	sector   = 512
	tailSize = 3 * sector // a VMDK ends in a footer marker, a footer and an end marker

	// maxMemory is the most bytes an Inspector captures: the longest chain is
	// that of VMDK (maxDescriptor) or VHDX (two tables of 64 KiB).
	maxMemory = 144 << 10
)

// Inspector is an io.Writer that looks at what is written to it.
type Inspector struct {
	total int64
	open  []*capture // those that still want bytes
	tail  tail

	head, volume *capture // always: the first sector, the volume descriptor of a CD

	descriptor *capture // VMDK
	slots      *capture // LUKS
	regions    *capture // VHDX: region table, metadata table, size of the disk
	metadata   *capture
	diskSize   *capture
}

// New returns an Inspector that has seen nothing.
func New() *Inspector {
	i := &Inspector{}
	i.head = i.capture(nil, 0, sector, i.follow)
	i.volume = i.capture(nil, isoOffset, isoSize, nil)
	return i
}

// Write looks at the next bytes. It takes them all and never fails; it doesn't
// keep p.
func (i *Inspector) Write(p []byte) (int, error) {
	for k := 0; k < len(i.open); k++ { // grows under way
		if c := i.open[k]; c.take(p, i.total) && c.then != nil {
			c.then()
		}
	}
	i.open = slices.DeleteFunc(i.open, (*capture).whole)
	i.tail.write(p)
	i.total += int64(len(p))
	return len(p), nil
}

// follow asks for what the first sector points to.
func (i *Inspector) follow() {
	i.followVMDK()
	i.followLUKS()
	i.followVHDX()
}

// Finish says what the bytes written so far are.
func (i *Inspector) Finish() Result {
	var found []Result
	for _, probe := range []func() (Result, bool){
		i.qcow2, i.qed, i.vmdk, i.vhd, i.vhdx, i.vdi, i.luks, i.iso, i.gpt,
	} {
		if r, ok := probe(); ok {
			found = append(found, r)
		}
	}
	return i.settle(found)
}

// settle chooses among the formats that match. A bootable CD carries a partition
// table as well, and so does the disk in a fixed VHD, whose footer counts only
// where nothing else is found.
func (i *Inspector) settle(found []Result) Result {
	if len(found) == 0 || len(found) == 1 && found[0].Format == "gpt" {
		if r, ok := i.fixedVHD(); ok {
			return r
		}
	}
	if len(found) == 2 && found[0].Format == "iso" && found[1].Format == "gpt" {
		found = found[:1]
	}
	switch len(found) {
	case 0:
		return Result{Format: "raw", VirtualSize: i.total}
	case 1:
		return found[0]
	}
	names := make([]string, len(found))
	for k, r := range found {
		names[k] = r.Format
	}
	return Result{Format: strings.Join(names, "+"), VirtualSize: -1, Ambiguous: true}
}
