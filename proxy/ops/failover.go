package ops

import (
	"context"
	"errors"
	"fmt"
	"io"

	"glimpse/backends"
	"glimpse/cachestore/chunk"
	"glimpse/registry/image"
)

// origins are the places that give the bytes of one object, and the order in
// which one stream tries them. It belongs to the stream's goroutine.
type origins struct {
	s      *Service
	ctx    context.Context // of the stream
	m      image.Image
	o      chunk.Object
	off, n int64 // what the stream was asked for

	now     origin
	queue   []origin // not tried yet
	tired   []origin // gave up after one try
	changed []origin // refused because of their validator
	widened bool     // the image's other locations are in the queue, or may not be
	asked   bool     // for the manifest
	check   *checker // nil: nothing to compare with
	last    error
}

// origin is one place, read with a validator; without its pinned one the bytes
// may be another version's, which only a manifest can tell.
type origin struct {
	target
	validator string
	unpinned  bool
	once      bool // to be left after one failure, for there are others
	again     bool // all have failed once
}

func (s *Service) newOrigins(ctx context.Context, m image.Image, t target, o chunk.Object, off, n int64) *origins {
	x := &origins{s: s, ctx: ctx, m: m, o: o, off: off, n: n}
	first := origin{target: t, validator: t.object.Validator}
	if t.object.Ref == o.Ref {
		first.validator = o.Validator
	}
	if s.failed.is(t.location) {
		x.widen(t.location)
	}
	x.queue = append(x.queue, first)
	return x
}

// widen queues the image's other locations, if a manifest will tell whether they
// hold the same bytes. Those known to be bad, or of another size, are left out.
func (x *origins) widen(but int64) {
	x.widened = true
	if !x.proved() {
		return
	}
	for _, l := range x.s.places(x.m) {
		if l.ID == but {
			continue
		}
		t, err := x.s.target(x.ctx, x.m, l)
		switch {
		case err != nil:
			x.tell(err)
		case t.object.Size == x.o.Size:
			x.queue = append(x.queue, origin{target: t, validator: t.object.Validator})
		}
	}
}

// proved says whether a manifest proves the chunks; it is asked for only where
// there are several locations.
func (x *origins) proved() bool {
	if !x.asked && x.o.Key.Content() && len(x.m.Locations) > 1 {
		x.check = x.s.newChecker(x.ctx, x.o, x.off, x.n)
	}
	x.asked = true
	return x.check != nil
}

// others says whether the image has further locations that the stream could go
// on from.
func (x *origins) others() bool {
	return x.proved() && len(x.s.byWeight(x.m)) > 1
}

// open reads from the first place that can be opened. As long as there are others,
// a store that does not answer is not asked twice.
func (x *origins) open(off, n int64) (io.ReadCloser, error) {
	for {
		if len(x.queue) == 0 && !x.more() {
			return nil, x.last
		}
		x.now, x.queue = x.queue[0], x.queue[1:]
		x.now.once = !x.now.again && x.others()
		r, err := x.s.openHere(x.ctx, x.now, x.o, off, n)
		if err == nil {
			return r, nil
		}
		if x.failed(err); x.ctx.Err() != nil {
			return nil, x.last
		}
	}
}

// next goes on at off after a reader has failed.
func (x *origins) next(err error, off, n int64) (io.ReadCloser, error) {
	if x.failed(err); x.ctx.Err() != nil {
		return nil, x.last
	}
	return x.open(off, n)
}

// more finds further places when all that were known have failed: the other
// locations, then those that were asked once, now with their store's retries, and
// at last those whose validator was another.
func (x *origins) more() bool {
	if !x.widened {
		x.widen(x.now.location)
	}
	if len(x.queue) == 0 {
		for _, p := range x.tired {
			p.again = true
			x.queue = append(x.queue, p)
		}
		x.tired = nil
	}
	if len(x.queue) == 0 && x.o.Key.Content() {
		for _, p := range x.changed {
			p.unpinned = true
			x.queue = append(x.queue, p)
		}
		x.changed = nil
	}
	return len(x.queue) > 0
}

// tell keeps what the stream ends with if no place is left.
func (x *origins) tell(err error) {
	if x.last == nil {
		x.last = err
	}
	x.last = graver(x.last, err)
}

// failed notes why the place that was read gives no more.
func (x *origins) failed(err error) {
	err = fmt.Errorf("origin %s: %w", x.now.store.ID, err)
	x.tell(err)
	if x.ctx.Err() != nil {
		return
	}
	switch {
	case errors.Is(err, backends.ErrChanged) && !x.now.unpinned:
		x.changed = append(x.changed, x.now)
	case x.now.once && (errors.Is(err, backends.ErrUnavailable) || errors.Is(err, io.ErrUnexpectedEOF)):
		x.tired = append(x.tired, x.now)
	}
	x.s.leave(x.m, x.now, err)
}

// leave puts a location behind the image's others for a while.
func (s *Service) leave(m image.Image, p origin, err error) {
	if s.failed.note(p.location) && len(m.Locations) > 1 {
		s.cfg.Log.Warn("one location of an image fails: others are tried first for a while", "image", m.ID, "location", p.location, "store", p.store.ID, "error", err)
	}
}

// passed sees the bytes that go by. A place that gave a wrong chunk is left: the
// cache finds out too, and asks again.
func (x *origins) passed(off int64, b []byte) {
	if x.proved() && x.check.wrong(off, b) {
		x.s.leave(x.m, x.now, chunk.ErrCorrupt)
	}
}

// open reads with the validator. Where every chunk is checked against a manifest,
// a file that was put back from a backup, with the same size but another time,
// may be read as well: if its bytes differ, no chunk of them passes.
func (p origin) open(ctx context.Context, o chunk.Object, off, n int64) (io.ReadCloser, error) {
	store, validator := p.store.Backend, p.validator
	if p.once {
		store = backends.Once(store)
	}
	if p.unpinned {
		info, err := store.Stat(ctx, p.at)
		if err != nil {
			return nil, err
		}
		if info.Size != o.Size {
			return nil, fmt.Errorf("it has %d bytes, not %d: %w", info.Size, o.Size, backends.ErrChanged)
		}
		validator = info.Validator
	}
	return store.Open(ctx, p.at, validator, off, n)
}
