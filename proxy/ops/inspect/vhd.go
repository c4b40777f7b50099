package inspect

import (
	"bytes"
	"encoding/binary"
)

// The footer of VHD is big-endian: "conectix", size of the disk (48), kind (60)
// and checksum (64). Dynamic disks have a copy of it at their start.
const (
	vhdKindFixed = 2
	vhdChecksum  = 64
)

func (i *Inspector) vhd() (Result, bool) {
	h := i.head.bytes()
	if !isVHD(h) {
		return Result{}, false
	}
	if len(h) < sector {
		return Result{Format: "vhd", VirtualSize: -1, Problems: []string{"header: it is cut short"}}, true
	}
	return Result{Format: "vhd", VirtualSize: vhdSize(h)}, true
}

// fixedVHD finds a disk that is raw but for the footer behind it.
func (i *Inspector) fixedVHD() (Result, bool) {
	f := i.tail.last(sector)
	if len(f) < sector || !isVHD(f) || binary.BigEndian.Uint32(f[60:]) != vhdKindFixed || !vhdSumFits(f) {
		return Result{}, false
	}
	return Result{Format: "vhd", VirtualSize: vhdSize(f)}, true
}

func isVHD(b []byte) bool { return bytes.HasPrefix(b, []byte("conectix")) }

func vhdSize(f []byte) int64 { return size(binary.BigEndian.Uint64(f[48:]), 1) }

// vhdSumFits compares the checksum: the complement of the sum of all other bytes.
func vhdSumFits(f []byte) bool {
	var sum uint32
	for n, b := range f[:sector] {
		if n < vhdChecksum || n >= vhdChecksum+4 {
			sum += uint32(b)
		}
	}
	return ^sum == binary.BigEndian.Uint32(f[vhdChecksum:])
}
