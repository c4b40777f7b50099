package edge

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"

	"glimpse/cluster"
	"glimpse/cluster/ring"
	"glimpse/cluster/wire"
)

// Reach connects to a node that nobody dials; false: it is dialled as any other.
func (f *Far) Reach(ctx context.Context, n ring.Node) (net.Conn, bool, error) {
	if self := f.c.Members.Self(); !n.Edge || n.Zone == self.Zone {
		return nil, false, nil
	}
	if c, err := f.Open(n.ID); err == nil {
		return c, true, nil
	}
	f.mu.Lock()
	via := slices.Clone(f.known[n.ID].via)
	f.mu.Unlock()
	err := errNoLink
	for _, i := range rand.Perm(len(via)) {
		at, ok := f.c.Members.Ring().Node(via[i])
		if !ok || at.Edge || at.ID == f.c.Members.Self().ID {
			continue
		}
		var c net.Conn
		if c, err = f.c.Peers.Switch(ctx, at, wire.Via, wire.Ask{Through: n.ID}); err == nil {
			return c, true, nil
		}
	}
	return nil, true, fmt.Errorf("%w: %w", cluster.ErrAway, err)
}

var errNoLink = errors.New("no link to the node is known")
