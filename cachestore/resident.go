package cachestore

import (
	"context"
	"errors"

	"glimpse/cachestore/chunk"
)

// name is the id of a chunk under the name that its object has now.
func (s *Store) name(o chunk.Object, index int) id {
	s.names.RLock()
	defer s.names.RUnlock()
	return s.resolve(id{o.Key, index})
}

// resolve must be called with names held.
func (s *Store) resolve(k id) id {
	k.key = s.aliases.get(k.key)
	return k
}

// has says, without I/O, whether a chunk is resident. It must be called with
// names held.
func (s *Store) has(k id) bool {
	if s.mem.has(k) {
		return true
	}
	if _, zero, known, _ := s.ledger.expected(k); known && zero {
		return true
	}
	if s.disk == nil {
		return false
	}
	for _, key := range s.aliases.onDisk(k.key) {
		if _, _, _, ok := s.disk.t.Has(key, k.index); ok {
			return true
		}
	}
	return false
}

// Resident says, without I/O, whether a chunk is here.
func (s *Store) Resident(o chunk.Object, index int) bool {
	s.names.RLock()
	defer s.names.RUnlock()
	return s.has(s.resolve(id{o.Key, index}))
}

// onDiskAs lists the names under which the disk may have an object's chunks.
func (s *Store) onDiskAs(key chunk.Key) []chunk.Key {
	s.names.RLock()
	defer s.names.RUnlock()
	return s.aliases.onDisk(key)
}

// resident finds a chunk in memory, among the zeros or on disk.
func (s *Store) resident(ctx context.Context, o chunk.Object, index int) (found, bool, error) {
	k := s.name(o, index)
	if e := s.mem.pin(k); e != nil {
		return found{e: e}, true, nil
	}
	if _, zero, known, _ := s.ledger.expected(k); known && zero {
		return found{zero: true}, true, nil
	}
	if s.disk == nil {
		return found{}, false, nil
	}
	var at found
	var ok bool
	for _, key := range s.onDiskAs(k.key) {
		if at, ok = s.onDisk(ctx, o, k, key); ok {
			break
		}
	}
	if ctx.Err() != nil {
		at.release(s)
		return found{}, false, context.Cause(ctx)
	}
	return at, ok, nil
}

// release lets go of what was found.
func (at found) release(s *Store) {
	switch {
	case at.e != nil:
		s.mem.unpin(at.e)
	case at.d != nil:
		_ = at.d.Close() // it was only read
	case at.f != nil:
		at.f.leave()
	}
}

// onDisk opens a chunk that the disk may have as a chunk of key, which is k's or
// the one it had before, or copies it to memory when it is wanted often.
func (s *Store) onDisk(ctx context.Context, o chunk.Object, k id, key chunk.Key) (found, bool) {
	_, _, zero, ok := s.disk.t.Has(key, k.index)
	if !ok {
		return found{}, false
	}
	if zero {
		s.ledger.see(k, chunk.Digest{}, s.geo.Count(o.Size))
		return found{zero: true}, true
	}
	d, err := s.disk.t.Read(ctx, key, k.index)
	if err != nil {
		if ctx.Err() == nil || errors.Is(err, chunk.ErrCorrupt) { // nobody else will find it
			s.badOnDisk(id{key, k.index}, err)
		}
		return found{}, false
	}
	if !s.fits(o, k, d) {
		_ = d.Close()
		s.badOnDisk(id{key, k.index}, chunk.ErrCorrupt)
		return found{}, false
	}
	s.disk.t.Touch(key, k.index)
	s.disk.t.Describe(named(o, key))
	if e := s.promote(o, k, d); e != nil {
		_ = d.Close()
		return found{e: e}, true
	}
	return found{d: d}, true
}

// fits checks what the disk has of a chunk against what is known of it.
func (s *Store) fits(o chunk.Object, k id, d diskChunk) bool {
	if int64(d.Len()) != s.geo.Len(k.index, o.Size) {
		return false
	}
	want, _, known, _ := s.ledger.expected(k)
	got := d.Digest()
	_, _, said := chunk.Segment(got[:]).At(0)
	return !known || !said || got == want
}

// badOnDisk takes a chunk that can't be used off the disk.
func (s *Store) badOnDisk(k id, err error) {
	if isMiss(err) {
		return // evicted in between
	}
	s.disk.t.Quarantine(k.key, k.index)
	s.stats.verifyFailed(tierDisk)
	s.log.Error("a chunk on disk is bad and was put aside", "key", k.key, "index", k.index, "error", err)
}

// promoteAfter is how many recent reads make a disk chunk worth a slab.
const promoteAfter = 3

// promote copies a disk chunk that is read often to memory if a slab is free. A
// chunk that is sent by sendfile gains nothing: the page cache has it.
func (s *Store) promote(o chunk.Object, k id, d diskChunk) *entry {
	if s.once || s.heat.hit(s.mem.seed, k) < promoteAfter {
		return nil
	}
	sl, _ := s.pool.try(want{class: classAhead, n: 1})
	if sl == nil {
		return nil
	}
	e := &entry{slab: sl, n: d.Len(), id: k, about: o, digest: d.Digest(), pins: 1}
	if readAll(d, e.bytes()) != nil || !s.mem.insert(e) {
		s.mem.unpin(e)
		return nil // read from the disk, which says what is wrong
	}
	return e
}

// readAll reads a whole chunk, checked.
func readAll(d diskChunk, to []byte) error {
	for off := 0; off < len(to); {
		buf := to[off:min(off+blockBytes, len(to))]
		b, err := d.Block(buf, off)
		if err != nil {
			return err
		}
		off += copy(to[off:], b)
	}
	return nil
}
