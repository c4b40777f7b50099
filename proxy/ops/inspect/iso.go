package inspect

import (
	"bytes"
	"encoding/binary"
)

// The volume descriptors of ISO 9660 follow a system area of 16 sectors of 2 KiB.
const (
	isoOffset  = 32 << 10
	isoSize    = 2 << 10
	isoPrimary = 1
)

// iso finds ISO 9660, and UDF where its mark comes first.
func (i *Inspector) iso() (Result, bool) {
	d := i.volume.bytes()
	if len(d) < isoSize {
		return Result{}, false
	}
	mark := d[1:6]
	if !bytes.Equal(mark, []byte("CD001")) && !bytes.Equal(mark, []byte("NSR02")) && !bytes.Equal(mark, []byte("NSR03")) {
		return Result{}, false
	}
	r := Result{Format: "iso", VirtualSize: -1}
	if d[0] == isoPrimary {
		blocks, block := binary.LittleEndian.Uint32(d[80:]), binary.LittleEndian.Uint16(d[128:])
		r.VirtualSize = size(uint64(blocks), uint64(block))
	}
	return r, true
}
