package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
)

// long is how many times as many seeds are tried where there is time.
func long() uint64 {
	if os.Getenv("GLIMPSE_LONG") != "" {
		return 20
	}
	return 1
}

// change is what gossip tells of one node, on its way through a cluster: some have
// heard of it, and have the ring before it as the previous one, and some have not.
type change struct {
	name string
	make func(nodes []ring.Node, i int) (before, after []ring.Node)
}

func with(nodes []ring.Node, i int, set func(*ring.Node)) []ring.Node {
	nodes = slices.Clone(nodes)
	set(&nodes[i])
	return nodes
}

func without(nodes []ring.Node, i int) []ring.Node {
	return slices.Delete(slices.Clone(nodes), i, i+1)
}

var changes = []change{
	{"join", func(nodes []ring.Node, i int) ([]ring.Node, []ring.Node) {
		return without(nodes, i), with(nodes, i, func(n *ring.Node) { n.State = ring.Warming })
	}},
	{"join, ready", func(nodes []ring.Node, i int) ([]ring.Node, []ring.Node) { return without(nodes, i), nodes }},
	{"leave", func(nodes []ring.Node, i int) ([]ring.Node, []ring.Node) {
		return nodes, with(nodes, i, func(n *ring.Node) { n.State = ring.Draining })
	}},
	{"taken for dead", func(nodes []ring.Node, i int) ([]ring.Node, []ring.Node) { return nodes, without(nodes, i) }},
	{"more weight", func(nodes []ring.Node, i int) ([]ring.Node, []ring.Node) {
		return nodes, with(nodes, i, func(n *ring.Node) { n.Weight *= 3 })
	}},
	{"less weight", func(nodes []ring.Node, i int) ([]ring.Node, []ring.Node) {
		return nodes, with(nodes, i, func(n *ring.Node) { n.Weight /= 3 })
	}},
	{"ready", func(nodes []ring.Node, i int) ([]ring.Node, []ring.Node) {
		return with(nodes, i, func(n *ring.Node) { n.State = ring.Warming }), nodes
	}},
	{"another zone", func(nodes []ring.Node, i int) ([]ring.Node, []ring.Node) {
		return nodes, with(nodes, i, func(n *ring.Node) { n.Zone = nodes[(i+1)%len(nodes)].Zone })
	}},
}

// Some nodes have heard of a change and others have not, and it goes on to travel
// while clients read: one copy leaves the origin, and nobody waits for ever.
func TestNodesThatDisagree(t *testing.T) {
	for _, size := range []struct {
		nodes int
		zones []string
		seeds uint64
	}{{3, []string{"a"}, 4 * long()}, {8, []string{"a", "b"}, 4 * long()}, {50, []string{"a", "b", "c"}, 1}} {
		for _, c := range changes {
			t.Run(fmt.Sprintf("%d nodes, %s", size.nodes, c.name), func(t *testing.T) {
				for seed := range size.seeds {
					synctest.Test(t, func(t *testing.T) { disagree(t, members(size.nodes, size.zones...), c, seed) })
				}
			})
		}
	}
}

const disagreeSize = 14*64<<10 + 777

// disagree has a part of the nodes hear of a change before clients come, and with
// some seeds another part while they read.
func disagree(t *testing.T, nodes []ring.Node, c change, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 3))
	who := rnd.IntN(len(nodes))
	before, after := c.make(nodes, who)
	w := settle(t, disagreeSize, nodes...)
	if seed%2 > 0 {
		w.jitter = 20 * time.Millisecond
	}
	old := ring.New(before, nil)
	now := ring.New(after, old)
	for _, n := range nodes {
		w.nodes[n.ID].ring.Store(old)
	}
	if c.name != "taken for dead" { // it does not believe that
		w.nodes[nodes[who].ID].ring.Store(now) // of itself it knows first
	}
	others := without(nodes, who)
	rnd.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	ahead := []int{0, 1, len(others) / 2, len(others) - 1}[seed%4]
	for _, n := range others[:ahead] {
		w.nodes[n.ID].ring.Store(now)
	}
	var travels sync.WaitGroup
	if seed%4 < 2 {
		travels.Go(func() {
			for _, n := range others[ahead:] {
				time.Sleep(3 * time.Millisecond)
				w.nodes[n.ID].ring.Store(now)
			}
		})
	}
	at := ids(nodes)
	rnd.Shuffle(len(at), func(i, j int) { at[i], at[j] = at[j], at[i] })
	for _, at := range [][]string{at[:1+rnd.IntN(len(at))], at} {
		if failed := w.storm(min(len(nodes)+3, 16), at...); failed > 0 {
			t.Errorf("seed %d: %d clients failed", seed, failed)
		}
	}
	travels.Wait()
	if t.Failed() {
		t.Logf("seed %d: %s changes, %d of %d others know", seed, nodes[who].ID, ahead, len(others))
	}
	w.once()
	w.close()
}

