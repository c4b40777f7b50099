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
)

// lookAround asks nodes for what they have of an extent; whoever answers first is
// taken.
func (r *Router) lookAround(p place, near []ring.Node) step {
	return step{looks: true, open: func(ctx context.Context, o chunk.Object, off, n int64) (chunk.Stream, error) {
		return r.tour(ctx, p, near, o, off, n)
	}}
}

// note counts chunks that are on their way from outside.
func (r *Router) note(level cluster.Level, key chunk.Key, from, to, by int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := from; i < to; i++ {
		w := way{level, key, i}
		if r.outward[w] += by; r.outward[w] == 0 {
			delete(r.outward, w)
		}
	}
}

// tour asks the nodes near, and then whoever asked meanwhile.
func (r *Router) tour(ctx context.Context, p place, near []ring.Node, o chunk.Object, off, n int64) (chunk.Stream, error) {
	asked := map[string]bool{r.c.Members.Self().ID: true}
	known := ""
	if p.level == cluster.Home {
		for _, n := range r.uploader(ctx, o) {
			near = append(near, n)
			if r.isFresh(o.Key) {
				known = n.ID
			}
		}
	}
	for nodes := append(near, r.recent(p)...); ; nodes = r.recent(p) {
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
			return nil, cluster.ErrNotResident
		}
		if st := r.askAll(ctx, p, fresh, known, o, off, n); st != nil {
			r.gave(o.Key, st.from.ID)
			return st, nil
		}
		known = "" // it has been asked
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
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
	st, err := l.OpenResident(ctx, q.Object, off, n, func(index int) bool {
		return first || r.isOutward(q.Level, q.Object, index)
	})
	if err != nil && !q.Doubt {
		r.remember(p, q.From)
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

// remember notes who asked for an extent and got nothing.
func (r *Router) remember(p place, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was, _ := r.askers.Get(p)
	now := []asker{{id, time.Now()}} // the latest first
	for _, a := range was {
		if a.id != id && len(now) < mostOfOne && time.Since(a.at) <= askedFor {
			now = append(now, a)
		}
	}
	r.askers.Add(p, now)
}

// recent returns the members that asked for an extent lately.
func (r *Router) recent(p place) (nodes []ring.Node) {
	rg := r.c.Members.Ring()
	r.mu.Lock()
	defer r.mu.Unlock()
	all, _ := r.askers.Peek(p)
	for _, a := range all {
		if n, ok := rg.Node(a.id); ok && time.Since(a.at) <= askedFor {
			nodes = append(nodes, n)
		}
	}
	return nodes
}
