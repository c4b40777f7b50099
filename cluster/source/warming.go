package source

import (
	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
)

// A node that has joined is warming: it owns extents that others still have.

// beforeZone is the step before the owner of an extent in this zone is asked, where
// that one is warming: those who had the extent are asked for what they have.
func (r *Router) beforeZone(rg *ring.Ring, owner ring.Node, o chunk.Object, extent int) []step {
	if owner.State != ring.Warming || owner.ID == r.c.Members.Self().ID {
		return nil
	}
	return []step{r.lookAround(place{cluster.Zone, o.Key, extent}, r.hadInZone(rg, o, extent))}
}

// beforeHome is beforeZone for the home owner.
func (r *Router) beforeHome(rg *ring.Ring, owner ring.Node, o chunk.Object, extent int) []step {
	if owner.State != ring.Warming || owner.ID == r.c.Members.Self().ID {
		return nil
	}
	return []step{r.lookAround(place{cluster.Home, o.Key, extent}, r.hadAtHome(rg, o, extent))}
}

// hadInZone returns who may have had an extent in this zone before: the owner under
// the previous ring, and the one that would own it without those that are warming.
func (r *Router) hadInZone(rg *ring.Ring, o chunk.Object, extent int) []ring.Node {
	zone := r.c.Members.Self().Zone
	var was []ring.Node
	if p := rg.Prev(); p != nil {
		was = p.Candidates(zone, o.Key, extent, 1)
	}
	return had(rg, was, func(n int) []ring.Node { return rg.Candidates(zone, o.Key, extent, n) })
}

// hadAtHome is hadInZone for the home owner.
func (r *Router) hadAtHome(rg *ring.Ring, o chunk.Object, extent int) []ring.Node {
	var was []ring.Node
	if p := rg.Prev(); p != nil {
		was = p.HomeOf(o, extent, 1)
	}
	return had(rg, was, func(n int) []ring.Node { return rg.HomeOf(o, extent, n) })
}

// had returns who was, as it is now, and the first of the candidates that is not
// warming. Without such it is nobody: the cluster has just begun.
func had(rg *ring.Ring, was []ring.Node, candidates func(n int) []ring.Node) []ring.Node {
	nodes := present(rg, was)
	for n := 1 + len(nodes); ; n *= 4 {
		found := candidates(n)
		for _, c := range found {
			if c.State != ring.Warming {
				return append(nodes, c)
			}
		}
		if len(found) < n {
			return nodes
		}
	}
}
