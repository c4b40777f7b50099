package inspect

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// The headers here are made by hand from the formats' descriptions, so that each
// test can bend one field.

var (
	le = binary.LittleEndian
	be = binary.BigEndian
)

// put returns b, grown if need be, with data at off.
func put(b []byte, off int, data string) []byte {
	if n := off + len(data); n > len(b) {
		b = append(b, make([]byte, n-len(b))...)
	}
	copy(b[off:], data)
	return b
}

func madeQcow2(version uint32, size uint64) []byte {
	b := put(make([]byte, 1024), 0, "QFI\xfb")
	be.PutUint32(b[4:], version)
	be.PutUint64(b[24:], size)
	return b
}

const soundDescriptor = "# Disk DescriptorFile\nversion=1\nCID=7cf24aa2\nparentCID=ffffffff\ncreateType=\"monolithicSparse\"\n\n" +
	"# Extent description\nRW 2048 SPARSE \"disk.vmdk\"\n\nddb.virtualHWVersion = \"4\"\n"

// streamDescriptor is the same of a file that may have a footer.
var streamDescriptor = strings.Replace(soundDescriptor, "monolithicSparse", "streamOptimized", 1)

func vmdkHead(capacity uint64) []byte {
	b := put(make([]byte, sector), 0, "KDMV")
	le.PutUint32(b[4:], 1)
	le.PutUint64(b[12:], capacity)
	le.PutUint64(b[20:], 128)
	le.PutUint64(b[28:], 1)
	le.PutUint64(b[36:], 20)
	le.PutUint32(b[44:], 512)
	return b
}

func madeVMDK(descriptor string) []byte {
	return put(put(vmdkHead(2048), sector, descriptor), 64<<10, "data")
}

// madeStream is a VMDK written as a stream: bend changes its footer.
func madeStream(bend func(footer []byte)) []byte {
	b := madeVMDK(streamDescriptor)
	le.PutUint64(b[56:], math.MaxUint64)
	footer := vmdkHead(2048)
	le.PutUint64(footer[56:], 64)
	bend(footer)
	b = append(b, make([]byte, sector)...)
	b = append(b, footer...)
	return append(b, make([]byte, sector)...)
}

func vhdFooter(kind uint32, size uint64) []byte {
	b := put(make([]byte, sector), 0, "conectix")
	be.PutUint64(b[40:], size/2) // the size it was made with
	be.PutUint64(b[48:], size)
	be.PutUint32(b[60:], kind)
	var sum uint32
	for _, c := range b {
		sum += uint32(c)
	}
	be.PutUint32(b[64:], ^sum)
	return b
}

func madeVHDX(size uint64, itemAt uint32) []byte {
	b := put(make([]byte, 2<<20+1<<17), 0, "vhdxfile")
	put(b, vhdxRegions, "regi")
	le.PutUint32(b[vhdxRegions+8:], 2)
	put(b, vhdxRegions+16+32, vhdxMetadataID)
	const region = 2 << 20
	le.PutUint64(b[vhdxRegions+16+32+16:], region)
	put(b, region, "metadata")
	le.PutUint16(b[region+10:], 3)
	put(b, region+32+64, vhdxDiskSizeID)
	le.PutUint32(b[region+32+64+16:], itemAt)
	le.PutUint32(b[region+32+64+20:], 8)
	le.PutUint64(b[region+itemAt:], size)
	return b
}

func madeVDI(size uint64) []byte {
	b := put(make([]byte, 1024), 0, "<<< Oracle VM VirtualBox Disk Image >>>\n")
	le.PutUint32(b[0x40:], vdiMagic)
	le.PutUint64(b[0x170:], size)
	return b
}

func madeISO(blocks uint32) []byte {
	b := put(make([]byte, isoOffset+isoSize+512), isoOffset, "\x01CD001\x01")
	le.PutUint32(b[isoOffset+80:], blocks)
	le.PutUint16(b[isoOffset+128:], 2048)
	return b
}

func madeLUKS(version uint16) []byte {
	b := put(make([]byte, 8192), 0, "LUKS\xba\xbe")
	be.PutUint16(b[6:], version)
	be.PutUint32(b[104:], 8)
	be.PutUint32(b[luksSlots+7*luksSlotSize:], luksSlotUsed)
	return b
}

// madeMBR writes entries, each of 16 bytes, into a table.
func madeMBR(entries ...string) []byte {
	b := put(make([]byte, 4096), mbrMark, "\x55\xaa")
	for n, e := range entries {
		put(b, mbrTable+n*mbrEntrySize, e)
	}
	return b
}

const (
	protective = "\x00\x00\x02\x00\xee\xff\xff\xff\x01\x00\x00\x00\xff\xff\xff\xff"
	bootable   = "\x80\x20\x21\x00\x83\xaa\x28\x82\x00\x08\x00\x00\x00\x00\x20\x00"
)

// made is one sound file of each format.
func made() map[string][]byte {
	raw := make([]byte, 100_000)
	for n := range raw {
		raw[n] = byte(n * 7)
	}
	return map[string][]byte{
		"empty": nil, "one byte": {1}, "raw": raw,
		"qcow2": madeQcow2(3, 1<<30), "qed": put(make([]byte, 600), 0, "QED\x00"),
		"vmdk": madeVMDK(soundDescriptor), "vmdk stream": madeStream(func([]byte) {}),
		"vmdk text": []byte(fmt.Sprintf("%-600s", soundDescriptor)),
		"vhd":       put(vhdFooter(3, 1<<30), 4095, "x"), "vhd fixed": append(madeMBR(bootable), vhdFooter(2, 4096)...),
		"vhdx": madeVHDX(1<<30, 64<<10), "vdi": madeVDI(1 << 30), "iso": madeISO(20),
		"iso and gpt": put(madeISO(20), mbrMark, "\x55\xaa"), "luks": madeLUKS(1),
		"gpt": madeMBR(protective), "mbr": madeMBR(bootable),
		"qcow2 and iso": put(madeISO(20), 0, "QFI\xfb"),
	}
}
