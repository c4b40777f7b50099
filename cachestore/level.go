package cachestore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"glimpse/cachestore/chunk"
)

// Level is one of the steps between a client and the origin: client, zone, home.
// It is a chunk.Source, so that a peer can be served from it. All levels of a
// store share its bytes; each has its own fills in flight.
type Level struct {
	s     *Store
	name  string
	class class
	next  chunk.Source
	inner *Level                                // a level of this store: its fills are joined
	owns  func(o chunk.Object, extent int) bool // which go to inner; nil: all
	keep  func(o chunk.Object, extent int) bool // which of those from next the disk keeps; nil: all
	seen  func(o chunk.Object, extent int)      // hears of clients' responses; may be nil

	mu    sync.Mutex
	fills map[id]*fill
}

var _ chunk.Source = (*Level)(nil)

// outward returns the level whose next, outside this store, brings a chunk: fills
// of all levels in front of it are its fills.
func (l *Level) outward(o chunk.Object, index int) *Level {
	extent := l.s.geo.ExtentOf(index)
	for l.inner != nil && (l.owns == nil || l.owns(o, extent)) {
		l = l.inner
	}
	return l
}

// source says where the level's fills come from, for counting.
func (l *Level) source() tierName {
	if l.class == classHome {
		return tierOrigin
	}
	return tierPeer
}

// found is where a chunk is: exactly one field is set, or zero.
type found struct {
	zero bool
	e    *entry    // pinned
	d    diskChunk // open
	f    *fill     // joined
}

// toDisk says whether a chunk that the level brings is for the disk, too.
func (l *Level) toDisk(o chunk.Object, index int) bool {
	return l.s.keepsOnDisk(o) && (l.keep == nil || l.keep(o, l.s.geo.ExtentOf(index)))
}

// locateTries bounds how often a chunk that is seen but can't be held is looked
// up: each miss means that it was evicted in between.
const locateTries = 16

// locate finds a chunk or begins to fill it. Up to row-1 chunks behind it are
// filled by the same stream if their slabs are free; those fills are returned in
// more, joined.
func (l *Level) locate(ctx context.Context, o chunk.Object, index, row int) (found, []*fill, error) {
	l = l.outward(o, index)
	loaded := false
	for try := range locateTries {
		if at, ok, err := l.s.resident(ctx, o, index); ok || err != nil {
			return at, nil, err
		}
		if !loaded {
			loaded = true
			k := l.s.name(o, index)
			if err := l.s.ledger.load(ctx, k, l.s.geo.Count(o.Size), l.s.spawn); err != nil {
				return found{}, nil, err
			}
			continue // the manifest may say that the chunk is zero
		}
		fills, err := l.joinOrStart(o, index, row, try > locateTries/2)
		if err != nil {
			return found{}, nil, err
		}
		if len(fills) > 0 {
			return found{f: fills[0]}, fills[1:], nil
		}
	}
	return found{}, nil, fmt.Errorf("chunk %d is evicted as fast as it is found: %w", index, chunk.ErrUnavailable)
}

// joinOrStart returns the chunk's fill, joined; none when the chunk has become
// resident. blind doesn't believe that: the disk says so and can't read it.
func (l *Level) joinOrStart(o chunk.Object, index, row int, blind bool) ([]*fill, error) {
	s := l.s
	s.names.RLock()
	defer s.names.RUnlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	k := s.resolve(id{o.Key, index})
	if f := l.fills[k]; f != nil && f.join() {
		return []*fill{f}, nil
	}
	if !blind && s.has(k) {
		return nil, nil
	}
	r := l.newRun(o, index)
	// Only a run that has its first slab may take more: it must not wait for the
	// first while it holds others.
	sl, credit := s.pool.try(want{class: classAhead, n: 1, dirty: r.disk})
	p := new(place)
	s.mem.awaited.take(p)
	r.add(k, sl, credit, p)
	if sl != nil {
		l.extendLocked(r, index+1, row-1)
	}
	return l.startLocked(r)
}

// ahead starts a run of up to row chunks from index on, of those that are not
// resident and whose slabs are free, or joins the fill of the first.
func (l *Level) ahead(o chunk.Object, index, row int) []*fill {
	l = l.outward(o, index)
	s := l.s
	s.names.RLock()
	defer s.names.RUnlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	k := s.resolve(id{o.Key, index})
	if f := l.fills[k]; f != nil && f.join() {
		return []*fill{f}
	}
	r := l.newRun(o, index)
	l.extendLocked(r, index, row)
	if len(r.fills) == 0 {
		r.cancel()
		return nil
	}
	fills, err := l.startLocked(r)
	if err != nil {
		return nil
	}
	return fills
}

func (l *Level) newRun(o chunk.Object, index int) *run {
	r := &run{l: l, o: o}
	r.disk = l.toDisk(o, index)
	r.ctx, r.cancel = context.WithCancel(l.s.ctx)
	return r
}

// add puts a chunk at the end of a run, wanted by the one who starts it. p is its
// place among what is awaited.
func (r *run) add(k id, s *slab, credit bool, p *place) {
	g := r.l.s.geo
	f := &fill{r: r, id: k, off: g.Off(k.index), n: g.Len(k.index, r.o.Size), place: p, interest: 1}
	if s != nil {
		f.e = newEntry(f, s, credit)
	}
	r.fills = append(r.fills, f)
}

