package replicator

import (
	"context"
	"errors"
	"sync/atomic"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
)

// takeFrom takes over from a node what it lists of this node's extents.
func (r *Replicator) takeFrom(ctx context.Context, from ring.Node, level cluster.Level) (all cluster.Account, err error) {
	q := cluster.Claim{From: r.c.Members.Self().ID, Geometry: r.c.Geometry, Level: level}
	for {
		page, err := r.c.Peers.List(ctx, from, q)
		switch {
		case errors.Is(err, cluster.ErrUnknown):
			r.c.Log.DebugContext(ctx, "a node of an earlier version hands nothing over", "node", from.ID, "name", from.Name)
			return all, nil
		case err != nil:
			return all, err
		}
		for _, h := range page.Holdings {
			a, err := r.takeHolding(ctx, from, level, h)
			all.Add(a)
			if err != nil {
				return all, err
			}
		}
		if page.Next == (cluster.Cursor{}) {
			return all, nil
		}
		q.After = page.Next
	}
}

func (r *Replicator) takeHolding(ctx context.Context, from ring.Node, level cluster.Level, h cluster.Holding) (all cluster.Account, err error) {
	o, wanted := r.c.Here(ctx, h.Object)
	if !wanted {
		return all, nil
	}
	for _, run := range h.Runs {
		for i := run.First; i < run.First+run.Count; i++ {
			if !r.owns(r.c.Members.Ring(), r.c.Members.Self(), level, o, r.c.Geometry.ExtentOf(i)) {
				all.Left++ // by the holder's ring it is this node's: one of them is behind
				continue
			}
			a, err := r.takeChunk(ctx, from, level, o, i)
			all.Add(a)
			if err != nil {
				return all, err
			}
		}
	}
	return all, nil
}

// takeChunk returns an error only where nothing more can be had of the node now.
func (r *Replicator) takeChunk(ctx context.Context, from ring.Node, level cluster.Level, o chunk.Object, index int) (cluster.Account, error) {
	src := &holder{r: r, at: from, level: level}
	err := r.c.Cache.Pull(ctx, o, index, src)
	n := src.bytes.Load()
	r.taken.Add(n)
	a := cluster.Account{Bytes: n}
	switch {
	case err == nil && src.asked.Load():
		a.Chunks = 1
	case err == nil:
	case ctx.Err() != nil:
		return a, context.Cause(ctx)
	case errors.Is(err, cluster.ErrAway):
		a.Left = 1
		return a, err
	case errors.Is(err, chunk.ErrCorrupt), errors.Is(err, chunk.ErrChanged):
		r.c.Log.WarnContext(ctx, "a chunk was not taken over: its bytes are disputed", "node", from.ID, "key", o.Key, "index", index)
	default: // evicted there since it was listed, or one of the two is too busy
		a.Left = 1
	}
	if n > 0 {
		if err := r.c.Rate.WaitN(ctx, int(min(n, int64(r.c.Geometry.Chunk)))); err != nil {
			return a, err
		}
	}
	return a, nil
}

// holder is where a node's chunks come from: another node, and only what it has.
type holder struct {
	r     *Replicator
	at    ring.Node
	level cluster.Level
	asked atomic.Bool
	bytes atomic.Int64
}

func (h *holder) OpenRange(ctx context.Context, o chunk.Object, off, n int64) (chunk.Stream, error) {
	h.asked.Store(true)
	q := cluster.Ask{Object: o, Geometry: h.r.c.Geometry, Level: h.level, ResidentOnly: true, From: h.r.c.Members.Self().ID}
	st, err := h.r.c.Peers.OpenRange(ctx, h.at, q, off, n)
	if err != nil {
		return nil, err
	}
	return &countedStream{st, h}, nil
}

type countedStream struct {
	chunk.Stream
	of *holder
}

// By says which node gives it all.
func (s *countedStream) By() chunk.Giver { return chunk.Giver{ID: s.of.at.ID, Name: s.of.at.Name} }

func (s *countedStream) Next() (chunk.Piece, error) {
	p, err := s.Stream.Next()
	if err == nil {
		s.of.bytes.Add(int64(len(p.Data)))
	}
	return p, err
}

// Take takes over from a node that asks for it. One call at a time for a node.
func (r *Replicator) Take(ctx context.Context, from string) (cluster.Account, error) {
	n, ok := r.c.Members.Ring().Node(from)
	if !ok || !r.begin(from) {
		return cluster.Account{}, errNotYet(from)
	}
	defer r.end(from)
	for _, level := range []cluster.Level{cluster.Zone, cluster.Home} {
		if r.asks(n, level) {
			return r.takeFrom(ctx, n, level)
		}
	}
	return cluster.Account{}, nil
}

func (r *Replicator) begin(from string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.takers[from] {
		return false
	}
	r.takers[from] = true
	return true
}

func (r *Replicator) end(from string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.takers, from)
}
