package ops

import (
	"context"

	"glimpse/cachestore/chunk"

	"lukechampine.com/blake3"
)

// checker compares the chunks that go by with the object's manifest.
type checker struct {
	g        chunk.Geometry
	size     int64
	segments map[int]chunk.Segment

	sum   *blake3.Hasher
	zeros bool // all of the chunk so far
	pos   int64
}

// newChecker loads the manifest of a range; nil where a part of it is missing.
func (s *Service) newChecker(ctx context.Context, o chunk.Object, off, n int64) *checker {
	g := s.cfg.Geometry
	c := &checker{g: g, size: o.Size, segments: map[int]chunk.Segment{}, sum: blake3.New(32, nil), pos: -1}
	total := g.Count(o.Size)
	for i := g.Index(off) / chunk.SegmentChunks; i <= g.Index(off+n-1)/chunk.SegmentChunks; i++ {
		seg, err := s.Segment(ctx, o.Key, i, total)
		if err != nil || seg == nil || !seg.Complete() {
			return nil
		}
		c.segments[i] = seg
	}
	return c
}

// wrong takes the next bytes, which lie within one chunk, and says whether they
// end a chunk that is not the manifest's. A chunk of which only a part goes by is
// not judged.
func (c *checker) wrong(off int64, b []byte) bool {
	index := c.g.Index(off)
	switch {
	case off == c.g.Off(index):
		c.sum.Reset()
		c.zeros = true
	case off != c.pos:
		c.pos = -1
		return false
	}
	_, _ = c.sum.Write(b) // never fails
	c.zeros = c.zeros && chunk.IsZero(b)
	c.pos = off + int64(len(b))
	if c.pos < c.g.Off(index)+c.g.Len(index, c.size) {
		return false
	}
	want, zero, _ := c.segments[index/chunk.SegmentChunks].At(index % chunk.SegmentChunks)
	if zero {
		return !c.zeros
	}
	return chunk.Digest(c.sum.Sum(nil)) != want
}
