package cachestore

import (
	"context"
	"errors"
	"fmt"

	"glimpse/cachestore/chunk"
)

// named is an object under another name of the same bytes.
func named(o chunk.Object, key chunk.Key) chunk.Object {
	o.Key = key
	return o
}

// object returns what an entry is a chunk of.
func (e *entry) object() chunk.Object {
	e.mu.Lock()
	defer e.mu.Unlock()
	return named(e.about, e.id.key)
}

// Objects lists the objects of which something is resident, uploads under way
// left out, in no order. It does no I/O. Of an object that has only marks of zeros
// and no disk, or that a former version left on disk and nobody has read since,
// nothing is known.
func (s *Store) Objects() []chunk.Object {
	found := map[chunk.Key]chunk.Object{}
	s.mem.each(func(e *entry) {
		if o := e.object(); !o.Key.Upload() && o.Size >= 0 {
			found[o.Key] = o
		}
	})
	if s.disk != nil {
		for _, o := range s.disk.t.Objects() {
			if _, ok := found[o.Key]; !ok {
				found[o.Key] = o
			}
		}
	}
	all := make([]chunk.Object, 0, len(found))
	for _, o := range found {
		all = append(all, o)
	}
	return all
}

// each calls fn with all resident chunks. It must not lock the index.
func (m *memory) each(fn func(*entry)) {
	for i := range m.shard {
		sh := &m.shard[i]
		sh.mu.RLock()
		for _, e := range sh.m {
			fn(e)
		}
		sh.mu.RUnlock()
	}
}

// Pull brings one chunk in from another source than the level's own, which is not
// asked. A fill under way is waited for; what is here in memory alone is offered
// to the disk. Readers may join; when the source fails they begin a fill of their
// own, and only Pull returns the error.
func (l *Level) Pull(ctx context.Context, o chunk.Object, index int, from chunk.Source) error {
	s := l.s
	if index < 0 || index >= s.geo.Count(o.Size) {
		return fmt.Errorf("cachestore: chunk %d of %d bytes: %w", index, o.Size, chunk.ErrRange)
	}
	if !s.enter() {
		return errClosed
	}
	defer s.leave()
	l = l.outward(o, index)
	for range locateTries {
		if l.adopt(o, index) {
			return nil
		}
		if err := s.ledger.load(ctx, s.name(o, index), s.geo.Count(o.Size), s.spawn); err != nil {
			return err
		}
		f, own, err := l.joinOrPull(o, index, from)
		if err != nil {
			return err
		}
		if f == nil {
			continue // it has come meanwhile
		}
		e, _, err := f.next(ctx, part{to: f.n}, true)
		if e != nil {
			s.mem.unpin(e)
		}
		if why := f.r.cause(); own && errors.Is(err, errAgain) && why != nil {
			err = why
		}
		f.leave()
		if !errors.Is(err, errAgain) {
			return err
		}
	}
	return fmt.Errorf("chunk %d is evicted as fast as it is found: %w", index, chunk.ErrUnavailable)
}

// adopt says whether a chunk is here; what only memory has is offered to the disk.
func (l *Level) adopt(o chunk.Object, index int) bool {
	s := l.s
	k := s.name(o, index)
	e := s.mem.pin(k)
	if e == nil {
		return s.Resident(o, index)
	}
	defer s.mem.unpin(e)
	if !l.toDisk(o, index) {
		return true
	}
	if _, _, _, ok := s.disk.t.Has(k.key, k.index); !ok {
		s.disk.offerClean(e)
	}
	return true
}

// joinOrPull returns the chunk's fill, joined, and whether it was begun here; none
// when the chunk has become resident.
func (l *Level) joinOrPull(o chunk.Object, index int, from chunk.Source) (f *fill, own bool, err error) {
	s := l.s
	s.names.RLock()
	defer s.names.RUnlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	k := s.resolve(id{o.Key, index})
	if f := l.fills[k]; f != nil && f.join() {
		return f, false, nil
	}
	if s.has(k) {
		return nil, false, nil
	}
	r := l.newRun(o, index)
	r.from = from
	r.add(k, nil, false, new(place)) // for readers who join
	fills, err := l.startLocked(r)
	if err != nil {
		return nil, false, err
	}
	return fills[0], true, nil
}

// cause is what a pull failed with.
func (r *run) cause() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.why
}
