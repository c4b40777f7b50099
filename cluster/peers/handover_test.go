package peers_test

import (
	"context"
	"testing"
	"time"

	"glimpse/cluster"
	"glimpse/cluster/clustertest"
	"glimpse/cluster/peers"
	"glimpse/cluster/ring"
	"glimpse/cluster/serve"
)

func TestThePlanePassesHandovers(t *testing.T) {
	local := &clustertest.Local{Forget: func(context.Context, string) error { return nil }}
	clustertest.Handovers(t, func(t *testing.T, h serve.Handover) (clustertest.Handover, ring.Node) {
		return asker(t, peers.Config{}), listen(t, serve.Config{Local: local, Handover: h}).at
	})
}

// A take goes on for hours: a peer that says that it waits is waited for.
func TestATakeIsWaitedFor(t *testing.T) {
	h := &clustertest.Hands{Taken: func(ctx context.Context, _ string) (cluster.Account, error) {
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
		}
		return cluster.Account{Chunks: 1}, ctx.Err()
	}}
	s := listen(t, serve.Config{Local: &clustertest.Local{}, Handover: h, Beat: 100 * time.Millisecond})
	p := asker(t, peers.Config{Stall: 800 * time.Millisecond})
	if a, err := p.Take(t.Context(), s.at); err != nil || a.Chunks != 1 {
		t.Errorf("%+v, %v", a, err)
	}
}
