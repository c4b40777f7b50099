package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
)

// slow is how long an owner may give no byte in the middle of its answer before
// others are asked for what they have, where Config has no Slow; twice as long each
// time that it was in vain, so that an owner whose origin is slow makes no chatter.
const slow = 50 * time.Millisecond

// race is what an owner answers, and what another node has of it where the owner
// is late or stalls: whoever gives the next piece first is taken, and the other one
// is left. It moves no fill: others are asked for what they have only.
type race struct {
	r     *Router
	ctx   context.Context
	s     step
	place place
	o     chunk.Object
	pos   int64         // of the next piece
	slow  time.Duration // for the next one
	end   int64

	own   chunk.Stream // the owner's answer; nil before it is open
	leave context.CancelFunc
	timer *time.Timer
	first chunk.Piece // that open has waited for; Len 0: given out
	other *aid        // taken in the owner's place

	mu sync.Mutex
	// wait is the wait for the owner that is under way; nil: none.
	wait *wait
}

// wait is for one piece of the owner.
type wait struct {
	pos   int64
	began time.Time
	limit time.Duration
	late  bool // it is for the first piece
	aid   *aid // others were asked
}

// aid is what others were asked for.
type aid struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when the fields below are final
	st     chunk.Stream
	piece  chunk.Piece
	won    bool // it came before the owner's; under race.mu
}

// openRace asks an owner, and waits for the first piece.
func (r *relay) openRace(s step, n int64) (chunk.Stream, error) {
	g := r.r.c.Geometry
	x := &race{r: r.r, ctx: r.ctx, s: s, o: r.o, pos: r.pos, end: r.pos + n, slow: r.r.c.Slow}
	x.place = place{s.level, r.o.Key, g.ExtentOf(g.Index(r.pos))}
	x.timer = time.AfterFunc(time.Hour, x.late)
	ctx, leave := context.WithCancel(r.ctx)
	x.leave = leave
	began, limit := time.Now(), r.r.pace.ask(s.at.ID, s.level)
	p, err := x.await(limit, true, func() (chunk.Piece, error) {
		var err error
		if x.own, err = s.open(ctx, r.o, r.pos, n); err != nil {
			return chunk.Piece{}, err
		}
		return x.own.Next()
	})
	if err == nil {
		r.r.pace.note(s.at.ID, s.level, time.Since(began))
	}
	if err != nil {
		_ = x.Close() // it has failed
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("nothing at %d, before %d: %w", r.pos, r.pos+n, cluster.ErrAway)
		}
		return nil, err
	}
	x.first = p
	return x, nil
}

// Next returns the next piece, of whoever has it first.
func (x *race) Next() (chunk.Piece, error) {
	if p := x.first; p.Len > 0 {
		x.first = chunk.Piece{}
		x.pos += p.Len
		return p, nil
	}
	if x.other != nil {
		return x.other.st.Next()
	}
	if x.pos == x.end { // all is there: the end is worth no wait
		t := time.AfterFunc(x.r.c.Slow, x.leave)
		defer t.Stop()
		return x.own.Next()
	}
	p, err := x.await(x.slow, false, x.own.Next)
	if err == nil {
		x.pos += p.Len
	}
	return p, err
}

// await gets a piece of the owner, or where that takes longer than limit and
// another node gives it first, of that one.
func (x *race) await(limit time.Duration, late bool, next func() (chunk.Piece, error)) (chunk.Piece, error) {
	w := &wait{pos: x.pos, began: time.Now(), limit: limit, late: late}
	x.mu.Lock()
	x.wait = w
	x.mu.Unlock()
	x.timer.Reset(limit)
	p, err := next()
	x.timer.Stop()
	x.mu.Lock()
	x.wait = nil
	a := w.aid
	won := a != nil && a.won
	x.mu.Unlock()
	if a == nil {
		return p, err
	}
	if !won {
		a.close()
		x.slow = min(2*x.slow, stall)
		return p, err
	}
	x.closeOwn()
	<-a.done
	x.other = a
	return a.piece, nil
}

// late runs when the owner has been waited for too long. A wait that has ended
// meanwhile, and one that began just now, are none of its matter.
func (x *race) late() {
	nodes := slices.DeleteFunc(x.r.holders(x.s.at, x.place, x.o), func(n ring.Node) bool { return slices.Contains(x.s.not, n.ID) })
	x.mu.Lock()
	w := x.wait
	if w == nil || w.aid != nil || time.Since(w.began) < w.limit || len(nodes) == 0 {
		x.mu.Unlock()
		return
	}
	give, ok := x.r.pace.may(w.late)
	if !ok {
		x.mu.Unlock()
		return
	}
	a := &aid{done: make(chan struct{})}
	var ctx context.Context
	ctx, a.cancel = context.WithCancel(x.ctx)
	w.aid = a
	x.mu.Unlock()
	defer close(a.done)
	defer give()
	x.askOthers(ctx, nodes, a, w)
}

// askOthers takes the first piece of whoever has it.
func (x *race) askOthers(ctx context.Context, nodes []ring.Node, a *aid, w *wait) {
	st := x.r.askAll(ctx, x.place, nodes, "", x.o, w.pos, x.end-w.pos)
	if st == nil {
		return
	}
	p, err := st.Next()
	if err != nil || p.Off != w.pos || p.Len <= 0 {
		_ = st.Close() // it is of no use
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	a.st, a.piece = st, p
	if x.wait == w {
		a.won = true
		x.r.pace.won(w.late)
		x.leave()
	}
}

// close ends what nobody wants any more.
func (a *aid) close() {
	a.cancel()
	<-a.done
	if a.st != nil {
		_ = a.st.Close() // what it has is here already
	}
}

func (x *race) closeOwn() {
	x.leave()
	if x.own != nil {
		_ = x.own.Close() // it is left, or has failed
		x.own = nil
	}
}

// Close ends both.
func (x *race) Close() error {
	x.timer.Stop()
	x.closeOwn()
	if x.other != nil {
		x.other.close()
	}
	return nil
}

// holders are the nodes that may have what an owner is asked for: who comes after
// it, who came before it, and who asked for it lately.
func (r *Router) holders(owner ring.Node, p place, o chunk.Object) (nodes []ring.Node) {
	self, rg := r.c.Members.Self(), r.c.Members.Ring()
	order := func(rg *ring.Ring, n int) []ring.Node {
		if p.level == cluster.Zone {
			return rg.Candidates(self.Zone, o.Key, p.extent, n)
		}
		return rg.HomeOf(o, p.extent, n)
	}
	all := order(rg, 1+candidates)
	if was := rg.Prev(); was != nil {
		all = append(all, present(rg, order(was, 1))...)
	}
	known := map[string]bool{self.ID: true, owner.ID: true}
	seekers, _ := r.recent(p, 0)
	for _, n := range append(all, seekers...) {
		if r.c.NearOnly && n.Zone != self.Zone {
			continue
		}
		if !known[n.ID] {
			known[n.ID] = true
			nodes = append(nodes, n)
		}
	}
	return nodes
}
