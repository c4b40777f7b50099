package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"glimpse/cachestore/evict"
	"glimpse/cachestore/vfs"
)

// Open takes the folder and finds what it holds, by reading folders and the key
// of each object.
// Leftover temporary files and older generations are removed.
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

// recover reads the marker, removes it durably, and lists the folders.
func (t *Tier) recover(ctx context.Context) error {
	marker := filepath.Join(t.root, markerFile)
	b, err := vfs.ReadFile(t.fs, marker, page)
	clean := err == nil && string(b) == magic
	if !errors.Is(err, fs.ErrNotExist) {
		if err := t.fs.Remove(marker); err != nil {
			return err
		}
		if err := t.fs.SyncDir(t.root); err != nil {
			return err
		}
	}
	tops, err := t.fs.ReadDir(t.root)
	if err != nil {
		return err
	}
	t.space.unclean = !clean
	for _, top := range tops {
		if strings.HasPrefix(top, tmpPrefix) {
			_ = t.fs.Remove(filepath.Join(t.root, top))
		}
		if len(top) != 2 {
			continue
		}
		names, err := t.fs.ReadDir(filepath.Join(t.root, top))
		if err != nil {
			t.log.Warn("a cache folder can't be read", "folder", top, "error", err)
			continue
		}
		for _, name := range names {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if h, ok := parseHash(name); ok && name[:2] == top {
				t.recoverObject(h, clean)
			}
		}
	}
	return nil
}

// recoverObject lists one folder. It runs before the tier is shared.
func (t *Tier) recoverObject(h hash, clean bool) {
	dir := h.dir(t.root)
	names, err := t.fs.ReadDir(dir)
	if err != nil {
		t.log.Warn("a cache folder can't be read", "folder", dir, "error", err)
		return
	}
	if t.orphaned(dir) {
		for _, name := range names {
			_ = t.fs.Remove(filepath.Join(dir, name))
		}
		_ = t.fs.Remove(dir)
		return
	}
	o := t.hold(h, true)
	defer t.letGo(o)
	for _, name := range names {
		if name == zerosFile {
			t.recoverZeros(o, dir)
		} else if strings.HasPrefix(name, tmpPrefix) {
			_ = t.fs.Remove(filepath.Join(dir, name))
		} else if index, length, gen, ok := parseFileName(name); ok {
			t.recoverChunk(o, index, entry{length: length, gen: gen}, clean)
		}
	}
}

// orphaned says whether a folder holds the chunks of an upload that ended with
// its process. Where the key was lost too they go when space is needed.
func (t *Tier) orphaned(dir string) bool {
	keys, err := readKeys(t.fs, dir)
	return err == nil && keys[0].Upload()
}

func (t *Tier) recoverChunk(o *object, index uint32, e entry, clean bool) {
	if e.length == 0 || int64(e.length) > t.cfg.Geometry.Chunk {
		_ = t.fs.Remove(filepath.Join(o.h.dir(t.root), fileName(index, e.length, e.gen)))
		return
	}
	if !clean {
		e.state = stSuspect
	}
	o.lastGen = max(o.lastGen, e.gen)
	t.add(o, index, e)
}

func (t *Tier) recoverZeros(o *object, dir string) {
	b, err := vfs.ReadFile(t.fs, filepath.Join(dir, zerosFile), maxZerosLog)
	if err != nil {
		t.log.Warn("a log of zero chunks can't be read", "folder", dir, "error", err)
		return
	}
	o.zeros = map[uint32]struct{}{}
	for _, i := range parseZeros(o.h, b) {
		o.zeros[i] = struct{}{}
	}
}