// extendLocked adds up to n missing chunks whose slabs are free and for which
// there is a place among what is awaited, none of another extent than the run's
// first chunk: that one may have another owner.
func (l *Level) extendLocked(r *run, index, n int) {
	s := l.s
	first := index
	if len(r.fills) > 0 {
		first = r.fills[0].id.index
	}
	border := (s.geo.ExtentOf(first) + 1) * s.geo.Extent
	for i := index; i < min(index+n, border, s.geo.Count(r.o.Size)); i++ {
		k := s.resolve(id{r.o.Key, i})
		if l.fills[k] != nil || s.has(k) {
			return
		}
		p := new(place)
		if !s.mem.awaited.ahead(p) {
			return
		}
		sl, credit := s.pool.try(want{class: classAhead, n: 1, dirty: r.disk})
		if sl == nil {
			s.mem.awaited.leave(p)
			return
		}
		r.add(k, sl, credit, p)
	}
}

// startLocked enters a run's fills and sets it going.
func (l *Level) startLocked(r *run) ([]*fill, error) {
	if !l.s.spawn(func(context.Context) { r.do() }) {
		r.cancel()
		for _, f := range r.fills {
			if f.e != nil {
				l.s.discard(f.e)
			}
		}
		return nil, errClosed
	}
	for _, f := range r.fills {
		l.fills[f.id] = f
	}
	return append([]*fill(nil), r.fills...), nil
}

// forget takes a fill that has ended out of the table.
func (l *Level) forget(f *fill) {
	l.s.names.RLock()
	defer l.s.names.RUnlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range []id{f.id, l.s.resolve(f.id)} {
		if l.fills[k] == f {
			delete(l.fills, k)
		}
	}
}

// rename lets readers who know the object by its new name find fills in flight.
func (l *Level) rename(from, to chunk.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, f := range l.fills {
		if now := (id{to, k.index}); k.key == from && l.fills[now] == nil {
			delete(l.fills, k)
			l.fills[now] = f
		}
	}
}

// bar keeps an object's fills in flight from being kept.
func (l *Level) bar(key chunk.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, f := range l.fills {
		if k.key == key {
			f.r.mu.Lock()
			f.barred = true
			f.r.mu.Unlock()
		}
	}
}

// Open returns a range of an object for a client; n is -1 for all that follow
// off. It waits until the first byte can be found, so that what is wrong from
// the start is said here. ctx bounds the body's whole life. The caller closes
// the body.
func (l *Level) Open(ctx context.Context, o chunk.Object, off, n int64) (chunk.Body, error) {
	if o.Size < 0 {
		st, err := l.OpenRange(ctx, o, off, n)
		if err != nil {
			return nil, err
		}
		return &streamBody{st: st, sent: l.s.stats.sentBy(l.outward(o, 0).source())}, nil
	}
	r, err := l.newReader(ctx, o, off, n)
	if err != nil {
		return nil, err
	}
	if err := r.first(); err != nil {
		_ = r.Close()
		return nil, err
	}
	return r, nil
}

// OpenRange is Open for those who want pieces: peers and inner levels. An object
// of unknown size is neither kept nor shared: its one stream passes through.
func (l *Level) OpenRange(ctx context.Context, o chunk.Object, off, n int64) (chunk.Stream, error) {
	if o.Size < 0 {
		return l.outward(o, 0).next.OpenRange(ctx, o, off, n)
	}
	r, err := l.newReader(ctx, o, off, n)
	if err != nil {
		return nil, err
	}
	r.unseen = true
	return &stream{r: r}, nil
}

// OpenResident is OpenRange for what is here, or on its way from outside already.
// It begins no fill: a chunk that is neither ends it with chunk.ErrNotResident,
// which the call itself returns where it is the first. follow says whether the fill
// of a chunk counts, when the stream comes to it.
func (l *Level) OpenResident(ctx context.Context, o chunk.Object, off, n int64, follow func(index int) bool) (chunk.Stream, error) {
	if o.Size < 0 {
		return nil, chunk.ErrNotResident
	}
	r, err := l.newReader(ctx, o, off, n)
	if err != nil {
		return nil, err
	}
	r.unseen, r.follow = true, follow
	if err := r.present(); err != nil {
		_ = r.Close()
		return nil, err
	}
	return &stream{r: r}, nil
}

// find is locate for what is here or on its way.
func (l *Level) find(ctx context.Context, o chunk.Object, index int, follow func(int) bool) (found, error) {
	l = l.outward(o, index)
	for range locateTries {
		if at, ok, err := l.s.resident(ctx, o, index); ok || err != nil {
			return at, err
		}
		if follow(index) {
			if f := l.joinFill(o, index); f != nil {
				return found{f: f}, nil
			}
		}
		if !l.s.Resident(o, index) {
			break
		}
	}
	return found{}, fmt.Errorf("chunk %d: %w", index, chunk.ErrNotResident)
}

// joinFill returns a chunk's fill, joined; nil where there is none.
func (l *Level) joinFill(o chunk.Object, index int) *fill {
	l.s.names.RLock()
	defer l.s.names.RUnlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.fills[l.s.resolve(id{o.Key, index})]; f != nil && f.join() {
		return f
	}
	return nil
}

// errAgain ends fills that were never begun: their chunk must be looked up anew.
var errAgain = errors.New("cachestore: fill was not begun")

// errClosed ends everything when the store closes.
var errClosed = fmt.Errorf("cachestore: closed: %w", chunk.ErrUnavailable)
