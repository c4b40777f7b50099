package cachestore

import (
	"context"
	"sync"

	"glimpse/cachestore/chunk"
)

// fill is one chunk on its way in. Readers follow its watermark; what it holds is
// proved right only when it is done. All its fields below mu's comment are under
// the lock of its run.
type fill struct {
	r   *run
	id  id
	off int64 // of the chunk in the object
	n   int64 // bytes of the chunk

	place *place // among what is awaited, while somebody wants the chunk

	// Under r.mu.
	e        *entry // nil before there is a slab, and once everybody has seen the end
	wm       int64  // bytes of e that may be read
	frozen   bool   // a second try is running: nobody may read before it is proved
	done     bool
	err      error
	lo, hi   int64 // bytes that the first, wrong try had otherwise; lo == hi: none
	interest int   // readers that want it; the fill may stop when there are none
	waiting  int   // readers inside next
	barred   bool  // the object was dropped: not to be kept
	changed  chan struct{}
}

// run is a row of chunks that one stream of the source fills. Only its first
// chunk waits for a slab, when none is held; the others had theirs before.
type run struct {
	l      *Level
	o      chunk.Object
	disk   bool            // what comes is for the disk too
	ctx    context.Context // the store's own: the client that began may leave
	cancel context.CancelFunc
	fills  []*fill
	from   chunk.Source // of a pull, in place of the level's; nil: none

	mu   sync.Mutex
	dead bool  // given up: nobody may join any more
	why  error // of a pull: what its source failed with
}

// part is what a response wants of a chunk, in bytes from the chunk's start.
type part struct {
	from, pos, to int64 // wanted from..to, of which from..pos has been sent
	hold          int64 // bytes before to that wait for the proof
}

// next waits until bytes at p.pos can be sent, and returns the entry, pinned, and
// up to where. A nil entry with no error means that the fill has ended well and
// the chunk must be looked up anew. whole waits for the end of the fill.
func (f *fill) next(ctx context.Context, p part, whole bool) (*entry, int64, error) {
	f.r.mu.Lock()
	f.waiting++
	defer f.seen()
	for {
		if f.done {
			return f.resultLocked(p)
		}
		if e, to := f.e, max(p.from, p.to-p.hold); e != nil && !f.frozen && !whole {
			if to = min(to, f.wm); to > p.pos {
				f.r.l.s.mem.repin(e)
				return e, to, nil
			}
		}
		if f.changed == nil {
			f.changed = make(chan struct{})
		}
		changed := f.changed
		f.r.mu.Unlock()
		select {
		case <-changed:
			f.r.mu.Lock()
		case <-ctx.Done():
			f.r.mu.Lock()
			return nil, 0, context.Cause(ctx)
		}
	}
}

func (f *fill) resultLocked(p part) (*entry, int64, error) {
	switch {
	case f.err != nil:
		return nil, 0, f.err
	case p.from < f.hi && p.pos > f.lo && p.pos > p.from:
		return nil, 0, chunk.ErrMended // the client has some of the wrong bytes
	case f.e == nil:
		return nil, 0, nil
	}
	f.r.l.s.mem.repin(f.e)
	return f.e, p.to, nil
}

// seen ends next: the last one who saw the end of a fill lets go of its slab, so
// that it can't be evicted before its readers got on.
func (f *fill) seen() {
	f.waiting--
	e := f.settleLocked()
	f.r.mu.Unlock()
	if e != nil {
		f.r.l.s.mem.unpin(e)
	}
}

func (f *fill) settleLocked() (e *entry) {
	if f.done && f.waiting == 0 {
		e, f.e = f.e, nil
	}
	return e
}

// started waits until the first byte is there, or the end.
func (f *fill) started(ctx context.Context) error {
	for {
		f.r.mu.Lock()
		if f.done || f.wm > 0 && !f.frozen {
			defer f.r.mu.Unlock()
			return f.err
		}
		if f.changed == nil {
			f.changed = make(chan struct{})
		}
		changed := f.changed
		f.r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (f *fill) stepLocked() {
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// advance moves the watermark.
func (f *fill) advance(n int64) {
	f.r.mu.Lock()
	f.wm += n
	f.stepLocked()
	f.r.mu.Unlock()
}

// ended says whether the fill is over.
func (f *fill) ended() bool {
	f.r.mu.Lock()
	defer f.r.mu.Unlock()
	return f.done
}

// join registers a reader; false when the fill is over or given up.
func (f *fill) join() bool {
	f.r.mu.Lock()
	defer f.r.mu.Unlock()
	if f.done || f.r.dead {
		return false
	}
	f.interest++
	f.r.l.s.mem.awaited.take(f.place)
	return true
}

// leave takes a reader off. A run that nobody wants any more ends, unless the
// chunk it is at is half done: that one is finished.
func (f *fill) leave() {
	r := f.r
	r.mu.Lock()
	defer r.mu.Unlock()
	f.interest--
	if f.interest == 0 {
		r.l.s.mem.awaited.leave(f.place)
	}
	var current *fill
	for _, o := range r.fills {
		switch {
		case o.done:
		case o.interest > 0:
			return
		case current == nil:
			current = o
		}
	}
	if current == nil || 2*current.wm >= current.n {
		return
	}
	r.dead = true
	r.cancel()
}

// wanted says whether a chunk of the run that has not begun should still be
// filled; if not, nobody can join it any more.
func (r *run) wanted(f *fill) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.fills {
		if !o.done && o.interest > 0 {
			return true
		}
	}
	r.dead = true
	return false
}
