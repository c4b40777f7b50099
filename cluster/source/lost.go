package source

import (
	"context"
	"errors"
	"time"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
)

const (
	lostFor  = 10 * time.Second // how long a node leaves to others what it could not find
	mostLost = 4096             // objects of which that is known
)

// origin reads the origin. Where this node can't find it, it leaves the object to
// the other home candidates for a while: a reader that asks again is led to them.
func (r *Router) origin(ctx context.Context, o chunk.Object, off, n int64) (chunk.Stream, error) {
	st, err := r.c.Origin.OpenRange(ctx, o, off, n)
	if ctx.Err() == nil && errors.Is(err, cluster.ErrCannot) {
		r.lose(o.Key)
	}
	return st, err
}

func (r *Router) lose(key chunk.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cannot.Add(key, time.Now())
}

func (r *Router) isLost(key chunk.Key) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, ok := r.cannot.Peek(key)
	return ok && time.Since(t) <= lostFor
}