// Every node believes in a ring of its own, as gossip does not make them: the others
// as it saw them at different times. Two that own an extent, each by some ring, may
// then not be among those that either looks at, and both read it. Where all owners of
// an extent are, one copy of it leaves the origin.
func TestNodesThatDisagreeAboutEverything(t *testing.T) {
	for seed := range 8 * long() {
		synctest.Test(t, func(t *testing.T) {
			nodes := members(6, "a", "b")
			w := settle(t, imageSize, nodes...)
			rnd := rand.New(rand.NewPCG(seed, 1))
			for _, d := range nodes { // in their order, so that a seed says it all
				var seen []ring.Node
				for _, o := range nodes {
					if o.ID == d.ID || rnd.IntN(3) > 0 {
						seen = append(seen, o)
					}
				}
				w.nodes[d.ID].ring.Store(ring.New(seen, ring.New(nodes, nil)))
			}
			if failed := w.storm(12, ids(nodes)...); failed > 0 {
				t.Errorf("seed %d: %d clients failed", seed, failed)
			}
			alone := 0
			for e := range small.ExtentOf(small.Count(imageSize)-1) + 1 {
				owners, together := w.homes(e)
				if !together {
					alone++
				}
				for i := e * small.Extent; i < min((e+1)*small.Extent, small.Count(imageSize)); i++ {
					n := 0
					for p, times := range w.readAt {
						if small.Index(p.off) == i {
							n += times
						}
					}
					if n != 1 && together || n > len(owners) {
						t.Errorf("seed %d: chunk %d of extent %d left the origin %d times; its owners are %v, and know each other: %v", seed, i, e, n, owners, together)
					}
				}
			}
			t.Logf("seed %d: %.2f copies out of the origin; of %d extents some owners don't know each other", seed, float64(w.read)/imageSize, alone)
			w.close()
		})
	}
}

// homes returns who is home to an extent by anybody's ring, and whether of each two
// of them one looks at the other.
func (w *world) homes(extent int) (owners []string, together bool) {
	looks := map[[2]string]bool{}
	for _, n := range w.nodes {
		rg := n.Ring()
		near := rg.HomeOf(w.object(), extent, 1+candidates)
		if id := near[0].ID; !slices.Contains(owners, id) {
			owners = append(owners, id)
		}
		for _, o := range append(near, n.r.hadAtHome(rg, w.object(), extent)...) {
			looks[[2]string{n.self.ID, o.ID}], looks[[2]string{o.ID, n.self.ID}] = true, true
		}
	}
	slices.SortFunc(owners, cmp.Compare[string])
	for i, a := range owners {
		for _, b := range owners[:i] {
			if !looks[[2]string{a, b}] {
				return owners, false
			}
		}
	}
	return owners, true
}

// Of two that look around at once for one extent, one hears of the other, however
// close they come.
func TestOneOfTwoHearsOfTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(2, "a")
		w := settle(t, imageSize, nodes...)
		defer w.close()
		r, o := w.nodes[nodes[0].ID].r, w.object()
		p := place{cluster.Home, o.Key, 0}
		look := func() *alone {
			_, err := r.tour(t.Context(), p, nodes[1:], o, 0, small.Chunk)
			var a *alone
			if !errors.As(err, &a) {
				t.Fatal(err)
			}
			return a
		}

		// Who was asked before it goes out asks back, also a stranger.
		a := look()
		r.remember(p, "a stranger", "elsewhere:9293")
		if r.goOut(p, a, 0, 1) {
			t.Error("it goes out, and has heard that another one looks around")
		}
		if now, _ := r.recent(p, a.asks); len(now) != 1 || now[0] != (ring.Node{ID: "a stranger", Peer: "elsewhere:9293"}) {
			t.Errorf("it does not find it: %v", now)
		}
		r.askers.Remove(p) // it would be asked

		// Who asks while it is asked itself is asked again.
		asked := 0
		w.busy = func(string, cluster.Ask) bool {
			if asked++; asked == 1 {
				r.remember(p, nodes[1].ID, nodes[1].Peer)
			}
			return false
		}
		a = look()
		if asked != 2 {
			t.Errorf("it was asked %d times", asked)
		}
		if !r.goOut(p, a, 0, 1) {
			t.Error("it does not go out, and all were asked")
		}
		r.comeBack(p, 0, 1)
	})
}

// hasty is a level whose fill goes outward just after somebody was told that there
// is nothing.
type hasty struct {
	Level
	goOut func()
}

func (h *hasty) OpenResident(_ context.Context, _ chunk.Object, _, _ int64, follow func(int) bool) (chunk.Stream, error) {
	if follow(0) {
		return ended{}, nil
	}
	h.goOut()
	return nil, chunk.ErrNotResident
}

// Who has gone out while it was asked is followed: it does not ask back any more.
func TestWhoHasGoneOutIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(2, "a")
		w := settle(t, imageSize, nodes...)
		defer w.close()
		r, o := w.nodes[nodes[1].ID].r, w.object()
		p := place{cluster.Home, o.Key, 0}
		h := &hasty{r.home, func() { r.goOut(p, nil, 0, 1) }}
		r.Bind(r.zone, h)
		if _, err := r.Serve(t.Context(), w.nodes[nodes[0].ID].r.ask(o, cluster.Home, true), 0, small.Chunk); err != nil {
			t.Errorf("it is not followed: %v", err)
		}
		r.comeBack(p, 0, 1)
	})
}
