package source

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
)

// Level is a level of this node's cache, as far as nodes are served from it.
type Level interface {
	chunk.Source
	// OpenResident gives what is there, else chunk.ErrNotResident; follow says
	// whether a chunk's fill counts.
	OpenResident(ctx context.Context, o chunk.Object, off, n int64, follow func(index int) bool) (chunk.Stream, error)
	// Check puts aside what is here of a chunk and not right.
	Check(ctx context.Context, o chunk.Object, index int)
}

// Config is what a router is made of.
type Config struct {
	Members  cluster.Members
	Peers    cluster.Peers
	Geometry chunk.Geometry
	Origin   chunk.Source // reads an origin; chunk.ErrUnresolved when it can't tell which
	// Uploader returns the id of the node through which an object came, "" where
	// that is not known; it may be nil.
	Uploader func(ctx context.Context, o chunk.Object) (string, error)
	LookFor  time.Duration // how long to look around; 0: 200 ms
	// Others are asked as well when an owner's first byte takes longer than Late, 0: 20
	// ms, and than most before it, or one in the middle longer than Slow, 0: 50 ms.
	Late, Slow time.Duration
	// NearOnly asks only nodes of this zone beside an owner: what comes over a WAN comes
	// once, though it be late, unless the owner is given up.
	NearOnly bool
	// HedgeBudget is the share of asks of owners that may be hedged, 0 to 1.
	HedgeBudget float64
}

// candidates is how many nodes behind an owner are asked for what they have.
const candidates = 2

// Router says where the chunks of each level come from. Bind is called before
// the first read.
type Router struct {
	c          Config
	zone, home Level

	heat heat
	pace *pace

	mu      sync.Mutex
	outward map[way]int                          // chunks that are on their way from outside
	askers  *simplelru.LRU[place, []seeker]      // who asked lately and got nothing
	asks    uint64                               // of those, so far
	cannot  *simplelru.LRU[chunk.Key, time.Time] // what this node could not find the origin of, and when
	uploads *simplelru.LRU[chunk.Key, uploaded]
}

// place is an extent at a level.
type place struct {
	level  cluster.Level
	key    chunk.Key
	extent int
}

// way is a chunk at a level.
type way struct {
	level cluster.Level
	key   chunk.Key
	index int
}

// New returns a router.
func New(c Config) *Router {
	if c.LookFor == 0 {
		c.LookFor = 200 * time.Millisecond
	}
	c.Late, c.Slow = cmp.Or(c.Late, soonest), cmp.Or(c.Slow, slow)
	r := &Router{
		c: c, heat: newHeat(), pace: newPace(c.HedgeBudget), outward: map[way]int{},
		askers: newLRU[place, []seeker](mostAsked), cannot: newLRU[chunk.Key, time.Time](mostLost),
		uploads: newLRU[chunk.Key, uploaded](mostUploads),
	}
	r.pace.soonest = c.Late
	return r
}

// Bind tells the levels that nodes are served from.
func (r *Router) Bind(zone, home Level) { r.zone, r.home = zone, home }

// OwnsZone says whether this node is the owner of an extent in its zone. It does
// not block.
func (r *Router) OwnsZone(o chunk.Object, extent int) bool {
	self := r.c.Members.Self()
	n, ok := r.c.Members.Ring().Owner(self.Zone, o.Key, extent)
	return ok && n.ID == self.ID
}

// OwnsHome says whether this node is the one that reads an extent from its origin;
// not for a while after it could not find that. It does not block.
func (r *Router) OwnsHome(o chunk.Object, extent int) bool {
	if r.isLost(o.Key) {
		return false
	}
	h := r.c.Members.Ring().HomeOf(o, extent, 1)
	return len(h) == 1 && h[0].ID == r.c.Members.Self().ID
}

// ToZone is where a client level's chunks come from that another node owns in
// this zone.
func (r *Router) ToZone() chunk.Source { return route{r: r, steps: r.toZone} }

// ToHome is where a zone level's chunks come from that another node is home to.
func (r *Router) ToHome() chunk.Source { return route{r: r, level: cluster.Zone, steps: r.toHome} }

// ToOrigin is where a home level's chunks come from.
func (r *Router) ToOrigin() chunk.Source { return route{r: r, level: cluster.Home, steps: r.toOrigin} }

// route is a source of one step after another, for a level that others may follow.
type route struct {
	r     *Router
	level cluster.Level // 0: nobody does
	steps func(o chunk.Object, extent int) []step
	again bool     // it is for a fill that is begun once more
	bad   []string // who gave a wrong chunk
}

