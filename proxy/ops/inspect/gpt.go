package inspect

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// A partition table has four entries of 16 bytes at 446, before the mark 55 AA
// that ends the sector: boot flag, first CHS address, type, last CHS address,
// first LBA and number of sectors.
const (
	mbrTable      = 446
	mbrEntries    = 4
	mbrEntrySize  = 16
	mbrMark       = 510
	mbrProtective = 0xee // the one entry a GUID partition table shows to older systems
)

// gpt finds a partition table of either kind.
func (i *Inspector) gpt() (Result, bool) {
	h := i.head.bytes()
	if len(h) < sector || h[mbrMark] != 0x55 || h[mbrMark+1] != 0xaa || isVolume(h) {
		return Result{}, false
	}
	return Result{Format: "gpt", VirtualSize: i.total, Problems: mbrProblems(h)}, true
}

// isVolume reports whether this is the boot sector of a file system (FAT, NTFS,
// exFAT), which ends in the same mark but has code where the table would be.
func isVolume(h []byte) bool {
	if h[0] != 0xeb && h[0] != 0xe9 {
		return false
	}
	if name := string(h[3:11]); name == "NTFS    " || name == "EXFAT   " {
		return true
	}
	sectorSize, reserved := binary.LittleEndian.Uint16(h[11:]), binary.LittleEndian.Uint16(h[14:])
	tables, media := h[16], h[21]
	return slices.Contains([]uint16{512, 1024, 2048, 4096}, sectorSize) &&
		reserved > 0 && (tables == 1 || tables == 2) && media >= 0xf0
}

// mbrProblems checks the entries. Those of the classic kind only need sound boot
// flags; a protective one must be alone and as the standard has it.
func mbrProblems(h []byte) (problems []string) {
	var used int
	var protective []byte
	for n := range mbrEntries {
		e := h[mbrTable+n*mbrEntrySize:][:mbrEntrySize]
		if e[0] != 0 && e[0] != 0x80 {
			return []string{"mbr: an entry has an invalid boot flag"}
		}
		if e[4] == 0 {
			continue
		}
		used++
		if e[4] == mbrProtective {
			protective = e
		}
	}
	if used == 0 {
		return []string{"mbr: there is no partition"}
	}
	if protective == nil {
		return nil
	}
	if used > 1 {
		problems = append(problems, "mbr: there are partitions beside the protective one")
	}
	if !bytes.Equal(protective[1:4], []byte{0, 2, 0}) {
		problems = append(problems, "mbr: the protective partition has a wrong first CHS address")
	}
	if binary.LittleEndian.Uint32(protective[8:]) != 1 {
		problems = append(problems, "mbr: the protective partition has a wrong first LBA")
	}
	return problems
}
