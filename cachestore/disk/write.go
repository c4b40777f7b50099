package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"glimpse/cachestore/chunk"
)

// Write keeps a chunk, whose space Reserve has promised, in place of an older
// one. It uses the promise up, also when it fails. d is the digest of data.
func (t *Tier) Write(ctx context.Context, key chunk.Key, index int, data []byte, d chunk.Digest) error {
	defer t.Release(len(data))
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if t.closed.Load() {
		return ErrClosed
	}
	if len(data) == 0 || int64(len(data)) > t.cfg.Geometry.Chunk || len(key) > maxKey || index < 0 {
		return fmt.Errorf("write chunk %d of %d bytes: %w", index, len(data), chunk.ErrRange)
	}
	o := t.hold(hashOf(key), true)
	defer t.letGo(o)
	e := entry{length: uint32(len(data)), gen: o.nextGen(), known: true, digest: d}
	end := trailer{key: key, index: index, length: len(data), digest: d, crcs: blockCRCs(data)}.encode()
	err := t.inFolder(o, key, func(dir string) error {
		return t.writeFile(dir, fileName(uint32(index), e.length, e.gen), data, end)
	})
	if err != nil {
		t.failed(err)
		return fmt.Errorf("write chunk %d of %s: %w", index, key, err)
	}
	t.add(o, uint32(index), e)
	return nil
}

func (o *object) nextGen() uint32 {
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	o.lastGen++
	return o.lastGen
}

// inFolder calls fn with the object's folder, which it makes first if needed,
// also when someone else has removed it.
func (t *Tier) inFolder(o *object, key chunk.Key, fn func(dir string) error) error {
	dir := o.h.dir(t.root)
	o.s.mu.Lock()
	made := o.made
	o.s.mu.Unlock()
	if made {
		if err := fn(dir); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := t.fs.MkdirAll(dir); err != nil {
		return err
	}
	if keys, err := readKeys(t.fs, dir); err != nil || keys[0] != key {
		if err := t.writeKeys(dir, []chunk.Key{key}, false); err != nil {
			return err
		}
	}
	o.s.mu.Lock()
	o.made = true
	o.s.mu.Unlock()
	return fn(dir)
}

func (t *Tier) writeFile(dir, name string, data, end []byte) error {
	tmp := filepath.Join(dir, t.tmpName())
	f, err := t.fs.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		_, err = f.Write(end)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = t.fs.Rename(tmp, filepath.Join(dir, name))
	}
	if err != nil {
		_ = t.fs.Remove(tmp) // else the next Open removes it
	}
	return err
}

// add puts a written chunk in the index unless a younger one is there.
func (t *Tier) add(o *object, index uint32, e entry) {
	o.s.mu.Lock()
	old, had := o.chunks[index]
	if had && old.gen > e.gen {
		old, had = e, true
	} else {
		o.chunks[index] = e
	}
	o.s.mu.Unlock()
	t.account(cost(int(e.length)), 0)
	t.count.chunks.Add(1)
	t.polMu.Lock()
	t.pol.Insert(id{o.h, index}, cost(int(e.length)))
	t.polMu.Unlock()
	if had {
		t.unlink(o, index, old)
	}
}

// unlink removes the file of a chunk that is out of the index, and gives its
// bytes back once nobody has it open. The object is held.
func (t *Tier) unlink(o *object, index uint32, e entry) {
	name := filepath.Join(o.h.dir(t.root), fileName(index, e.length, e.gen))
	if err := t.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.failed(err)
	}
	t.count.chunks.Add(-1)
	t.space.mu.Lock()
	defer t.space.mu.Unlock()
	if e.pin != nil && e.pin.n > 0 {
		e.pin.gone = true
		return
	}
	t.space.bytes -= cost(int(e.length))
}
