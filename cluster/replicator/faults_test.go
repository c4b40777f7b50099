package replicator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/clustertest"
	"glimpse/cluster/ring"
	"glimpse/cluster/wire"
)

// full is a world of nodes that have what they own, and what the origin gave.
func full(t *testing.T, nodes []ring.Node) (w *world, before *ring.Ring, was int64) {
	w = newWorld(t, sizes...)
	before = w.settle(nodes...)
	w.pass()
	w.warm(before)
	w.mu.Lock()
	clear(w.moved)
	w.mu.Unlock()
	return w, before, w.origin.Load()
}

// joins has one node more.
func (w *world) joins(nodes []ring.Node, zone string) (now *ring.Ring, fresh *node) {
	d := ring.Node{ID: "node-zz", Zone: zone, Weight: 1 << 30, State: ring.Warming}
	now = w.settle(append(slices.Clone(nodes), d)...)
	return now, w.nodes[d.ID]
}

// Clients read all images through all nodes while one joins, and while another one
// drains and is gone: none of them fails, and the origin gives nothing. To the one
// that joins each byte that it owns comes once, be it for a client or not.
func TestNoClientSeesExtentsMove(t *testing.T) {
	for name, c := range map[string]struct {
		n     int
		zones []string
	}{"3": {3, []string{"a"}}, "8 in 2 zones": {8, []string{"a", "b"}}, "50 in 3 zones": {50, []string{"a", "b", "c"}}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nodes := members(c.n, c.zones...)
				w, before, was := full(t, nodes)
				stop := w.load(ids(nodes[1:min(9, len(nodes))])...)
				time.Sleep(20 * time.Millisecond)
				now, fresh := w.joins(nodes, "a")
				fresh.rep.Warm(t.Context())
				if got, want := w.moved["node-zz"], w.change(before, now)["node-zz"]; got != want || want == 0 {
					t.Errorf("%d bytes came to who owns %d", got, want)
				}
				w.has(now)
				all := slices.Clone(now.Nodes())
				all[0].State = ring.Draining // has no clients
				all[len(all)-1].State = ring.Ready
				last := w.settle(all...)
				if a, err := w.nodes[all[0].ID].rep.HandOver(t.Context()); err != nil || a.Left > 0 {
					t.Errorf("%+v, %v", a, err)
				}
				w.net.Kill(all[0].ID)
				w.settle(all[1:]...)
				time.Sleep(20 * time.Millisecond)
				reads, failed := stop()
				if failed > 0 || reads == 0 {
					t.Errorf("%d of %d clients failed", failed, reads)
				}
				if got := w.origin.Load() - was; got != 0 {
					t.Errorf("the origin gave %d bytes", got)
				}
				w.has(last)
				t.Logf("%d downloads, %d bytes moved", reads, w.total())
				w.close()
			})
		})
	}
}

// A node of an earlier version hands nothing over and takes nothing, and holds
// nobody up.
func TestANodeOfAnEarlierVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(3, "a")
		w, before, _ := full(t, nodes)
		w.net.Join(nodes[1].ID, &local{n: w.nodes[nodes[1].ID]})
		now, fresh := w.joins(nodes, "a")
		begun := time.Now()
		fresh.rep.Warm(t.Context())
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("it was warming for %s", took)
		}
		part, all := w.moved["node-zz"], w.change(before, now)["node-zz"]
		if part == 0 || part >= all {
			t.Errorf("%d of %d bytes moved", part, all)
		}
		draining := slices.Clone(now.Nodes())
		draining[0].State = ring.Draining
		w.settle(draining...)
		if _, err := w.nodes[nodes[0].ID].rep.HandOver(t.Context()); err != nil {
			t.Error(err)
		}
		w.close()
	})
}

// News of a node take a while to be everywhere. Until then nothing is complete.
func TestNewsThatTravel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(3, "a")
		w, before, was := full(t, nodes)
		d := ring.Node{ID: "node-zz", Zone: "a", Weight: 1 << 30, State: ring.Warming}
		fresh := w.start(d)
		all := append(slices.Clone(nodes), d)
		now := ring.New(all, before)
		var wg sync.WaitGroup
		wg.Go(func() {
			time.Sleep(5 * time.Second)
			for _, n := range nodes {
				w.nodes[n.ID].ring.Store(now)
			}
		})
		fresh.ring.Store(now)
		fresh.rep.Warm(t.Context())
		w.exactly(map[string]int64{"node-zz": w.change(before, now)["node-zz"]}, was)
		wg.Wait()

		// And of one that drains: the others must not say that they have all.
		all[0].State, all[3].State = ring.Draining, ring.Ready
		last := ring.New(all, now)
		w.nodes[all[0].ID].ring.Store(last)
		w.nodes[all[0].ID].self.Store(&all[0])
		wg.Go(func() {
			time.Sleep(5 * time.Second)
			for _, n := range all[1:] {
				w.nodes[n.ID].ring.Store(last)
			}
		})
		if a, err := w.nodes[all[0].ID].rep.HandOver(t.Context()); err != nil || a.Bytes == 0 {
			t.Errorf("%+v, %v", a, err)
		}
		w.has(last)
		wg.Wait()
		w.close()
	})
}

