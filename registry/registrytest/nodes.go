package registrytest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"glimpse/registry"
	"glimpse/registry/image"
)

var nodeTests = map[string]func(t *testing.T, r registry.Registry){
	"a node beats and leaves":   testNode,
	"two nodes with one id":     testOneID,
	"a node that beats no more": testSilentNode,
	"what a row doesn't hold":   testNodeText,
}

func newNode() registry.NodeRow {
	return registry.NodeRow{
		ID: uuid.NewString(), Name: "n1", Zone: "rack-1", Gossip: "[::1]:7946", Peer: "n1:9293", API: "n1:9292", Epoch: 3,
		Role: "member", State: "warming", Stores: []string{"main", "ceph b,c"}, Lease: time.Second, TTL: time.Hour,
	}
}

// live returns the live row of a node, nil where there is none: other tests have
// nodes too.
func live(t *testing.T, r registry.Registry, id string) *registry.NodeRow {
	t.Helper()
	all, err := r.Live(t.Context())
	must(t, err)
	var found *registry.NodeRow
	for i, n := range all {
		if i > 0 && all[i-1].ID >= n.ID {
			t.Errorf("%s comes before %s", all[i-1].ID, n.ID)
		}
		if n.ID == id {
			found = &n
		}
	}
	return found
}

func testNode(t *testing.T, r registry.Registry) {
	a, b := newNode(), newNode()
	b.Stores, b.Lease = nil, 0
	for _, n := range []registry.NodeRow{a, b} {
		must(t, r.Beat(t.Context(), n))
		if d := cmp.Diff(&n, live(t, r, n.ID)); d != "" {
			t.Error(d)
		}
	}
	a.Name, a.State, a.Stores = "n2", "ready", []string{"main"}
	must(t, r.Beat(t.Context(), a))
	must(t, r.Beat(t.Context(), a)) // nothing but its time changes
	if d := cmp.Diff(&a, live(t, r, a.ID)); d != "" {
		t.Error(d)
	}
	must(t, r.Leave(t.Context(), a.ID, a.Epoch))
	must(t, r.Leave(t.Context(), a.ID, a.Epoch))
	if live(t, r, a.ID) != nil || live(t, r, b.ID) == nil {
		t.Error("the wrong one left")
	}
}

func testOneID(t *testing.T, r registry.Registry) {
	n := newNode()
	must(t, r.Beat(t.Context(), n))
	early := n
	early.Epoch--
	err := r.Beat(t.Context(), early)
	wantKind(t, err, image.Conflict)
	if !strings.Contains(err.Error(), n.ID) {
		t.Errorf("%v doesn't name the id", err)
	}
	twin := n
	twin.Peer = "n2:9293"
	wantKind(t, r.Beat(t.Context(), twin), image.Conflict)
	if d := cmp.Diff(&n, live(t, r, n.ID)); d != "" {
		t.Error(d)
	}
	twin.Epoch++ // restarted elsewhere
	must(t, r.Beat(t.Context(), twin))
	wantKind(t, r.Beat(t.Context(), n), image.Conflict)
	must(t, r.Leave(t.Context(), n.ID, n.Epoch)) // the former start comes to its end
	if d := cmp.Diff(&twin, live(t, r, n.ID)); d != "" {
		t.Error(d)
	}
}

func testSilentNode(t *testing.T, r registry.Registry) {
	alive, n := newNode(), newNode()
	must(t, r.Beat(t.Context(), alive))
	n.TTL = time.Millisecond
	must(t, r.Beat(t.Context(), n))
	for live(t, r, n.ID) != nil {
		time.Sleep(time.Millisecond)
	}
	if gone, err := r.Purge(t.Context(), time.Hour); err != nil || gone != 0 {
		t.Errorf("purged %d of an hour ago: %v", gone, err)
	}
	early := n
	early.Epoch--
	wantKind(t, r.Beat(t.Context(), early), image.Conflict) // dead, but known
	if gone, err := r.Purge(t.Context(), 0); err != nil || gone != 1 {
		t.Errorf("purged %d: %v", gone, err)
	}
	if live(t, r, alive.ID) == nil {
		t.Error("a live one was purged")
	}
	early.TTL = time.Hour
	must(t, r.Beat(t.Context(), early))
	if live(t, r, n.ID) == nil {
		t.Error("it doesn't come back")
	}
}

func testNodeText(t *testing.T, r registry.Registry) {
	for _, change := range []func(n *registry.NodeRow){
		func(n *registry.NodeRow) { n.ID += "x" },
		func(n *registry.NodeRow) { n.Zone = strings.Repeat("z", 256) },
		func(n *registry.NodeRow) { n.State = "a state without any end" },
		func(n *registry.NodeRow) { n.Stores = []string{"a\x00"} },
	} {
		n := newNode()
		change(&n)
		wantKind(t, r.Beat(t.Context(), n), image.Invalid)
	}
}
