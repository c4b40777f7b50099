package ring

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"glimpse/cachestore/chunk"
)

const extents = 100 // per object: 2,000,000 in all, save under the race detector

func key(i int) chunk.Key { return chunk.Key(fmt.Sprintf("c:sha512:%0128x:%d", i*7919, i)) }

// each calls fn with all extents.
func each(fn func(k chunk.Key, extent int)) {
	for o := range objects {
		k := key(o)
		for e := range extents {
			fn(k, e)
		}
	}
}

func members(zone string, weights ...int64) []Node {
	nodes := make([]Node, len(weights))
	for i, w := range weights {
		nodes[i] = Node{ID: fmt.Sprintf("%s-%04d", zone, i), Zone: zone, Weight: w, State: Ready}
	}
	return nodes
}

// within fails where a count of events of probability p in n tries is more than
// five standard deviations from what is expected: once in two million.
func within(t *testing.T, what string, got, n int, p float64) {
	t.Helper()
	mean, dev := float64(n)*p, math.Sqrt(float64(n)*p*(1-p))
	if math.Abs(float64(got)-mean) > 5*dev {
		t.Errorf("%s: %d, not within %.0f ± %.0f", what, got, mean, 5*dev)
	}
}

func TestSharesAreAsTheWeights(t *testing.T) {
	r := New(members("a", 1<<40, 1<<40, 1<<40, 2<<40, 3<<40, 1<<38, 0, -5), nil)
	owned := map[string]int{}
	each(func(k chunk.Key, e int) {
		n, _ := r.Owner("a", k, e)
		owned[n.ID]++
	})
	sum := 0.0
	for _, n := range r.Nodes() {
		within(t, n.ID, owned[n.ID], objects*extents, r.Share(n.ID))
		sum += r.Share(n.ID)
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("the shares add up to %v", sum)
	}
	if owned["a-0006"]+owned["a-0007"] > 0 {
		t.Error("a node without weight owns extents")
	}
}

// One hash of the extent serves all nodes: whoever comes second must not depend
// on who came first.
func TestSecondsAreAsTheWeightsToo(t *testing.T) {
	r := New(members("a", 1, 1, 1, 1, 1), nil)
	pairs := map[[2]string]int{}
	for o := range 4000 {
		for e := range 50 {
			c := r.Candidates("a", key(o), e, 2)
			pairs[[2]string{c[0].ID, c[1].ID}]++
		}
	}
	if len(pairs) != 20 {
		t.Fatalf("%d pairs of 20", len(pairs))
	}
	for p, got := range pairs {
		within(t, fmt.Sprint(p), got, 4000*50, 1.0/20)
	}
}

// moves counts the extents that changed from node to node.
func moves(before, after *Ring) map[[2]string]int {
	m := map[[2]string]int{}
	each(func(k chunk.Key, e int) {
		a, _ := before.Owner("a", k, e)
		b, _ := after.Owner("a", k, e)
		if a.ID != b.ID {
			m[[2]string{a.ID, b.ID}]++
		}
	})
	return m
}

func TestOnlyWhatMustMoveMoves(t *testing.T) {
	nodes := members("a", 3, 4, 5, 6)
	all := New(nodes, nil)
	less := New(nodes[:3], nil)
	for what, rings := range map[string][2]*Ring{"leave": {all, less}, "join": {less, all}} {
		total := 0
		for m, n := range moves(rings[0], rings[1]) {
			if m[0] != "a-0003" && m[1] != "a-0003" {
				t.Errorf("%s: %d extents moved from %s to %s", what, n, m[0], m[1])
			}
			total += n
		}
		within(t, what, total, objects*extents, 6.0/18)
	}
	heavier := slices.Clone(nodes)
	heavier[0].Weight = 9
	total := 0
	for m, n := range moves(all, New(heavier, nil)) {
		if m[1] != "a-0000" {
			t.Errorf("more weight: %d extents moved from %s to %s", n, m[0], m[1])
		}
		total += n
	}
	within(t, "more weight", total, objects*extents, 9.0/24-3.0/18)
	// The way back moves the same extents, by the definition of moves.
}

// believers are nodes that came to one list of members in ways of their own: each
// heard it in another order, with what earlier starts said among it, and through
// other rings before. Node i also knows of i clients, which come first by their ids.
func believers(nodes []Node) []*Ring {
	rings := []*Ring{New(nodes, nil)}
	for seed := range uint64(2) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		heard := slices.Clone(nodes)
		for i, n := range nodes {
			n.Epoch, n.Weight, n.Zone, n.State = n.Epoch-1, int64(rnd.IntN(9)), nodes[(i+1)%len(nodes)].Zone, Ready
			heard = append(heard, n)
		}
		for i := range seed + 1 {
			heard = append(heard, Node{ID: fmt.Sprint("0", i), Zone: "a", Weight: 1 << 40, Role: Client})
		}
		rnd.Shuffle(len(heard), func(i, j int) { heard[i], heard[j] = heard[j], heard[i] })
		var r *Ring
		for n := 1; n <= len(heard); n++ {
			r = New(heard[:n], r)
		}
		rings = append(rings, r)
	}
	return rings
}

