package source

import (
	"context"
	"errors"
	"slices"
	"testing"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
)

// answering is a network in which nodes are only asked for sizes.
type answering struct {
	cluster.Peers
	say   map[string]error // by node; nil: it finds the object
	asked []string
}

func (a *answering) Stat(_ context.Context, at ring.Node, o chunk.Object) (chunk.Object, error) {
	a.asked = append(a.asked, at.ID)
	o.Size = 7
	return o, a.say[at.ID]
}

func TestTheStewardMakesTheFirstContact(t *testing.T) {
	all := members(5, "a")
	rg := ring.New(all, nil)
	o := chunk.Object{Ref: "image/1"}
	order := ids(rg.Home(chunk.Key("ref:"+o.Ref), 0, 5, ""))
	other := func(id string) *node {
		n := &node{self: ring.Node{ID: id, Zone: "a", State: ring.Ready}}
		n.ring.Store(rg)
		return n
	}
	edge, client := other(order[4]), other("client")
	edge.self.Edge, client.self.Role = true, ring.Client
	for name, c := range map[string]struct {
		self  *node
		say   map[string]error
		found bool
		err   error
		asked int
	}{
		"it is this node":               {self: other(order[0])},
		"it is another one":             {self: other(order[4]), found: true, asked: 1},
		"it is gone":                    {self: other(order[4]), say: map[string]error{order[0]: cluster.ErrAway}, found: true, asked: 2},
		"it is gone, this one is next":  {self: other(order[1]), say: map[string]error{order[0]: cluster.ErrCannot}, asked: 1},
		"its word is final":             {self: other(order[4]), say: map[string]error{order[0]: chunk.ErrNotFound}, err: chunk.ErrNotFound, asked: 1},
		"nobody can":                    {self: other(order[4]), say: gone(order), asked: 3},
		"nobody can, and this is edge":  {self: edge, say: gone(order), err: chunk.ErrUnavailable, asked: 3},
		"nobody can; this one may not":  {self: client, say: gone(order), err: chunk.ErrUnavailable, asked: 3},
		"the store is the fourth's":     {self: client, say: map[string]error{order[0]: cluster.ErrCannot, order[1]: cluster.ErrCannot, order[2]: cluster.ErrCannot}, found: true, asked: 4},
		"a client asks as others do":    {self: client, found: true, asked: 1},
		"an edge node asks as they do ": {self: edge, found: true, asked: 1},
	} {
		net := &answering{say: c.say}
		found, ok, err := New(Config{Members: c.self, Peers: net, Geometry: small}).Steward(t.Context(), o)
		if ok != c.found || !errors.Is(err, c.err) || c.err == nil && err != nil || ok && found.Size != 7 {
			t.Errorf("%s: %+v %v %v", name, found, ok, err)
		}
		if len(net.asked) != c.asked || !slices.Equal(net.asked, order[:c.asked]) {
			t.Errorf("%s: asked %v of %v", name, net.asked, order)
		}
	}
}

// Only who has the folder can make the contact with what lies in it.
func TestTheHolderMakesTheFirstContact(t *testing.T) {
	all := members(5, "a")
	self := &node{self: all[0]}
	for name, c := range map[string]struct {
		holder string
		say    map[string]error
		found  bool
		err    error
		asked  []string
	}{
		"this node":     {holder: all[0].ID},
		"another one":   {holder: all[3].ID, found: true, asked: []string{all[3].ID}},
		"it is away":    {holder: all[3].ID, say: gone([]string{all[3].ID}), err: chunk.ErrUnavailable, asked: []string{all[3].ID}},
		"it is unknown": {holder: "gone", err: chunk.ErrUnavailable},
	} {
		self.ring.Store(ring.New(all, nil))
		net := &answering{say: c.say}
		_, ok, err := New(Config{Members: self, Peers: net, Geometry: small}).Steward(t.Context(), chunk.Object{Ref: "image/1", Node: c.holder})
		if ok != c.found || !errors.Is(err, c.err) || c.err == nil && err != nil || !slices.Equal(net.asked, c.asked) {
			t.Errorf("%s: %v %v, asked %v", name, ok, err, net.asked)
		}
	}
}

func gone(nodes []string) map[string]error {
	say := map[string]error{}
	for _, id := range nodes {
		say[id] = cluster.ErrAway
	}
	return say
}
