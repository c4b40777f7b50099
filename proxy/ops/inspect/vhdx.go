package inspect

import (
	"bytes"
	"encoding/binary"
	"math"
)

// VHDX is little-endian. A table at 192 KiB says where the metadata region is,
// the table there says where the size of the disk stands. Both tables have at
// most 2047 entries of 32 bytes in 64 KiB.
const (
	vhdxRegions   = 192 << 10
	vhdxTableSize = 64 << 10
	vhdxEntrySize = 32
	vhdxEntries   = vhdxTableSize/vhdxEntrySize - 1

	// The ids of the metadata region (8b7ca206-4790-4b9a-b8fe-575f050f886e) and
	// of the size of the disk (2fa54224-cd1b-4876-b211-5dbed83bf4b8) as stored.
	vhdxMetadataID = "\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e"
	vhdxDiskSizeID = "\x24\x42\xa5\x2f\x1b\xcd\x76\x48\xb2\x11\x5d\xbe\xd8\x3b\xf4\xb8"
)

func (i *Inspector) isVHDX() bool { return bytes.HasPrefix(i.head.bytes(), []byte("vhdxfile")) }

func (i *Inspector) followVHDX() {
	if i.isVHDX() {
		i.regions = i.capture(i.head, vhdxRegions, vhdxTableSize, i.followRegions)
	}
}

func (i *Inspector) followRegions() {
	t := i.regions.data
	if !bytes.HasPrefix(t, []byte("regi")) {
		return
	}
	e := vhdxEntry(t[16:], binary.LittleEndian.Uint32(t[8:]), vhdxMetadataID)
	if e == nil {
		return
	}
	if off := binary.LittleEndian.Uint64(e[16:]); off < math.MaxInt64/2 {
		i.metadata = i.capture(i.regions, int64(off), vhdxTableSize, i.followMetadata)
	}
}

func (i *Inspector) followMetadata() {
	t := i.metadata.data
	if !bytes.HasPrefix(t, []byte("metadata")) {
		return
	}
	e := vhdxEntry(t[32:], uint32(binary.LittleEndian.Uint16(t[10:])), vhdxDiskSizeID)
	if e != nil && binary.LittleEndian.Uint32(e[20:]) == 8 {
		i.diskSize = i.capture(i.metadata, i.metadata.off+int64(binary.LittleEndian.Uint32(e[16:])), 8, nil)
	}
}

// vhdxEntry finds an entry by its id; nil if there's none.
func vhdxEntry(entries []byte, count uint32, id string) []byte {
	for n := range min(count, vhdxEntries) {
		if e := entries[n*vhdxEntrySize:][:vhdxEntrySize]; string(e[:16]) == id {
			return e
		}
	}
	return nil
}

func (i *Inspector) vhdx() (Result, bool) {
	if !i.isVHDX() {
		return Result{}, false
	}
	if !i.diskSize.whole() {
		return Result{Format: "vhdx", VirtualSize: -1, Problems: []string{"metadata: the size of the disk is not to be found"}}, true
	}
	return Result{Format: "vhdx", VirtualSize: size(binary.LittleEndian.Uint64(i.diskSize.data), 1)}, true
}
