package inspect

import "encoding/binary"

const vdiMagic = 0xbeda107f

// vdi has its magic number behind a line of text (0x40) and the size of the disk
// at 0x170, little-endian.
func (i *Inspector) vdi() (Result, bool) {
	h := i.head.bytes()
	if len(h) < sector || binary.LittleEndian.Uint32(h[0x40:]) != vdiMagic {
		return Result{}, false
	}
	return Result{Format: "vdi", VirtualSize: size(binary.LittleEndian.Uint64(h[0x170:]), 1)}, true
}
