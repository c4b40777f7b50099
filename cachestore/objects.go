package cachestore

import (
	"context"
	"fmt"

	"glimpse/cachestore/chunk"
)

// Promote gives an object's bytes the name that their hash deserves. Responses
// that run under the old name go on, from the same chunks.
func (s *Store) Promote(from chunk.Key, to chunk.Object) {
	if from == to.Key {
		return
	}
	s.rename(from, to, true)
}

// rename moves what is in memory at once, under the names lock, and what is on
// disk, file by file, behind the caller's back. alias leads readers from the old name to the new one.
func (s *Store) rename(from chunk.Key, o chunk.Object, alias bool) {
	to := o.Key
	s.names.Lock()
	if alias {
		s.aliases.set(from, to)
	}
	s.aliases.drop(to)
	s.eachLevel(func(l *Level) { l.rename(from, to) })
	s.ledger.rename(from, to)
	for _, k := range s.mem.keys(from) {
		s.mem.rename(k, id{to, k.index}, o)
	}
	if s.disk != nil {
		s.aliases.was[to] = from
	}
	s.names.Unlock()
	if s.disk == nil {
		return
	}
	move := func(context.Context) {
		s.disk.rename(from, o)
		s.names.Lock()
		if s.aliases.was[to] == from {
			delete(s.aliases.was, to)
		}
		s.names.Unlock()
	}
	if !s.spawn(move) {
		move(s.ctx)
	}
}

// Drop forgets an object's bytes everywhere, and keeps fills in flight from
// being kept. Responses that run go on; what they still need is filled anew.
func (s *Store) Drop(key chunk.Key) {
	s.names.Lock()
	s.aliases.drop(key)
	s.eachLevel(func(l *Level) { l.bar(key) })
	s.ledger.drop(key)
	s.names.Unlock()
	for _, k := range s.mem.keys(key) {
		s.mem.remove(k)
	}
	if s.disk != nil {
		for _, k := range s.onDiskAs(key) {
			s.disk.t.Drop(k)
		}
	}
}

// Peek shows fn the verified bytes of a chunk if they are resident, and causes
// no fill. A chunk on disk is read into a slab, for which Peek may wait. fn must
// not keep the bytes.
func (s *Store) Peek(ctx context.Context, o chunk.Object, index int, fn func([]byte) error) (resident bool, err error) {
	n := s.geo.Len(index, o.Size)
	if index < 0 || n == 0 {
		return false, fmt.Errorf("cachestore: chunk %d of %d bytes: %w", index, o.Size, chunk.ErrRange)
	}
	if !s.enter() {
		return false, errClosed
	}
	defer s.leave()
	at, ok, err := s.resident(ctx, o, index)
	if !ok || err != nil {
		return false, err
	}
	defer at.release(s)
	switch {
	case at.zero:
		return true, fn(s.arena.zero[:n])
	case at.e != nil:
		return true, fn(at.e.bytes())
	}
	slabs, _, err := s.pool.take(ctx, want{class: classClient, n: 1})
	if err != nil {
		return true, err
	}
	defer s.pool.put(slabs[0])
	b := slabs[0].b[:n]
	if err := readAll(at.d, b); err != nil {
		s.badOnDisk(s.name(o, index), err)
		return false, nil
	}
	return true, fn(b)
}

// Digests returns what is known of the digests of an object with count chunks,
// by observation or from its manifest, segment by segment. Chunks of which
// nothing is known are marked so.
func (s *Store) Digests(key chunk.Key, count int) []chunk.Segment {
	key = s.name(chunk.Object{Key: key}, 0).key
	list := s.ledger.segments(key, count)
	if s.disk == nil {
		return list
	}
	for seg, digests := range list {
		for i := range digests.Chunks() {
			if _, _, known := digests.At(i); known {
				continue
			}
			switch d, _, zero, ok := s.disk.t.Has(key, seg*chunk.SegmentChunks+i); {
			case zero:
				digests.SetZero(i)
			case ok:
				digests.Set(i, d)
			}
		}
	}
	return list
}