// A holder that can't be reached is tried again for ten minutes, and not longer.
func TestAHolderThatIsAway(t *testing.T) {
	for name, f := range map[string]clustertest.Faults{
		"down": {Down: true}, "silent": {Silent: true}, "cut": {CutAfter: 100}, "damaged": {Flip: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nodes := members(3, "a")
				w, before, was := full(t, nodes)
				w.net.Fault("node-zz", nodes[1].ID, f)
				now, fresh := w.joins(nodes, "a")
				begun := time.Now()
				fresh.rep.Warm(t.Context())
				if took := time.Since(begun); took < warmFor || took > warmFor+time.Minute {
					t.Errorf("it was warming for %s", took)
				}
				if fresh.rep.complete() {
					t.Error("it says that it has all")
				}
				w.net.Fault("node-zz", nodes[1].ID, clustertest.Faults{})
				w.pass()
				w.has(now)
				if got := w.origin.Load() - was; got != 0 {
					t.Errorf("the origin gave %d bytes", got)
				}
				if got, want := w.moved["node-zz"], w.change(before, now)["node-zz"]; f.CutAfter == 0 && !f.Flip && got != want {
					t.Errorf("%d bytes moved of %d", got, want)
				}
				w.close()
			})
		})
	}
}

// What a holder evicts between the list and the pull is not moved, and not read
// from the origin either.
func TestAHolderThatEvicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(3, "a")
		w, _, was := full(t, nodes)
		w.rate = 256 << 10 // so that it takes a while
		_, fresh := w.joins(nodes, "a")
		var wg sync.WaitGroup
		wg.Go(func() {
			time.Sleep(500 * time.Millisecond)
			for key := range w.images {
				for _, n := range nodes {
					w.nodes[n.ID].store.Drop(key)
				}
			}
		})
		a := fresh.rep.Warm(t.Context())
		if !fresh.rep.complete() || a.Bytes == 0 || w.origin.Load() != was {
			t.Errorf("%+v, the origin gave %d bytes", a, w.origin.Load()-was)
		}
		wg.Wait()
		w.close()
	})
}

// A node dies. What it owned comes from whoever has it still: here its zone has
// lost it, and the home owner in another one has it.
func TestWhoInheritsAsksWhoHasItStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(6, "a", "b")
		w, before, was := full(t, nodes)
		w.net.Kill(nodes[0].ID)
		dead := nodes[0]
		if err := w.nodes[dead.ID].store.Close(t.Context()); err != nil {
			t.Error(err)
		}
		delete(w.nodes, dead.ID)
		now := w.settle(nodes[1:]...)
		w.pass()
		want := map[string]int64{}
		w.extents(func(o chunk.Object, extent, from, to int, bytes int64) {
			was, is := before.Home(o.Key, extent, 1, "")[0], now.Home(o.Key, extent, 1, "")[0]
			if was.ID != dead.ID || is.Zone != dead.Zone {
				return // the home owner in zone b had it as its zone's owner
			}
			want[is.ID] += bytes
		})
		w.exactly(want, was)
		w.close()
	})
}

// The rate holds for all that a node takes over.
func TestTheRateIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(3, "a")
		w, before, _ := full(t, nodes)
		w.rate = 128 << 10
		now, fresh := w.joins(nodes, "a")
		begun := time.Now()
		fresh.rep.Warm(t.Context())
		want := time.Duration(float64(w.change(before, now)["node-zz"]) / float64(w.rate) * float64(time.Second))
		if took := time.Since(begun); took < want-time.Second || took > want+2*time.Second {
			t.Errorf("it took %s, and should %s", took, want)
		}
		w.close()
	})
}

// A drain that can't be ended ends in time, and says what is left.
func TestADrainThatCanNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(3, "a")
		w, _, _ := full(t, nodes)
		w.net.Fault(nodes[0].ID, nodes[1].ID, clustertest.Faults{Silent: true})
		nodes[0].State = ring.Draining
		w.settle(nodes...)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begun := time.Now()
		a, err := w.nodes[nodes[0].ID].rep.HandOver(ctx)
		if took := time.Since(begun); took < 59*time.Second || took > 65*time.Second {
			t.Errorf("it took %s", took)
		}
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, cluster.ErrAway) || a.Bytes == 0 {
			t.Errorf("%+v, %v", a, err)
		}
		w.close()
	})
}

// Two that are asked by one node at once don't both work.
func TestOneTakeAtATime(t *testing.T) {
	r := New(Config{Geometry: small})
	if !r.begin("a") || r.begin("a") || !r.begin("b") {
		t.Error("a second take of one node is begun")
	}
	r.end("a")
	if !r.begin("a") {
		t.Error("none after the first has ended")
	}
}

