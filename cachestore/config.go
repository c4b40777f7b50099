package cachestore

import (
	"context"
	"fmt"
	"log/slog"

	"glimpse/cachestore/chunk"
	"glimpse/cachestore/disk"
)

// Manifests knows the digests of an object's chunks.
type Manifests interface {
	// Segment returns the digests of the seg-th run of chunk.SegmentChunks chunks
	// of an object that has count chunks. A nil Segment with a nil error: none are
	// known. It is called from several goroutines, never twice at once for one
	// segment.
	Segment(ctx context.Context, key chunk.Key, seg, count int) (chunk.Segment, error)
}

// Config is what a Store is made of.
type Config struct {
	Geometry    chunk.Geometry // zero: chunk.Default
	Memory      int64          // bytes of slabs; at least MinSlabs chunks
	Disk        disk.Config    // Size 0: no disk tier
	VerifyOnce  bool           // check a disk chunk at its first use only, then send it by sendfile
	ReadAhead   int            // chunks that a sequential reader asks for before it needs them
	FillStreams int            // streams that one sequential reader fills by at once; 0 counts as 1
	Manifests   Manifests      // may be nil
	// Filled hears of every verified chunk that became resident. It must not
	// block, and may be nil.
	Filled func(o chunk.Object, index int)
	Log    *slog.Logger // nil: discarded
}

// MinSlabs is the least number of chunk buffers a store works with: one that
// only home may use, one more for zone, and one each for a client's fill and for
// what waits for the disk.
const MinSlabs = 4

// minChunk is a page: slabs are cut out of one mapping on page borders.
const minChunk = 4 << 10

func (c Config) withDefaults() Config {
	if c.Geometry == (chunk.Geometry{}) {
		c.Geometry = chunk.Default
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.ReadAhead = max(c.ReadAhead, 0)
	c.FillStreams = max(c.FillStreams, 1)
	return c
}

func (c Config) check() error {
	g := c.Geometry
	if g.Chunk < minChunk || g.Chunk&(g.Chunk-1) != 0 || g.Extent < 1 {
		return fmt.Errorf("cachestore: chunks of %d bytes in extents of %d: want a power of two of at least %d bytes, and 1 chunk", g.Chunk, g.Extent, minChunk)
	}
	if c.Memory/g.Chunk < MinSlabs {
		return fmt.Errorf("cachestore: %d bytes of cache memory are too few: at least %d chunks of %d bytes (%d) are needed", c.Memory, MinSlabs, g.Chunk, MinSlabs*g.Chunk)
	}
	return nil
}
