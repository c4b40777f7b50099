package source

import (
	"context"
	"errors"
	"fmt"
	"io"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
)

// step is one way to the bytes.
type step struct {
	open  func(ctx context.Context, o chunk.Object, off, n int64) (chunk.Stream, error)
	looks bool // it asks for what is there only
	short bool // it gives one chunk and then all begins anew, while an upload is fresh
	away  bool // only where the ones before it are away
	last  bool // only where no other can
	// Where another node is asked as an owner: which, and at what level.
	at    ring.Node
	level cluster.Level
	not   []string // the nodes that are not asked in its place: what they gave was wrong
}

// passes says whether the next step may be tried after an error: the node is gone,
// has not got it, or can't find it. What an owner or an origin says of the bytes
// themselves is final.
func passes(err error) bool {
	return errors.Is(err, cluster.ErrAway) || errors.Is(err, cluster.ErrNotResident) || errors.Is(err, cluster.ErrCannot)
}

// relay gives a range by one step after another, each from where the one before
// it stood.
type relay struct {
	ctx      context.Context
	r        *Router
	level    cluster.Level // whose fill it is; 0: one that nobody follows
	from, to int           // chunks that it has said are on their way
	o        chunk.Object
	pos, end int64 // end is -1 where the size is not known
	stop     int64 // where the step that is open ends; at most end
	steps    []step
	all      []step // that it began with
	alone    *alone // how the last look around at its level ended
	looks    int    // that were begun anew
	st       chunk.Stream
	now      step  // that is open
	began    int64 // where it began
	why      error // what the last step was left for that said more than that it has nothing
}

func openRelay(ctx context.Context, router *Router, level cluster.Level, o chunk.Object, off, n int64, steps []step) (chunk.Stream, error) {
	if n < 0 && o.Size >= 0 {
		n = o.Size - off
	}
	r := &relay{ctx: ctx, r: router, level: level, o: o, pos: off, end: -1, steps: steps, all: steps, st: ended{}}
	if n >= 0 {
		r.end = off + n
	}
	if err := r.advance(); err != nil {
		_ = r.Close() // nothing is open
		return nil, err
	}
	return r, nil
}

// advance opens the next step that can be opened.
func (r *relay) advance() error {
	for len(r.steps) > 0 {
		s := r.steps[0]
		r.steps = r.steps[1:]
		if s.away && !errors.Is(r.why, cluster.ErrAway) {
			continue
		}
		n := int64(-1)
		if r.stop = r.end; r.end >= 0 {
			if s.short && r.r.isFresh(r.o.Key) {
				g := r.r.c.Geometry
				r.stop = min(r.end, g.Off(g.Index(r.pos)+1))
			}
			n = r.stop - r.pos
		}
		if !s.looks && !r.goOutward() {
			r.looks++
			r.steps = r.all
			continue
		}
		var st chunk.Stream
		var err error
		if s.at.ID != "" && r.end > r.pos {
			st, err = r.openRace(s, n)
		} else {
			st, err = s.open(r.ctx, r.o, r.pos, n)
		}
		if err == nil {
			r.st, r.now, r.began = st, s, r.pos
			return nil
		}
		if r.ctx.Err() != nil {
			return context.Cause(r.ctx)
		}
		if !passes(err) {
			return err
		}
		if a := (*alone)(nil); errors.As(err, &a) && a.level == r.level {
			r.alone = a
		}
		if r.why == nil || !errors.Is(err, cluster.ErrNotResident) {
			r.why = err
		}
	}
	if r.why == nil {
		r.why = cluster.ErrCannot // there is nobody to ask
	}
	return fmt.Errorf("%w: %w", chunk.ErrUnavailable, r.why)
}

// goOutward says that what the step gives is on its way from outside: anybody may
// follow it from now on. It may not go where somebody has begun to look around, too,
// since it did so itself: of the two one has to hear of the other.
func (r *relay) goOutward() bool {
	if r.level == 0 || r.end < 0 || r.from < r.to || r.pos == r.stop {
		return true
	}
	g := r.r.c.Geometry
	from, to := g.Index(r.pos), g.Index(r.stop-1)+1
	if r.looks == mostLooks {
		r.alone = nil // some do nothing but ask
	}
	if !r.r.goOut(r.place(), r.alone, from, to) {
		return false
	}
	r.from, r.to = from, to
	return true
}

// place is the extent of the next byte. A relay leaves none.
func (r *relay) place() place {
	g := r.r.c.Geometry
	return place{r.level, r.o.Key, g.ExtentOf(g.Index(r.pos))}
}

// Next goes on by the next step when one fails. A stream of unknown length is
// never joined to another one.
func (r *relay) Next() (chunk.Piece, error) {
	if r.pos == r.end {
		return chunk.Piece{}, r.finish()
	}
	if r.pos == r.stop { // of the next chunk nothing was said to be on its way
		if err := r.finish(); !errors.Is(err, io.EOF) {
			return chunk.Piece{}, err
		}
		r.ungo()
		r.steps = r.all
		if err := r.advance(); err != nil {
			return chunk.Piece{}, err
		}
	}
	for {
		p, err := r.st.Next()
		switch {
		case err == nil && p.Off == r.pos && p.Len > 0 && (r.end < 0 || p.Off+p.Len <= r.stop):
			r.pos += p.Len
			return p, nil
		case err == nil:
			err = fmt.Errorf("%d bytes at %d in place of those at %d: %w", p.Len, p.Off, r.pos, cluster.ErrAway)
		case r.end < 0:
			return chunk.Piece{}, err
		case errors.Is(err, io.EOF):
			err = fmt.Errorf("the stream ended at %d, before %d: %w", r.pos, r.stop, cluster.ErrAway)
		}
		if r.ctx.Err() != nil {
			return chunk.Piece{}, context.Cause(r.ctx)
		}
		x, _ := r.st.(*race)
		switch {
		case x != nil && x.other != nil:
			r.steps = append([]step{x.s}, r.steps...) // whoever went on has no more: the owner is there still
		case r.now.looks && r.pos > r.began && passes(err):
			r.steps = r.all // what one had no more of another may have
		case r.end < 0 || !passes(err):
			return chunk.Piece{}, err
		default:
			r.why = err
		}
		_ = r.st.Close() // it has failed
		r.st = ended{}
		if err := r.advance(); err != nil {
			return chunk.Piece{}, err
		}
	}
}

// finish reads the end of the last stream, so that its connection can be used
// again. Every byte is there: only more of them would be wrong.
func (r *relay) finish() error {
	p, err := r.st.Next()
	_ = r.st.Close() // it has given all
	r.st = ended{}
	if err == nil {
		return fmt.Errorf("%d bytes more than asked for: %w", p.Len, chunk.ErrUnavailable)
	}
	return io.EOF
}

// Close closes the stream that is open. It must not be called beside Next: the
// context ends a Next that waits.
func (r *relay) Close() error {
	r.ungo()
	return r.st.Close()
}

// ungo takes back what goOutward has said.
func (r *relay) ungo() {
	if r.from < r.to {
		r.r.comeBack(place{level: r.level, key: r.o.Key}, r.from, r.to)
		r.from, r.to = 0, 0
	}
}

// ended is the stream when none is open.
type ended struct{}

func (ended) Next() (chunk.Piece, error) { return chunk.Piece{}, io.ErrClosedPipe }
func (ended) Close() error               { return nil }
