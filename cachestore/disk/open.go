package disk

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"glimpse/cachestore/evict"
)

// Open takes the folder and finds what it holds, by reading folders and the key
// of each object. Leftover temporary files and older generations are removed.
func Open(ctx context.Context, c Config) (*Tier, error) {
	c = c.withDefaults()
	t := &Tier{cfg: c, fs: c.FS, root: c.Path, log: c.Log, pol: evict.NewS3FIFO[id](0)}
	for i := range t.shards {
		t.shards[i].objects = map[hash]*object{}
	}
	if err := t.fs.MkdirAll(t.root); err != nil {
		return nil, fmt.Errorf("open disk tier: %w", err)
	}
	lock, err := t.fs.Lock(filepath.Join(t.root, lockFile))
	if err != nil {
		return nil, fmt.Errorf("open disk tier: %w", err)
	}
	t.lock = lock
	if err := t.recover(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open disk tier %s: %w", t.root, err), lock.Close())
	}
	t.measure()
	return t, nil
}
