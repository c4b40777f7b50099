package inspect

import (
	"bytes"
	"encoding/binary"
)

// The header of LUKS version 1 is big-endian: magic, version (6), start of the
// data in sectors (104), and eight key slots of 48 bytes (208).
const (
	luksHeader   = 592
	luksSlots    = 208
	luksSlotSize = 48
	luksSlotUsed = 0x00ac71f3
)

func (i *Inspector) isLUKS() bool {
	return bytes.HasPrefix(i.head.bytes(), []byte("LUKS\xba\xbe"))
}

func (i *Inspector) followLUKS() {
	if i.isLUKS() {
		i.slots = i.capture(i.head, sector, luksHeader-sector, nil)
	}
}

func (i *Inspector) luks() (Result, bool) {
	if !i.isLUKS() {
		return Result{}, false
	}
	r := Result{Format: "luks", VirtualSize: -1}
	h := append(bytes.Clone(i.head.bytes()), i.slots.bytes()...)
	if len(h) < luksHeader {
		r.Problems = []string{"header: it is cut short"}
		return r, true
	}
	if binary.BigEndian.Uint16(h[6:]) != 1 {
		r.Problems = []string{"version: it is not 1"}
		return r, true
	}
	if start := int64(binary.BigEndian.Uint32(h[104:])) * sector; start <= i.total {
		r.VirtualSize = i.total - start
	}
	if !luksUnlockable(h) {
		r.Problems = []string{"passphrase: no key slot is in use"}
	}
	return r, true
}

func luksUnlockable(h []byte) bool {
	for at := luksSlots; at < luksHeader; at += luksSlotSize {
		if binary.BigEndian.Uint32(h[at:]) == luksSlotUsed {
			return true
		}
	}
	return false
}
