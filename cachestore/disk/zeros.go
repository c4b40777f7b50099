package disk

import (
	"encoding/binary"
	"path/filepath"

	"glimpse/cachestore/chunk"
)

const (
	zeroRecord  = 12
	maxZerosLog = 64 << 20
)

// zeroMark is the record of one zero chunk: the index, its complement, and a crc
// over the folder's hash and the index, so that a record in the wrong folder or
// of stray bytes says nothing. A mark that is believed wrongly is wrong bytes.
func zeroMark(h hash, index uint32) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, index)
	sum := castagnoli(append(h[:], b...))
	b = le.AppendUint32(b, ^index)
	return le.AppendUint32(b, sum)
}

// parseZeros reads a log. After a torn record it looks for the next one at every
// byte, so later marks are not lost.
func parseZeros(h hash, b []byte) (list []uint32) {
	for len(b) >= zeroRecord {
		index := binary.LittleEndian.Uint32(b)
		if string(zeroMark(h, index)) == string(b[:zeroRecord]) {
			list = append(list, index)
			b = b[zeroRecord:]
			continue
		}
		b = b[1:]
	}
	return list
}

// MarkZero notes that a chunk is all zeros. It needs no file and no reservation.
func (t *Tier) MarkZero(key chunk.Key, index int) error {
	if t.closed.Load() {
		return ErrClosed
	}
	h, i := hashOf(key), uint32(index)
	o := t.hold(h, true)
	defer t.letGo(o)
	if o.isZero(i) {
		return nil
	}
	err := t.inFolder(o, key, func(dir string) error {
		f, err := t.fs.Append(filepath.Join(dir, zerosFile))
		if err != nil {
			return err
		}
		_, err = f.Write(zeroMark(h, i))
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		return err
	})
	if err != nil {
		t.failed(err)
		return err
	}
	o.s.mu.Lock()
	if o.zeros == nil {
		o.zeros = map[uint32]struct{}{}
	}
	o.zeros[i] = struct{}{}
	o.s.mu.Unlock()
	return nil
}
