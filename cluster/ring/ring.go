package ring

import (
	"cmp"
	"slices"
	"strings"

	"glimpse/cachestore/chunk"
)

// Ring is a list of nodes, and the one before it. It never changes.
type Ring struct {
	nodes  []Node // by id, each once
	prev   *Ring
	zones  []string // those with owners, sorted
	owners map[string]group
	home   group // owners of all zones that are not edge
}

// New makes a ring of nodes. Of two with one id the one with the later epoch
// counts. prev is what was before, and may be nil; it is kept without its own
// previous one. Where prev has the same owners with the same weights, and only
// differs in what else is told of the nodes, its previous ring is kept in its
// place: Prev is always a ring that shares extents out otherwise.
func New(nodes []Node, prev *Ring) *Ring {
	sorted := slices.Clone(nodes)
	slices.SortFunc(sorted, func(a, b Node) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), -cmp.Compare(a.Epoch, b.Epoch), compareRest(a, b))
	})
	sorted = slices.CompactFunc(sorted, func(a, b Node) bool { return a.ID == b.ID })

	r := &Ring{nodes: sorted, owners: map[string]group{}}
	byZone := map[string][]int{}
	var home []int
	for i, n := range sorted {
		if !n.owns() {
			continue
		}
		byZone[n.Zone] = append(byZone[n.Zone], i)
		if !n.Edge {
			home = append(home, i)
		}
	}
	for zone, members := range byZone {
		r.zones = append(r.zones, zone)
		r.owners[zone] = newGroup(sorted, members)
	}
	slices.Sort(r.zones)
	r.home = newGroup(sorted, home)

	switch {
	case prev == nil:
	case SameShares(r, prev):
		r.prev = prev.prev
	default:
		before := *prev
		before.prev = nil
		r.prev = &before
	}
	return r
}

// compareRest makes the choice between two descriptions of one epoch the same in
// whatever order they come.
func compareRest(a, b Node) int {
	edge := func(n Node) int {
		if n.Edge {
			return 1
		}
		return 0
	}
	return cmp.Or(-cmp.Compare(a.State, b.State), -cmp.Compare(a.Role, b.Role), edge(b)-edge(a), strings.Compare(a.Zone, b.Zone), cmp.Compare(a.Weight, b.Weight),
		strings.Compare(a.Peer, b.Peer), strings.Compare(a.API, b.API), strings.Compare(a.Name, b.Name))
}

// SameShares says whether two rings share extents out in the same way.
func SameShares(a, b *Ring) bool { return slices.EqualFunc(a.nodes, b.nodes, sameShares) }

func sameShares(a, b Node) bool {
	return a.ID == b.ID && a.Zone == b.Zone && a.Weight == b.Weight && a.Edge == b.Edge && a.owns() == b.owns()
}

// Owner returns the owner of an extent in a zone; false: the zone has none.
func (r *Ring) Owner(zone string, key chunk.Key, extent int) (Node, bool) {
	i := r.owners[zone].first(hash(key, extent))
	if i < 0 {
		return Node{}, false
	}
	return r.nodes[i], true
}

// Candidates returns up to n nodes of a zone, in the order in which they would
// own the extent if those before them were gone; the first is the owner.
func (r *Ring) Candidates(zone string, key chunk.Key, extent, n int) []Node {
	return r.top(r.owners[zone], key, extent, n)
}

// Home returns up to n home candidates of an extent in order, the home owner
// first: among the nodes of the store's zone where zone is not empty, be it edge
// or not, and of all zones that are not edge otherwise. There may be none.
func (r *Ring) Home(key chunk.Key, extent, n int, zone string) []Node {
	if zone != "" {
		return r.Candidates(zone, key, extent, n)
	}
	return r.top(r.home, key, extent, n)
}

// HomeOf is Home for an object: the only candidate is the node that alone has its
// origin, as long as it is there, and one that drains has it still.
func (r *Ring) HomeOf(o chunk.Object, extent, n int) []Node {
	if o.Node == "" {
		return r.Home(o.Key, extent, n, o.Zone)
	}
	if at, ok := r.Node(o.Node); ok && at.Role == Member && n > 0 {
		return []Node{at}
	}
	return nil
}

// Steward returns the home owner of extent 0, who makes the first contact with
// an object's origin. zone is the store's, as for Home.
func (r *Ring) Steward(key chunk.Key, zone string) (Node, bool) {
	g := r.home
	if zone != "" {
		g = r.owners[zone]
	}
	i := g.first(hash(key, 0))
	if i < 0 {
		return Node{}, false
	}
	return r.nodes[i], true
}

func (r *Ring) top(g group, key chunk.Key, extent, n int) []Node {
	var room [4]scored
	best := g.top(hash(key, extent), n, room[:0])
	nodes := make([]Node, len(best))
	for i, b := range best {
		nodes[i] = r.nodes[b.index]
	}
	return nodes
}

// Zones returns the zones that have owners, sorted. It is not to be changed.
func (r *Ring) Zones() []string { return r.zones }

// Nodes returns all nodes by id, those that own nothing too. It is not to be
// changed.
func (r *Ring) Nodes() []Node { return r.nodes }

// Node returns the node with an id.
func (r *Ring) Node(id string) (Node, bool) {
	i, ok := slices.BinarySearchFunc(r.nodes, id, func(n Node, id string) int { return strings.Compare(n.ID, id) })
	if !ok {
		return Node{}, false
	}
	return r.nodes[i], true
}

// Prev returns the ring before the last change of shares, or nil. Its nodes are
// as they were then: Node of this ring says what they are now.
func (r *Ring) Prev() *Ring { return r.prev }

// Share returns the part of its zone's extents that a node owns, 0 to 1.
func (r *Ring) Share(id string) float64 {
	n, _ := r.Node(id)
	sum, own := 0.0, 0.0
	for _, m := range r.owners[n.Zone] {
		sum += m.weight
		if r.nodes[m.index].ID == id {
			own = m.weight
		}
	}
	if own == 0 {
		return 0
	}
	return own / sum
}