// OpenRange opens the first step that can be opened. The range must not leave the
// extent that it begins in.
func (t route) OpenRange(ctx context.Context, o chunk.Object, off, n int64) (chunk.Stream, error) {
	g := t.r.c.Geometry
	steps := t.steps(o, g.ExtentOf(g.Index(off)))
	if t.again {
		steps = t.anew(steps)
		t.r.tell(ctx, t.bad, o, off)
	}
	return openRelay(ctx, t.r, t.level, o, off, n, steps)
}

// toZone asks the owner in this zone, and when it is gone those after it. A zone
// without owners is skipped, as is one whose owners are all away.
func (r *Router) toZone(o chunk.Object, extent int) []step {
	rg := r.c.Members.Ring()
	nodes := rg.Candidates(r.c.Members.Self().Zone, o.Key, extent, 1+candidates)
	if len(nodes) == 0 {
		return r.homes(o, extent)
	}
	steps := r.beforeZone(rg, nodes[0], o, extent)
	for _, n := range nodes {
		steps = append(steps, r.owner(n, cluster.Zone))
	}
	for _, s := range r.homes(o, extent) {
		s.away = true
		steps = append(steps, s)
	}
	return steps
}

// toHome looks around in the zone, then asks the home owner.
func (r *Router) toHome(o chunk.Object, extent int) []step {
	self, rg := r.c.Members.Self(), r.c.Members.Ring()
	near := rg.Candidates(self.Zone, o.Key, extent, 1+candidates)
	near = append(near, r.hadInZone(rg, o, extent)...)
	steps := []step{r.lookAround(place{cluster.Zone, o.Key, extent}, near)}
	if o.Former != "" {
		steps = append(steps, r.formerly(cluster.Zone, rg.Candidates(self.Zone, o.Former, extent, 1)))
	}
	return append(steps, r.homes(o, extent)...)
}

// homes asks the home candidates in order, all of them: one that can't find the
// object's origin does not say that no other can. When all say so this node's own
// home level may try.
func (r *Router) homes(o chunk.Object, extent int) []step {
	self, rg := r.c.Members.Self(), r.c.Members.Ring()
	var steps []step
	mine, late := o.Node == "" && !self.Edge && self.Role == ring.Member, false
	for i, n := range rg.HomeOf(o, extent, len(rg.Nodes())) {
		if i == 0 {
			steps = r.beforeHome(rg, n, o, extent)
		}
		mine = mine && n.ID != self.ID
		if n.ID == self.ID && r.isLost(o.Key) {
			late = true // it may find it now, but the others come first
			continue
		}
		steps = append(steps, r.owner(n, cluster.Home))
	}
	if mine || late {
		steps = append(steps, step{open: r.home.OpenRange, last: true})
	}
	return steps
}

// toOrigin looks around among the home candidates, then reads the origin.
func (r *Router) toOrigin(o chunk.Object, extent int) []step {
	rg := r.c.Members.Ring()
	near := rg.HomeOf(o, extent, 1+candidates)
	near = append(near, r.hadAtHome(rg, o, extent)...)
	steps := []step{r.lookAround(place{cluster.Home, o.Key, extent}, near)}
	if o.Former != "" {
		former := o
		former.Key = o.Former
		steps = append(steps, r.formerly(cluster.Home, rg.HomeOf(former, extent, 1)))
	}
	return append(steps, step{open: r.origin, short: true})
}

// present returns those of the nodes that are there still, as they are now.
func present(rg *ring.Ring, former []ring.Node) (nodes []ring.Node) {
	for _, f := range former {
		if n, ok := rg.Node(f.ID); ok {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// owner asks a node as the owner at a level. Where that is this very node, because
// the ring has changed, its level is called.
func (r *Router) owner(n ring.Node, level cluster.Level) step {
	if n.ID == r.c.Members.Self().ID {
		return step{open: r.level(level).OpenRange}
	}
	return step{at: n, level: level, open: func(ctx context.Context, o chunk.Object, off, k int64) (chunk.Stream, error) {
		st, err := r.c.Peers.OpenRange(ctx, n, r.ask(o, level, false), off, k)
		if err == nil {
			r.heed(o, off, st)
		}
		return st, err
	}}
}

func (r *Router) ask(o chunk.Object, level cluster.Level, residentOnly bool) cluster.Ask {
	self := r.c.Members.Self()
	return cluster.Ask{Object: o, Geometry: r.c.Geometry, Level: level, ResidentOnly: residentOnly, From: self.ID, Peer: self.Peer}
}

func (r *Router) level(l cluster.Level) Level {
	if l == cluster.Zone {
		return r.zone
	}
	return r.home
}