// Every node gives the same answer, for every extent: the owner in each zone, and
// at home those that come after it too.
func TestEveryNodeGivesTheSameAnswer(t *testing.T) {
	nodes := append(members("a", 1<<40, 1<<40, 2<<40, 3<<38), members("b", 1<<40, 1<<39, 1<<40)...)
	for i := range nodes {
		nodes[i].Epoch = uint32(1 + i)
	}
	nodes[1].State, nodes[2].State, nodes[6].Edge = Draining, Warming, true
	rings := believers(nodes)
	for i, r := range rings[1:] {
		if r.Prev() == nil || !slices.Equal(r.Nodes()[i+1:], rings[0].Nodes()) {
			t.Fatalf("node %d has other members, or none before: the test shows nothing", i+1)
		}
	}
	homes := map[string]int{}
	each(func(k chunk.Key, e int) {
		x := hash(k, e)
		var inA, inB int
		var home [3]scored
		for i, r := range rings {
			a, b := r.owners["a"].first(x)-i, r.owners["b"].first(x)-i
			var room [3]scored
			for j := range r.home.top(x, len(room), room[:0]) {
				room[j].index -= i // its clients
			}
			if i == 0 {
				inA, inB, home = a, b, room
				homes[r.nodes[room[0].index].ID]++
			}
			if a != inA || b != inB || room != home {
				t.Fatalf("node %d, extent %d of %s: %d, %d, %v, and not %d, %d, %v", i, e, k, a, b, room, inA, inB, home)
			}
		}
	})
	if len(homes) != 5 {
		t.Errorf("%d nodes are home to something, not 5", len(homes))
	}
}

func drawNodes(t *rapid.T) []Node {
	n := rapid.IntRange(0, 12).Draw(t, "n")
	nodes := make([]Node, n)
	for i := range nodes {
		nodes[i] = Node{
			ID: fmt.Sprintf("%02d", i), Zone: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "zone"),
			Weight: rapid.SampledFrom([]int64{-1, 0, 1, 7, 1 << 40, math.MaxInt64}).Draw(t, "weight"),
			Epoch:  rapid.Uint32().Draw(t, "epoch"), State: State(rapid.IntRange(0, 2).Draw(t, "state")),
			Role: Role(rapid.IntRange(0, 1).Draw(t, "role")), Edge: rapid.Bool().Draw(t, "edge"),
		}
	}
	return nodes
}

func TestRingProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := drawNodes(t)
		r := New(nodes, nil)
		mixed := slices.Clone(nodes)
		for _, n := range nodes {
			if n.Epoch > 0 {
				n.Epoch, n.Weight, n.Zone = n.Epoch-1, 99, "b"
				mixed = append(mixed, n) // what an earlier start said counts for nothing
			}
		}
		rand.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		other := New(mixed, r)
		if other.Prev() != nil || !reflect.DeepEqual(r.Nodes(), other.Nodes()) || !reflect.DeepEqual(r.Zones(), other.Zones()) {
			t.Fatal("the order of nodes counts")
		}
		for i := range 20 {
			k, e := key(i), i*31
			var home []Node
			for _, zone := range []string{"a", "b", "c", "d"} {
				owner, ok := r.Owner(zone, k, e)
				all := r.Candidates(zone, k, e, len(nodes)+1)
				if ok != slices.Contains(r.Zones(), zone) || ok != (len(all) > 0) {
					t.Fatalf("zone %s, owner %v, %d candidates", zone, ok, len(all))
				}
				if !slices.Equal(all, other.Candidates(zone, k, e, 100)) || !slices.Equal(all, r.Home(k, e, 100, zone)) {
					t.Fatal("other candidates")
				}
				if !ok {
					continue
				}
				if owner != all[0] {
					t.Fatalf("owner %v, candidates %v", owner, all)
				}
				for n := range all {
					if got := r.Candidates(zone, k, e, n); !slices.Equal(got, all[:n]) {
						t.Fatalf("%d candidates: %v of %v", n, got, all)
					}
					if c := all[n]; c.Zone != zone || !c.owns() {
						t.Fatalf("%v can't own in %s", c, zone)
					}
				}
				// Without the owner the next one owns.
				rest := slices.DeleteFunc(slices.Clone(nodes), func(n Node) bool { return n.ID == owner.ID })
				if got := New(rest, nil).Candidates(zone, k, e, 1); len(all) > 1 && got[0].ID != all[1].ID {
					t.Fatalf("%v follows, not %v", got, all[1])
				}
			}
			home = r.Home(k, e, 100, "")
			for _, n := range home {
				if n.Edge || !n.owns() {
					t.Fatalf("%v can't be home", n)
				}
			}
			steward, ok := r.Steward(k, "")
			if first := r.Home(k, 0, 1, ""); ok != (len(first) == 1) || ok && steward != first[0] {
				t.Fatalf("steward %v, home %v", steward, first)
			}
		}
	})
}

