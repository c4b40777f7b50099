package source

import (
	"context"
	"errors"
	"fmt"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
)

// Steward has the steward of an object find its size and its validator. The
// object's key is not known before that: its Ref says who the steward is. ok is
// false where that is this node. When the steward is gone or can't find the object
// the next home candidate is asked, until three are gone: not each node may have
// the store. When there is no more this node is to try, unless it never reads an
// origin, or the object is in another node's own folder.
func (r *Router) Steward(ctx context.Context, o chunk.Object) (found chunk.Object, ok bool, err error) {
	self := r.c.Members.Self()
	why, gone, rg := cluster.ErrCannot, 0, r.c.Members.Ring()
	unnamed := o
	unnamed.Key = chunk.Key("ref:" + o.Ref)
	for _, n := range rg.HomeOf(unnamed, 0, len(rg.Nodes())) {
		if n.ID == self.ID {
			return o, false, nil
		}
		found, err := r.c.Peers.Stat(ctx, n, o)
		if err == nil {
			return found, true, nil
		}
		if ctx.Err() != nil {
			return o, false, context.Cause(ctx)
		}
		if !passes(err) {
			return o, false, err
		}
		why = err
		if !errors.Is(err, cluster.ErrCannot) {
			gone++
		}
		if gone > candidates {
			break
		}
	}
	if o.Node != "" || self.Edge || self.Role != ring.Member {
		return o, false, fmt.Errorf("%w: %w", chunk.ErrUnavailable, why)
	}
	return o, false, nil
}
