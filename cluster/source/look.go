package source

import (
	"context"
	"time"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
)

const (
	askedFor  = 10 * time.Second // how long an asker is remembered
	mostAsked = 4096             // extents whose askers are remembered
	mostOfOne = 16               // askers of one extent
	mostLooks = 4                // that a relay begins anew because somebody has asked
)

// lookAround asks nodes for what they have of an extent; whoever answers first is
// taken.
func (r *Router) lookAround(p place, near []ring.Node) step {
	return step{looks: true, open: func(ctx context.Context, o chunk.Object, off, n int64) (chunk.Stream, error) {
		return r.tour(ctx, p, near, o, off, n)
	}}
}

// alone is what a look around ends with where nobody has what is wanted.
type alone struct {
	level cluster.Level
	asks  uint64 // that were heard, when there was nobody left to ask
}

func (*alone) Error() string { return cluster.ErrNotResident.Error() }
func (*alone) Unwrap() error { return cluster.ErrNotResident }

// goOut notes that chunks are on their way from outside, unless somebody has asked
// for their extent since a look around ended, and has got nothing. a is nil where there
// was none.
func (r *Router) goOut(p place, a *alone, from, to int) bool {
	self, rg := r.c.Members.Self().ID, r.c.Members.Ring()
	r.mu.Lock()
	defer r.mu.Unlock()
	if a != nil && len(r.seekers(p, a.asks, self, rg)) > 0 {
		return false
	}
	r.note(p, from, to, 1)
	return true
}

// comeBack takes back what goOut has noted.
func (r *Router) comeBack(p place, from, to int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note(p, from, to, -1)
}

// note counts chunks that are on their way from outside. It holds mu.
func (r *Router) note(p place, from, to, by int) {
	for i := from; i < to; i++ {
		w := way{p.level, p.key, i}
		if r.outward[w] += by; r.outward[w] == 0 {
			delete(r.outward, w)
		}
	}
}

// tour asks the nodes near, and then whoever asked meanwhile: also one that was asked
// before, for it may have begun since, as long as a look around may take.
func (r *Router) tour(ctx context.Context, p place, near []ring.Node, o chunk.Object, off, n int64) (chunk.Stream, error) {
	asked := map[string]bool{r.c.Members.Self().ID: true}
	known, began := "", time.Now()
	if p.level == cluster.Home {
		for _, n := range r.uploader(ctx, o) {
			near = append(near, n)
			if r.isFresh(o.Key) {
				known = n.ID
			}
		}
	}
	seekers, asks := r.recent(p, 0)
	for nodes := append(near, seekers...); ; {
		var fresh []ring.Node
		for _, node := range nodes {
			if !asked[node.ID] {
				asked[node.ID] = true
				fresh = append(fresh, node)
			}
		}
		if len(fresh) == 0 {
			if p.level == cluster.Home { // in its zone a node does not ask the uploader
				r.gave(o.Key, "")
			}
			return nil, &alone{p.level, asks}
		}
		if st := r.askAll(ctx, p, fresh, known, o, off, n); st != nil {
			r.gave(o.Key, st.from.ID)
			return st, nil
		}
		known = "" // it has been asked
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		nodes, asks = r.recent(p, asks)
		if time.Since(began) < r.c.LookFor {
			for _, n := range nodes {
				asked[n.ID] = false
			}
		}
	}
}

// Serve answers another node. A fill that is on its way from outside may be
// followed by anybody. One that may still be looking around is followed only by
// nodes with larger ids: so nobody waits, over others, for himself.
func (r *Router) Serve(ctx context.Context, q cluster.Ask, off, n int64) (chunk.Stream, error) {
	l := r.level(q.Level)
	g := r.c.Geometry
	p := place{q.Level, q.Object.Key, g.ExtentOf(g.Index(off))}
	if !q.ResidentOnly {
		hot := r.heat.ask(p, q.From)
		st, err := l.OpenRange(ctx, q.Object, off, n)
		if err == nil && hot {
			st = cluster.HotStream{Stream: st}
		}
		return st, err
	}
	if q.Doubt {
		l.Check(ctx, q.Object, g.Index(off))
	}
	first := r.c.Members.Self().ID < q.From
	follow := func(index int) bool { return first || r.isOutward(q.Level, q.Object, index) }
	st, err := l.OpenResident(ctx, q.Object, off, n, follow)
	if err != nil && !q.Doubt {
		r.remember(p, q.From, q.Peer)
		if follow(g.Index(off)) { // it went outward before the asker was noted: it will not ask back
			st, err = l.OpenResident(ctx, q.Object, off, n, follow)
		}
	}
	return st, err
}

// isOutward says whether a chunk's fill at a level is on its way from outside.
// Where this node is home to it the zone's fill is home's.
func (r *Router) isOutward(level cluster.Level, o chunk.Object, index int) bool {
	if r.OwnsHome(o, r.c.Geometry.ExtentOf(index)) {
		level = cluster.Home
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.outward[way{level, o.Key, index}] > 0
}

// seeker is a node that asked for an extent and got nothing.
type seeker struct {
	id, peer string // peer is its address, as it said
	at       time.Time
	n        uint64 // how many asks there were with it
}

// remember notes who asked for an extent and got nothing.
func (r *Router) remember(p place, id, peer string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was, _ := r.askers.Get(p)
	r.asks++
	now := []seeker{{id, peer, time.Now(), r.asks}} // the latest first
	for _, a := range was {
		if a.id != id && len(now) < mostOfOne && time.Since(a.at) <= askedFor {
			now = append(now, a)
		}
	}
	r.askers.Add(p, now)
}

// recent returns who asked for an extent lately, after so many asks, and how many
// there are now. One that this node has not heard of yet, or that it has lost, is
// where it said to be: it asks, so it is alive.
func (r *Router) recent(p place, after uint64) (nodes []ring.Node, asks uint64) {
	self, rg := r.c.Members.Self().ID, r.c.Members.Ring()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seekers(p, after, self, rg), r.asks
}

// seekers is recent, for who holds mu.
func (r *Router) seekers(p place, after uint64, self string, rg *ring.Ring) (nodes []ring.Node) {
	all, _ := r.askers.Peek(p)
	for _, a := range all {
		if a.n <= after || a.id == self || time.Since(a.at) > askedFor {
			continue
		}
		if n, ok := rg.Node(a.id); ok {
			nodes = append(nodes, n)
		} else if a.peer != "" {
			nodes = append(nodes, ring.Node{ID: a.id, Peer: a.peer})
		}
	}
	return nodes
}
