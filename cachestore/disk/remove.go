package disk

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"glimpse/cachestore/chunk"
)

// Remove forgets a chunk. Who has it open reads on.
func (t *Tier) Remove(key chunk.Key, index int) { t.discard(hashOf(key), uint32(index), nil) }

// Quarantine takes a chunk whose bytes are bad out of the index and the folder.
// A zero mark goes with the whole log only, see Drop.
func (t *Tier) Quarantine(key chunk.Key, index int) {
	if t.discard(hashOf(key), uint32(index), nil) {
		t.count.quarantined.Add(1)
	}
}

func (t *Tier) quarantine(h hash, index, gen uint32) {
	if t.discard(h, index, &gen) {
		t.count.quarantined.Add(1)
	}
}

// forget drops a chunk whose file is gone.
func (t *Tier) forget(h hash, index, gen uint32) { t.discard(h, index, &gen) }

// discard takes one chunk out, of any generation or of one.
func (t *Tier) discard(h hash, index uint32, gen *uint32) bool {
	o := t.hold(h, false)
	if o == nil {
		return false
	}
	defer t.letGo(o)
	e, ok := o.take(index, gen)
	if !ok {
		return false
	}
	t.polMu.Lock()
	t.pol.Remove(id{h, index})
	t.polMu.Unlock()
	t.unlink(o, index, e)
	return true
}

func (o *object) take(index uint32, gen *uint32) (entry, bool) {
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	e, ok := o.chunks[index]
	if !ok || gen != nil && e.gen != *gen {
		return e, false
	}
	delete(o.chunks, index)
	return e, true
}

func (o *object) indexes() (chunks, zeros []uint32) {
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	return slices.Collect(maps.Keys(o.chunks)), slices.Collect(maps.Keys(o.zeros))
}

// Drop forgets an object: its chunks and its zero marks. Readers read on.
func (t *Tier) Drop(key chunk.Key) {
	h := hashOf(key)
	o := t.hold(h, false)
	if o == nil {
		return
	}
	defer t.letGo(o)
	o.s.mu.Lock()
	o.zeros = nil
	o.s.mu.Unlock()
	_ = t.fs.Remove(filepath.Join(h.dir(t.root), zerosFile)) // mostly there is none
	chunks, _ := o.indexes()
	for _, i := range chunks {
		t.discard(h, i, nil)
	}
}

// Rename gives an object's chunks another key, which names the same bytes. What
// the other key has already stays, and nothing moves to a key that has too many
// names: bytes that are uploaded over and over would get one each time. After an
// error some chunks are under one key and some under the other, each of them right.
// See the package's comment.
func (t *Tier) Rename(from, to chunk.Key) error {
	if from == to {
		return nil
	}
	a := t.hold(hashOf(from), false)
	if a == nil {
		return nil
	}
	defer t.letGo(a)
	b := t.hold(hashOf(to), true)
	defer t.letGo(b)
	if err := t.rename(a, b, from, to); err != nil {
		t.failed(err)
		return fmt.Errorf("rename %s to %s: %w", from, to, err)
	}
	return nil
}

func (t *Tier) rename(a, b *object, from, to chunk.Key) error {
	chunks, zeros := a.indexes()
	moves := slices.ContainsFunc(chunks, func(i uint32) bool { return !b.has(i) })
	if moves {
		err := t.inFolder(b, to, func(string) error { return t.addAlias(to, from) })
		switch {
		case errors.Is(err, errNames):
			moves = false
		case err != nil:
			return err
		}
		chunks, zeros = a.indexes()
	}
	for _, i := range chunks {
		if err := t.move(a, b, i, moves); err != nil {
			return err
		}
	}
	for _, i := range zeros {
		if err := t.MarkZero(to, int(i)); err != nil {
			return err
		}
	}
	if len(zeros) > 0 {
		a.s.mu.Lock()
		a.zeros = nil
		a.s.mu.Unlock()
		_ = t.fs.Remove(filepath.Join(a.h.dir(t.root), zerosFile))
	}
	return nil
}

func (o *object) has(index uint32) bool {
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	_, ok := o.chunks[index]
	return ok
}

// move takes one chunk from a to b, or drops it where b has it or may not have it.
// For a moment neither has it.
func (t *Tier) move(a, b *object, index uint32, may bool) error {
	e, ok := a.take(index, nil)
	if !ok {
		return nil
	}
	t.polMu.Lock()
	t.pol.Remove(id{a.h, index})
	t.polMu.Unlock()
	if !may || b.has(index) {
		t.unlink(a, index, e)
		return nil
	}
	old := filepath.Join(a.h.dir(t.root), fileName(index, e.length, e.gen))
	moved := e
	moved.gen = b.nextGen()
	if err := t.fs.Rename(old, filepath.Join(b.h.dir(t.root), fileName(index, e.length, moved.gen))); err != nil {
		t.unlink(a, index, e)
		return err
	}
	t.account(-cost(int(e.length)), 0) // add counts it again
	t.count.chunks.Add(-1)
	t.add(b, index, moved)
	return nil
}
