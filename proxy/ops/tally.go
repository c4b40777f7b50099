package ops

import (
	"hash"

	"glimpse/cachestore/chunk"

	"lukechampine.com/blake3"
)

// tally computes all that is learned of an object's bytes, written to it in
// order: its hashes, and the manifest.
type tally struct {
	chunk    int64
	sums     map[string]hash.Hash
	manifest []chunk.Segment

	size int64
	part piecewise // of the chunk that came in part
}

// newTally makes one for an object of count chunks. Names of algorithms that are
// not known are left out.
func newTally(g chunk.Geometry, count int, algos ...string) *tally {
	t := &tally{chunk: g.Chunk, sums: map[string]hash.Hash{}}
	for _, a := range algos {
		if hashes[a] != nil {
			t.sums[a] = hashes[a]()
		}
	}
	for left := count; left > 0; left -= chunk.SegmentChunks {
		t.manifest = append(t.manifest, chunk.NewSegment(min(left, chunk.SegmentChunks)))
	}
	return t
}

// Write never fails; bytes beyond the last chunk are hashed, and seen in size.
func (t *tally) Write(b []byte) (int, error) {
	for _, h := range t.sums {
		h.Write(b)
	}
	n := len(b)
	for len(b) > 0 {
		k := min(t.chunk-t.size%t.chunk, int64(len(b)))
		t.digest(b[:k])
		b = b[k:]
	}
	return n, nil
}

// digest takes bytes of one chunk.
func (t *tally) digest(b []byte) {
	if t.part.sum == nil {
		t.part = piecewise{sum: blake3.New(len(chunk.Digest{}), nil)}
	}
	_, _ = t.part.sum.Write(b)
	t.part.data = t.part.data || !chunk.IsZero(b)
	t.size += int64(len(b))
	if t.size%t.chunk == 0 {
		t.note()
	}
}

// end notes the last chunk, which may be short.
func (t *tally) end() {
	if t.part.sum != nil {
		t.note()
	}
}

func (t *tally) note() {
	index := int((t.size - 1) / t.chunk)
	seg, i := index/chunk.SegmentChunks, index%chunk.SegmentChunks
	if seg < len(t.manifest) && i < len(t.manifest[seg])/len(chunk.Digest{}) {
		if t.part.data {
			var d chunk.Digest
			t.part.sum.Sum(d[:0])
			t.manifest[seg].Set(i, d)
		} else {
			t.manifest[seg].SetZero(i)
		}
	}
	t.part.sum = nil
}

// sum returns the hex of a hash; "" where it was not computed.
func (t *tally) sum(algo string) string {
	if h := t.sums[algo]; h != nil {
		return hexSum(h)
	}
	return ""
}

// sealed returns the manifest as it is filed.
func (t *tally) sealed() [][]byte {
	segments := make([][]byte, len(t.manifest))
	for i, seg := range t.manifest {
		segments[i] = seg.Seal()
	}
	return segments
}
