package disk

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"

	"glimpse/cachestore/vfs"
)

// recoverWorkers read folders at once: more than there are cores, as a disk whose
// folders are not in memory is waited for.
const recoverWorkers = 8

// recover reads the marker, removes it durably, and lists the folders. It runs
// before the tier is shared.
func (t *Tier) recover(ctx context.Context) error {
	clean, err := t.takeMarker()
	if err != nil {
		return err
	}
	t.space.unclean = !clean
	names, err := t.fs.ReadDir(t.root)
	if err != nil {
		return err
	}
	tops := make(chan string, len(names))
	for _, name := range names {
		if strings.HasPrefix(name, tmpPrefix) {
			_ = t.fs.Remove(filepath.Join(t.root, name))
		} else if len(name) == 2 {
			tops <- name
		}
	}
	close(tops)
	var wg sync.WaitGroup
	for range recoverWorkers {
		wg.Go(func() {
			for top := range tops {
				t.recoverTop(ctx, top, clean)
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	t.enter()
	return nil
}

// takeMarker says whether the last stop was clean. The marker is durably gone
// before anything else is written.
func (t *Tier) takeMarker() (clean bool, err error) {
	marker := filepath.Join(t.root, markerFile)
	b, err := vfs.ReadFile(t.fs, marker, page)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	clean = err == nil && string(b) == magic
	if err := t.fs.Remove(marker); err != nil {
		return false, err
	}
	return clean, t.fs.SyncDir(t.root)
}

// recoverTop reads one of the 256 folders.
func (t *Tier) recoverTop(ctx context.Context, top string, clean bool) {
	names, err := t.fs.ReadDir(filepath.Join(t.root, top))
	if err != nil {
		t.log.Warn("a cache folder can't be read", "folder", top, "error", err)
		return
	}
	for _, name := range names {
		if h, ok := parseHash(name); ok && name[:2] == top && ctx.Err() == nil {
			t.recoverObject(h, clean)
		}
	}
}

// recoverObject lists one folder.
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
	o.chunks = make(map[uint32]entry, len(names))
	for _, name := range names {
		if index, length, gen, ok := parseFileName(name); ok {
			t.recoverChunk(o, dir, name, index, entry{length: length, gen: gen, state: found(clean)})
		} else if name == zerosFile {
			t.recoverZeros(o, dir)
		} else if name == aboutFile {
			t.recoverAbout(o, dir)
		} else if strings.HasPrefix(name, tmpPrefix) {
			_ = t.fs.Remove(filepath.Join(dir, name))
		}
	}
}

// found is the state of a chunk of which only the name has been seen.
func found(clean bool) uint8 {
	if clean {
		return stFound
	}
	return stSuspect
}

// orphaned says whether a folder holds the chunks of an upload that ended with
// its process. Where the key was lost too they go when space is needed.
func (t *Tier) orphaned(dir string) bool {
	keys, err := readKeys(t.fs, dir)
	return err == nil && keys[0].Upload()
}

// recoverChunk notes a file, the youngest of its index; others are removed.
func (t *Tier) recoverChunk(o *object, dir, name string, index uint32, e entry) {
	if e.length == 0 || int64(e.length) > t.cfg.Geometry.Chunk {
		_ = t.fs.Remove(filepath.Join(dir, name))
		return
	}
	o.lastGen = max(o.lastGen, e.gen)
	old, had := o.chunks[index]
	if had && old.gen > e.gen {
		old, e = e, old
	}
	o.chunks[index] = e
	if had {
		_ = t.fs.Remove(filepath.Join(dir, fileName(index, old.length, old.gen)))
	}
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

// enter tells the account and the policy of all that was found, at once.
func (t *Tier) enter() {
	n := 0
	for s := range t.shards {
		for _, o := range t.shards[s].objects {
			n += len(o.chunks)
		}
	}
	t.pol.Grow(n)
	t.count.chunks.Store(int64(n))
	for s := range t.shards {
		for h, o := range t.shards[s].objects {
			for index, e := range o.chunks {
				c := cost(int(e.length))
				t.space.bytes += c
				t.pol.Insert(id{h, index}, c)
			}
		}
	}
}
