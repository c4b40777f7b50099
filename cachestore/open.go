package cachestore

import (
	"context"
	"errors"
	"fmt"

	"glimpse/cachestore/chunk"
	"glimpse/cachestore/disk"
	"glimpse/cachestore/evict"
)

// Open returns a store, with what its disk still holds. It fails when the memory
// is too small to work with (MinSlabs) or the disk tier can't be opened.
func Open(ctx context.Context, c Config) (*Store, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	var t tier
	if c.Disk.Size > 0 {
		c.Disk.Geometry = c.Geometry
		if c.Disk.Log == nil {
			c.Disk.Log = c.Log
		}
		d, err := disk.Open(ctx, c.Disk)
		if err != nil {
			return nil, fmt.Errorf("cachestore: %w", err)
		}
		t = diskTier{d}
	}
	s, err := open(c, evict.NewS3FIFO[id](evict.DefaultSmall), t)
	if err != nil && t != nil {
		err = errors.Join(err, t.Close(ctx))
	}
	return s, err
}

// diskTier is the disk tier as the engine sees it.
type diskTier struct{ *disk.Tier }

func (t diskTier) Read(ctx context.Context, key chunk.Key, index int) (diskChunk, error) {
	return t.Tier.Read(ctx, key, index)
}

func isMiss(err error) bool { return errors.Is(err, disk.ErrMiss) }
