package inspect

import (
	"bytes"
	"encoding/binary"
)

// The header of qcow2 is big-endian: magic, version, offset of the backing
// file's name (8), size of the disk (24), and from version 3 on the bits a
// reader must understand (72).
const (
	qcow2Header     = 72
	qcow2V3Header   = 104
	qcow2DataFile   = 1 << 2   // the data lie in another file
	qcow2Understood = 1<<5 - 1 // dirty, corrupt, data file, compression type, extended L2
)

func (i *Inspector) qcow2() (Result, bool) {
	h := i.head.bytes()
	if !bytes.HasPrefix(h, []byte("QFI\xfb")) {
		return Result{}, false
	}
	r := Result{Format: "qcow2", VirtualSize: -1}
	if len(h) < qcow2Header {
		r.Problems = []string{"header: it is cut short"}
		return r, true
	}
	r.VirtualSize = size(binary.BigEndian.Uint64(h[24:]), 1)
	if binary.BigEndian.Uint64(h[8:]) != 0 {
		r.Problems = append(r.Problems, "backing_file: the image has a backing file")
	}
	switch binary.BigEndian.Uint32(h[4:]) {
	case 2:
	case 3:
		r.Problems = append(r.Problems, qcow2Features(h)...)
	default:
		r.Problems = append(r.Problems, "version: neither 2 nor 3")
	}
	return r, true
}

func qcow2Features(h []byte) (problems []string) {
	if len(h) < qcow2V3Header {
		return []string{"header: it is cut short"}
	}
	features := binary.BigEndian.Uint64(h[72:])
	if features&qcow2DataFile != 0 {
		problems = append(problems, "data_file: the data lie in another file")
	}
	if features&^qcow2Understood != 0 {
		problems = append(problems, "unknown_features: the image needs features unknown here")
	}
	return problems
}

// qed is found so that it can be refused: no one maintains it.
func (i *Inspector) qed() (Result, bool) {
	ok := bytes.HasPrefix(i.head.bytes(), []byte("QED\x00"))
	return Result{Format: "qed", VirtualSize: -1, Problems: []string{"banned: this format is not allowed"}}, ok
}
