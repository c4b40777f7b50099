package source

import (
	"testing"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
)

// Over a WAN nobody of another zone is asked beside an owner.
func TestHedgesStayInTheZone(t *testing.T) {
	all := members(8, "a", "b")
	rg := ring.New(all, nil)
	self := &node{self: all[0]}
	self.ring.Store(rg)
	for _, nearOnly := range []bool{false, true} {
		r := New(Config{Members: self, Geometry: small, NearOnly: nearOnly})
		near, far := 0, 0
		for extent := range 20 {
			p := place{cluster.Home, "k", extent}
			r.remember(p, all[1].ID, all[1].Peer)
			r.remember(p, "unknown", "10.0.0.1:1")
			for _, n := range r.holders(all[2], p, chunk.Object{Key: p.key}) {
				if n.Zone == "a" {
					near++
				} else {
					far++
				}
			}
		}
		if near == 0 || (far == 0) != nearOnly {
			t.Errorf("near only %v: %d near, %d far", nearOnly, near, far)
		}
	}
}
