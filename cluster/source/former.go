package source

import (
	"context"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
)

// formerly asks who owned an extent, before its object was hashed and got another
// name, for what it has: under the former name, which it may know alone.
func (r *Router) formerly(level cluster.Level, owner []ring.Node) step {
	return step{looks: true, open: func(ctx context.Context, o chunk.Object, off, n int64) (chunk.Stream, error) {
		o.Key, o.Former = o.Former, ""
		if len(owner) == 0 {
			return nil, cluster.ErrNotResident
		}
		if owner[0].ID == r.c.Members.Self().ID {
			return r.level(level).OpenResident(ctx, o, off, n, func(index int) bool { return r.isOutward(level, o, index) })
		}
		if st := r.askAll(ctx, place{level: level}, owner, "", o, off, n); st != nil {
			return st, nil
		}
		return nil, cluster.ErrNotResident
	}}
}
