package replicator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
)

// Cache is this node's cache, as far as extents are moved.
type Cache interface {
	// Objects lists the objects of which something may be resident, in any order.
	Objects() []chunk.Object
	// Resident says whether a chunk is here. Neither does any I/O.
	Resident(o chunk.Object, index int) bool
	// Pull brings a chunk in from a source, unless it is here: nil says that it is.
	Pull(ctx context.Context, o chunk.Object, index int, from chunk.Source) error
}

// Peers speaks to the other nodes.
type Peers interface {
	OpenRange(ctx context.Context, at ring.Node, q cluster.Ask, off, n int64) (chunk.Stream, error)
	List(ctx context.Context, at ring.Node, q cluster.Claim) (cluster.Page, error)
	Take(ctx context.Context, at ring.Node) (cluster.Account, error)
}

// Config of a Replicator. What is 0 or nil has a default.
type Config struct {
	Members  cluster.Members
	Peers    Peers
	Cache    Cache
	Geometry chunk.Geometry
	// Here is an object that another node told of, as this node treats it, and
	// whether it is asked for by this name; nil: as it is.
	Here func(ctx context.Context, o chunk.Object) (chunk.Object, bool)
	Rate *rate.Limiter // of bytes that this node takes over, with a burst of a chunk at least; nil: no bound
	// Settle is how long a ring must stand before a pass begins: a node that is
	// only started again is back by then. 0: 3 s.
	Settle  time.Duration
	WarmFor time.Duration // how long a node may be warming; 0: 10 minutes
	Log     *slog.Logger  // nil: discarded
}

const (
	settle  = 3 * time.Second
	warmFor = 10 * time.Minute
	again   = time.Second // between two tries
	// A pass that was not complete is repeated after twice the time of the one before.
	firstWait = 2 * time.Second
	mostWait  = time.Minute
)

// Replicator takes over what this node owns now, and has others take over what it
// does not own any more.
type Replicator struct {
	c Config

	taken, given atomic.Int64 // bytes

	mu     sync.Mutex
	done   *ring.Ring // for which a pass was complete
	seen   *ring.Ring // that stands
	since  time.Time  // when it was first seen
	wait   time.Duration
	next   time.Time // when a pass may be repeated
	takers map[string]bool
	doing  string
}

// New returns a replicator that does nothing by itself.
func New(c Config) *Replicator {
	c.Settle = cmp.Or(c.Settle, settle)
	c.WarmFor = cmp.Or(c.WarmFor, warmFor)
	if c.Here == nil {
		c.Here = func(_ context.Context, o chunk.Object) (chunk.Object, bool) { return o, true }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Rate == nil {
		c.Rate = rate.NewLimiter(rate.Inf, 0)
	}
	return &Replicator{c: c, takers: map[string]bool{}}
}

// Taken and Given are the bytes that were moved here, and from here to others on
// HandOver.
func (r *Replicator) Taken() int64 { return r.taken.Load() }

// Given is the opposite of Taken.
func (r *Replicator) Given() int64 { return r.given.Load() }

// Doing says for people what goes on; "": nothing.
func (r *Replicator) Doing() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.doing
}

func (r *Replicator) do(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doing = what
}

// Pass takes over what this node owns since the ring has changed. It does nothing
// while the ring is one for which that was done, or has not stood for long. What
// could not be had now is in the account, or an error; the next pass tries again.
func (r *Replicator) Pass(ctx context.Context) (cluster.Account, error) {
	if !r.due() {
		return cluster.Account{}, nil
	}
	a, err := r.pass(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wait = min(mostWait, max(firstWait, 2*r.wait))
	r.next = time.Now().Add(r.wait)
	return a, err
}

func (r *Replicator) due() bool {
	rg := r.c.Members.Ring()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done != nil && ring.SameShares(r.done, rg) {
		return false
	}
	if r.seen == nil || !ring.SameShares(r.seen, rg) {
		r.seen, r.since, r.wait, r.next = rg, time.Now(), 0, time.Time{}
	}
	return time.Since(r.since) >= r.c.Settle && !time.Now().Before(r.next)
}

// pass asks all nodes, those of this zone first.
func (r *Replicator) pass(ctx context.Context) (all cluster.Account, err error) {
	rg := r.c.Members.Ring()
	var errs []error
	for _, level := range []cluster.Level{cluster.Zone, cluster.Home} {
		for _, n := range rg.Nodes() {
			if !r.asks(n, level) {
				continue
			}
			a, err := r.takeFrom(ctx, n, level)
			all.Add(a)
			if ctx.Err() != nil {
				return all, context.Cause(ctx)
			}
			// Who is gone has nothing any more; a new ring will tell.
			if err != nil {
				errs = append(errs, err)
			}
		}
	}
	if err := errors.Join(errs...); err != nil || all.Left > 0 || !ring.SameShares(rg, r.c.Members.Ring()) {
		return all, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = rg
	return all, nil
}

// asks says whether this node takes over extents of a level from another one. A
// home owner is the owner in its zone too.
func (r *Replicator) asks(n ring.Node, level cluster.Level) bool {
	self := r.c.Members.Self()
	switch {
	case n.ID == self.ID || n.Role == ring.Client || self.Role == ring.Client || self.State == ring.Draining:
		return false
	case level == cluster.Zone:
		return n.Zone == self.Zone
	}
	return n.Zone != self.Zone
}

// complete says whether all was taken over that is this node's by the ring of now.
func (r *Replicator) complete() bool {
	rg := r.c.Members.Ring()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done != nil && ring.SameShares(r.done, rg)
}

// Warm takes over what a node that has joined owns now. It returns when that is
// here, when this node has been warming for long enough, or with ctx.
func (r *Replicator) Warm(ctx context.Context) cluster.Account {
	r.do("warming")
	defer r.do("")
	begun := time.Now()
	var all cluster.Account
	for {
		a, err := r.pass(ctx)
		all.Add(cluster.Account{Chunks: a.Chunks, Bytes: a.Bytes})
		all.Left = a.Left
		switch {
		case ctx.Err() != nil:
			return all
		case r.complete():
			r.c.Log.InfoContext(ctx, "warm: the extents of this node are here", "chunks", all.Chunks, "bytes", all.Bytes, "took", time.Since(begun).Round(time.Millisecond))
			return all
		case time.Since(begun) > r.c.WarmFor:
			r.c.Log.WarnContext(ctx, "not all extents of this node could be taken over; they are asked for when they are read", "chunks", all.Chunks, "bytes", all.Bytes, "left", all.Left, "error", err)
			return all
		}
		if !pause(ctx, again) {
			return all
		}
	}
}

// pause returns false when ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// owns says whether a node owns an extent at a level.
func (r *Replicator) owns(rg *ring.Ring, n ring.Node, level cluster.Level, o chunk.Object, extent int) bool {
	if level == cluster.Zone {
		owner, ok := rg.Owner(n.Zone, o.Key, extent)
		return ok && owner.ID == n.ID
	}
	h := rg.HomeOf(o, extent, 1)
	return len(h) == 1 && h[0].ID == n.ID
}

// errNotYet: the ring here does not have the asker.
func errNotYet(id string) error {
	return fmt.Errorf("node %.64s is not in the ring here yet: %w", id, chunk.ErrUnavailable)
}