// many is a cache of many objects, of which every other chunk is here.
type many struct{ objects []chunk.Object }

func (m many) Objects() []chunk.Object             { return slices.Clone(m.objects) }
func (m many) Resident(_ chunk.Object, i int) bool { return i%2 == 0 }
func (m many) Pull(context.Context, chunk.Object, int, chunk.Source) error {
	return chunk.ErrNotResident
}

// The pages of a list have everything once, in order, and each fits an answer.
func TestPagesHaveAllOnce(t *testing.T) {
	nodes := members(2, "a")
	w := &world{t: t}
	n := &node{w: w}
	n.self.Store(&nodes[0])
	rg := ring.New(nodes, nil)
	n.ring.Store(rg)
	m := many{}
	for i := range 700 {
		m.objects = append(m.objects, chunk.Object{Key: chunk.Key(fmt.Sprintf("p:%064d", (i*7919)%700)), Size: int64(1+i%40) * small.Chunk * 3, Validator: "\"etag\"", Ref: fmt.Sprint("image/", i)})
	}
	m.objects = append(m.objects, chunk.Object{Key: "c:long", Size: 40_000 * small.Chunk, Ref: "image/long"}) // more runs than a page holds
	m.objects = append(m.objects, chunk.Object{Key: "q:looked", Size: 400_000 * small.Chunk, Ref: "image/sparse"})
	r := New(Config{Members: n, Cache: m, Geometry: small})
	q := cluster.Claim{From: nodes[1].ID, Geometry: small, Level: cluster.Zone}
	got := map[cluster.Cursor]bool{}
	pages := 0
	for ; ; pages++ {
		page, err := r.Holdings(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		b, err := wire.EncodePage(page)
		if err != nil {
			t.Fatal(err)
		}
		if page, err = wire.DecodePage(b, q); err != nil {
			t.Fatal(err)
		}
		for _, h := range page.Holdings {
			for _, run := range h.Runs {
				for i := run.First; i < run.First+run.Count; i++ {
					c := cluster.Cursor{Key: h.Object.Key, Index: i}
					if got[c] {
						t.Fatalf("%v is listed twice", c)
					}
					got[c] = true
				}
			}
		}
		if page.Next == (cluster.Cursor{}) {
			break
		}
		q.After = page.Next
	}
	want := 0
	for _, o := range m.objects {
		for i := range small.Count(o.Size) {
			owner, _ := rg.Owner("a", o.Key, small.ExtentOf(i))
			mine := owner.ID == nodes[1].ID && i%2 == 0
			if mine {
				want++
			}
			if got[cluster.Cursor{Key: o.Key, Index: i}] != mine {
				t.Fatalf("chunk %d of %s: %v, it is the asker's and here: %v", i, o.Key, !mine, mine)
			}
		}
	}
	if pages < 10 || len(got) != want {
		t.Errorf("%d chunks of %d in %d pages", len(got), want, pages)
	}
	if _, err := r.Holdings(t.Context(), cluster.Claim{From: "stranger", Geometry: small, Level: cluster.Zone}); !errors.Is(err, chunk.ErrUnavailable) {
		t.Errorf("a node that is not in the ring: %v", err)
	}
}

// A pass that can't be complete is not repeated for ever at once; a new ring is.
func TestAPassThatFailsIsRepeatedLessAndLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(3, "a")
		w, _, _ := full(t, nodes)
		_, fresh := w.joins(nodes, "a")
		w.net.Fault("node-zz", nodes[1].ID, clustertest.Faults{Down: true})
		tries := 0
		for end := time.Now().Add(30 * time.Minute); time.Now().Before(end); time.Sleep(2 * time.Second) {
			if _, err := fresh.rep.Pass(t.Context()); err != nil {
				tries++
			}
		}
		if tries < 20 || tries > 40 {
			t.Errorf("%d tries in half an hour", tries)
		}
		w.net.Fault("node-zz", nodes[1].ID, clustertest.Faults{})
		w.settle(nodes...)
		w.joins(nodes[:2], "a")
		time.Sleep(time.Second)
		fresh.rep.Pass(t.Context())
		time.Sleep(settle)
		if _, err := fresh.rep.Pass(t.Context()); err != nil || !fresh.rep.complete() {
			t.Errorf("a new ring: %v", err)
		}
		w.close()
	})
}

// What nobody asks for by its name any more is not moved, and holds nobody up.
func TestAFormerNameIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(3, "a")
		w, before, was := full(t, nodes)
		w.stale = "p:image-0"
		now, fresh := w.joins(nodes, "a")
		fresh.rep.Warm(t.Context())
		if !fresh.rep.complete() {
			t.Error("it is never warm")
		}
		delete(w.images, w.stale)
		w.exactly(map[string]int64{"node-zz": w.change(before, now)["node-zz"]}, was)
		w.close()
	})
}
