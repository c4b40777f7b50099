package chunk

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// SegmentChunks is how many chunks one segment of a manifest covers: 2,048, so
// that a segment is 64 KiB and covers 8 GiB at 4 MiB a chunk.
const SegmentChunks = 2048

// Segment is a run of a manifest in the form in which it is stored: 32 bytes a
// chunk. All zero marks a chunk of zeros, all 0xff one whose digest is not
// known; BLAKE3 gives either with a chance of 2^-256. The last segment of an
// object is as short as its chunks.
type Segment []byte

var unknown = func() (d Digest) {
	for i := range d {
		d[i] = 0xff
	}
	return d
}()

// NewSegment returns a segment of n chunks, none of them known.
func NewSegment(n int) Segment {
	s := make(Segment, n*len(Digest{}))
	for i := range s {
		s[i] = 0xff
	}
	return s
}

// ParseSegment checks b's length against the chunks that the segment numbered
// seg of an object with count chunks must have.
func ParseSegment(b []byte, seg, count int) (Segment, error) {
	want := min(SegmentChunks, count-seg*SegmentChunks)
	if want <= 0 || len(b) != want*len(Digest{}) {
		return nil, fmt.Errorf("manifest segment %d: %d bytes, want %d", seg, len(b), max(want, 0)*len(Digest{}))
	}
	return Segment(b), nil
}

const sealBytes = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Seal returns the segment as it is filed: with a crc32c behind it, so that one
// that was damaged is told from chunks that were.
func (s Segment) Seal() []byte {
	b := append(make([]byte, 0, len(s)+sealBytes), s...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(s, castagnoli))
}

// Unseal is ParseSegment for what was sealed. ErrCorrupt: it was damaged.
func Unseal(b []byte, seg, count int) (Segment, error) {
	n := len(b) - sealBytes
	if n < 0 || crc32.Checksum(b[:n], castagnoli) != binary.LittleEndian.Uint32(b[n:]) {
		return nil, fmt.Errorf("manifest segment %d of %d bytes: %w", seg, len(b), ErrCorrupt)
	}
	return ParseSegment(b[:n], seg, count)
}

// Chunks returns how many chunks the segment covers.
func (s Segment) Chunks() int { return len(s) / len(Digest{}) }

// At returns the digest of the i-th chunk of the segment, whether it is a chunk
// of zeros, and whether anything is known of it.
func (s Segment) At(i int) (d Digest, zero, known bool) {
	copy(d[:], s[i*len(d):])
	return d, d == Digest{}, d != unknown
}

// Set notes a digest.
func (s Segment) Set(i int, d Digest) { copy(s[i*len(d):], d[:]) }

// SetZero notes a chunk of zeros.
func (s Segment) SetZero(i int) { s.Set(i, Digest{}) }

// Complete says whether every chunk of the segment is known.
func (s Segment) Complete() bool {
	for i := range s.Chunks() {
		if _, _, known := s.At(i); !known {
			return false
		}
	}
	return true
}