func TestTheLaterStartCounts(t *testing.T) {
	n := members("a", 1)[0]
	for _, epochs := range [][2]uint32{{1, 2}, {2, 1}} {
		a, b := n, n
		a.Epoch, b.Epoch = epochs[0], epochs[1]
		if r := New([]Node{a, b}, nil); len(r.Nodes()) != 1 || r.Nodes()[0].Epoch != 2 {
			t.Errorf("%v", r.Nodes())
		}
	}
}

func TestNobodyHasWeight(t *testing.T) {
	r := New(members("a", 0, 0, -3), nil)
	for _, n := range r.Nodes() {
		if s := r.Share(n.ID); math.Abs(s-1.0/3) > 1e-9 {
			t.Errorf("%s has %v", n.ID, s)
		}
	}
}

func TestOnePreviousRingIsKept(t *testing.T) {
	nodes := members("a", 1, 1, 1)
	nodes[2].State = Warming
	one := New(nodes[:1], nil)
	two := New(nodes[:2], one)
	three := New(nodes, two)
	if three.Prev().Prev() != nil || len(three.Prev().Nodes()) != 2 || two.Prev() == nil {
		t.Error("the wrong ring is kept")
	}
	nodes[2].State = Ready
	if ready := New(nodes, three); len(ready.Prev().Nodes()) != 2 {
		t.Error("a change of state hides the owners before the join")
	}
	nodes[2].State = Draining
	if draining := New(nodes, three); len(draining.Prev().Nodes()) != 3 {
		t.Error("draining is no change of owners")
	}
	if n, ok := three.Node("a-0002"); !ok || n.State != Warming {
		t.Errorf("a ring has changed: %v", n)
	}
	if _, ok := three.Node("b"); ok {
		t.Error("an unknown node is found")
	}
}

// Nodes of other versions and processors rely on these.
func TestAnswersNeverChange(t *testing.T) {
	r := New(members("a", 1<<40, 1<<40, 2<<40, 3<<40, 1<<39), nil)
	got := ""
	for i := range 40 {
		n, _ := r.Owner("a", key(i), i)
		got += n.ID[len(n.ID)-1:]
	}
	if want := "1300331032321123023203120300230202330211"; got != want {
		t.Errorf("owners %s, not %s", got, want)
	}
	o := owner{seed: 0x1234, weight: 3 << 40}
	for extent, want := range map[uint64]uint64{
		1: 0x42ab2ebd0c569d74, 0xdead: 0x4294613deb95d74a, 1 << 63: 0x42c49c2b8b37eaa6, 0x0123456789abcdef: 0x428098811b48f0ca,
	} {
		if got := math.Float64bits(o.score(o.draw(extent))); got != want {
			t.Errorf("score of %x: %#x, not %#x", extent, got, want)
		}
	}
}

func TestTheLogarithm(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		u := (float64(r.Uint64()>>12) + 0.5) * 0x1p-52
		if r.IntN(4) == 0 {
			u = 1 - (float64(r.IntN(1000))+0.5)*0x1p-52
		}
		want := math.Log(u)
		if got := ln(u); !(got < 0) || math.Abs(got-want) > 2e-16*math.Abs(want)*2 {
			t.Fatalf("ln(%v) = %v, not %v", u, got, want)
		}
	}
	if s := (owner{weight: 1}).score((owner{}).draw(0)); math.IsNaN(s) || math.IsInf(s, 0) {
		t.Error(s)
	}
}

// Who is passed over without a logarithm would not have come first.
func TestNobodyIsPassedOver(t *testing.T) {
	for _, nodes := range [][]Node{members("a", make([]int64, 50)...), members("a", 1, 2, 3, 1<<40, 1<<41, 5<<40, 3<<41)} {
		r := New(nodes, nil)
		for i := range 20_000 {
			x := mix(uint64(i))
			best, at := 0.0, -1
			for _, o := range r.owners["a"] {
				if s := o.score(o.draw(x)); s > best {
					best, at = s, o.index
				}
			}
			if got := r.owners["a"].first(x); got != at {
				t.Fatalf("extent %x: %d, not %d", x, got, at)
			}
		}
	}
}

func TestLookUpsDoNotAllocate(t *testing.T) {
	r := New(members("a", 1, 2, 3), nil)
	k := key(1)
	if n := testing.AllocsPerRun(100, func() { r.Owner("a", k, 3); r.Steward(k, "") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkOwnerOf1000(b *testing.B) {
	r := New(members("a", make([]int64, 1000)...), nil)
	k := key(1)
	b.ReportAllocs()
	for i := range b.N {
		r.Owner("a", k, i)
	}
}
