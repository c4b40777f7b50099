package edge

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"glimpse/cluster/ring"
)

func edgeEntry(id string, seq uint64, age time.Duration) entry {
	e := entryOf(ring.Node{ID: id, Zone: "x", Edge: true, Weight: 1, State: ring.Ready, Peer: "10.0.0.1:1"})
	e.Seq, e.AgeMS = seq, age.Milliseconds()
	return e
}

// The latest that an edge node told counts, by whatever way it comes; what comes
// late changes nothing, and keeps nobody alive.
func TestTheLatestWordOfANodeCounts(t *testing.T) {
	known, now := map[string]record{}, time.Now()
	told := func(e entry) bool { return len(merge(known, []entry{e}, now)) > 0 }
	first, moved := edgeEntry("a", 5, 0), edgeEntry("a", 7, 0)
	moved.Via = []string{"h2"}
	for i, c := range []struct {
		e    entry
		news bool
	}{
		{first, true},
		{first, false},
		{edgeEntry("a", 6, 0), false}, // it is still there
		{moved, true},
		{edgeEntry("a", 6, 0), false}, // by a longer way
		{edgeEntry("b", 1, lostAfter+time.Second), false},
		{entryOf(ring.Node{ID: "c", Zone: "home"}), false}, // no edge node
	} {
		if told(c.e) != c.news {
			t.Errorf("%d: news: %v", i, !c.news)
		}
	}
	if len(known) != 1 || known["a"].seq != 7 || !slices.Equal(known["a"].via, moved.Via) {
		t.Errorf("%+v", known)
	}
	now = now.Add(lostAfter - time.Second)
	if expire(known, now) {
		t.Error("it is forgotten too soon")
	}
	told(edgeEntry("a", 7, 0)) // nothing new
	now = now.Add(2 * time.Second)
	if !expire(known, now) || len(known) != 0 {
		t.Error("a node that is silent is not forgotten")
	}
}

func TestBooksThatAreRefused(t *testing.T) {
	many := func(n int) (k book) {
		for i := range n {
			k.Edge = append(k.Edge, edgeEntry(fmt.Sprint(i), 1, 0))
		}
		return k
	}
	with := func(fn func(*entry)) book {
		k := many(2)
		fn(&k.Edge[1])
		return k
	}
	long := strings.Repeat("x", 256)
	for name, c := range map[string]struct {
		k  book
		ok bool
	}{
		"as many as there may be": {many(maxNodes), true},
		"too many":                {many(maxNodes + 1), false},
		"no id":                   {with(func(e *entry) { e.ID = "" }), false},
		"a long id":               {with(func(e *entry) { e.ID = long }), false},
		"a long zone":             {with(func(e *entry) { e.Zone = long }), false},
		"a weight below nothing":  {with(func(e *entry) { e.Weight = -1 }), false},
		"links without end":       {with(func(e *entry) { e.Via = make([]string, maxVia+1) }), false},
	} {
		b, err := json.Marshal(c.k)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decode(b); (err == nil) != c.ok || err != nil && !errors.Is(err, errBook) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := decode([]byte("[1")); !errors.Is(err, errBook) {
		t.Error(err)
	}
	// A later version's states make a node that owns nothing.
	b, _ := json.Marshal(with(func(e *entry) { e.State = 77 }))
	if k, err := decode(b); err != nil || k.Edge[1].State != ring.Draining {
		t.Errorf("%v %+v", err, k.Edge[1])
	}
}
