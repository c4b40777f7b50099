package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"glimpse/cachestore/evict"
	"glimpse/cachestore/vfs"
)

// Tier is the disk tier. Its methods may be called from several goroutines.
type Tier struct {
	cfg    Config
	fs     vfs.FS
	root   string
	log    *slog.Logger
	lock   io.Closer
	closed atomic.Bool
	tmp    atomic.Int64
	shards [shards]shard

	polMu sync.Mutex
	pol   *evict.S3FIFO[id]

	space space
	count counters
}

type counters struct {
	evicted, quarantined, writeErrors, chunks atomic.Int64
}

// Stats are the tier's gauges and its counters since Open.
type Stats struct {
	Bytes, Reserved, Limit int64 // taken, promised, allowed at present
	Evicted                int64 // bytes
	Chunks, Quarantined    int64
	WriteErrors            int64
	Degraded, FoundUnclean bool
}

// Stats returns the counters and gauges as they are now.
func (t *Tier) Stats() Stats {
	t.space.mu.Lock()
	defer t.space.mu.Unlock()
	return Stats{
		Bytes: t.space.bytes, Reserved: t.space.reserved, Limit: t.space.limit,
		Evicted: t.count.evicted.Load(), Chunks: t.count.chunks.Load(),
		Quarantined: t.count.quarantined.Load(), WriteErrors: t.count.writeErrors.Load(),
		Degraded: t.space.degraded, FoundUnclean: t.space.unclean,
	}
}

// Bytes returns the bytes on disk and those evicted since Open.
func (t *Tier) Bytes() (resident, evicted int64) {
	s := t.Stats()
	return s.Bytes, s.Evicted
}

func (t *Tier) tmpName() string { return tmpPrefix + strconv.FormatInt(t.tmp.Add(1), 16) }

// Close syncs the file system, marks the folder clean and gives up the lock. The
// caller has ended its writes. Without a marker, after an error, on a disk that
// fails or when ctx is over, every chunk is verified before its first use after the
// next Open. A disk that fails is no error: it was reported when it began to.
func (t *Tier) Close(ctx context.Context) error {
	if t.closed.Swap(true) {
		return nil
	}
	var err error
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case t.Stats().Degraded:
		t.log.Warn("the cache disk fails: it is not marked clean", "path", t.root)
	default:
		err = t.markClean()
	}
	if err != nil {
		err = fmt.Errorf("disk tier not marked clean: %w", err)
	}
	return errors.Join(err, t.lock.Close())
}

func (t *Tier) markClean() error {
	if err := t.fs.SyncFS(t.root); err != nil {
		return err
	}
	f, err := t.fs.Create(filepath.Join(t.root, markerFile))
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(magic))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return t.fs.SyncDir(t.root)
}
