package replicator

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"glimpse/cachestore/chunk"
	"glimpse/cluster/ring"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Images of which every one has a chunk of zeros, and a short one at its end.
var sizes = []int{150*8<<10 + 777, 80 * 8 << 10, 30*8<<10 + 1}

// exactly fails where other bytes moved than those of the extents whose owner has
// changed, or any came out of the origin.
func (w *world) exactly(want map[string]int64, origin int64) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	sum := int64(0)
	for id := range w.nodes {
		if got := w.moved[id]; got != want[id] {
			w.t.Errorf("%s took over %d bytes, and its extents that others owned have %d", id, got, want[id])
		}
		sum += want[id]
	}
	if sum == 0 {
		w.t.Error("no owner has changed: the test shows nothing")
	}
	if got := w.origin.Load() - origin; got != 0 {
		w.t.Errorf("the origin gave %d bytes", got)
	}
	w.t.Logf("%d bytes moved to %d nodes", sum, len(want))
}

// has fails where an owner has not all that it owns.
func (w *world) has(rg *ring.Ring) {
	w.t.Helper()
	w.extents(func(o chunk.Object, extent, from, to int, _ int64) {
		for _, zone := range rg.Zones() {
			owner, _ := rg.Owner(zone, o.Key, extent)
			for i := from; i < to; i++ {
				if !w.nodes[owner.ID].store.Resident(o, i) {
					w.t.Errorf("%s owns chunk %d of %s and has it not", owner.ID, i, o.Key)
				}
			}
		}
	})
}

// clock passes the time until all nodes have taken over what is theirs.
func (w *world) pass() {
	w.t.Helper()
	var wg sync.WaitGroup
	for id, n := range w.nodes {
		wg.Go(func() {
			for range 100 {
				if _, err := n.rep.Pass(context.Background()); err == nil && n.rep.complete() {
					return
				}
				time.Sleep(time.Second)
			}
			w.t.Errorf("%s is never done", id)
		})
	}
	wg.Wait()
}

// load has clients read images at nodes, each one after the other, until stop.
func (w *world) load(ids ...string) (stop func() (reads, failed int)) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var mu sync.Mutex
	reads, failed := 0, 0
	keys := slices.Sorted(maps.Keys(w.images))
	for i, id := range ids {
		n := w.nodes[id]
		wg.Go(func() {
			for turn := i; ctx.Err() == nil; turn++ {
				o := w.object(keys[turn%len(keys)])
				err := n.read(o, 0, o.Size)
				mu.Lock()
				reads++
				if err != nil {
					failed++
					w.t.Logf("a client of %s: %v", id, err)
				}
				mu.Unlock()
				time.Sleep(time.Millisecond)
			}
		})
	}
	return func() (int, int) {
		cancel()
		wg.Wait()
		return reads, failed
	}
}

func ids(nodes []ring.Node) (all []string) {
	for _, n := range nodes {
		all = append(all, n.ID)
	}
	return all
}

var clusters = map[string]struct {
	before, now int
	zones       []string
}{
	"3 to 4":                 {3, 4, []string{"a"}},
	"8 to 11":                {8, 11, []string{"a"}},
	"8 to 10 in 2 zones":     {8, 10, []string{"a", "b"}},
	"47 to 50":               {47, 50, []string{"a"}},
	"50 to 55 in five zones": {50, 55, []string{"a", "b", "c", "d", "e"}},
}

// Nodes join: they get what they own now from those who had it, all of it once and
// nothing else, and no byte out of the origin.
func TestScalingOutMovesWhatHasANewOwner(t *testing.T) {
	for name, c := range clusters {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, sizes...)
				nodes := members(c.now, c.zones...)
				before := w.settle(nodes[:c.before]...)
				w.pass()
				w.warm(before)
				w.mu.Lock()
				clear(w.moved)
				w.mu.Unlock()
				was := w.origin.Load()
				for i := c.before; i < c.now; i++ {
					nodes[i].State = ring.Warming
				}
				now := w.settle(nodes...)
				var wg sync.WaitGroup
				for _, d := range nodes[c.before:] {
					wg.Go(func() { w.nodes[d.ID].rep.Warm(t.Context()) })
				}
				wg.Wait()
				w.pass()
				w.exactly(w.change(before, now), was)
				w.has(now)
				w.close()
			})
		})
	}
}

// A node drains: the others take over what it owned, and it knows when they have.
func TestDrainingHandsOver(t *testing.T) {
	for name, c := range clusters {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, sizes...)
				nodes := members(c.now, c.zones...)
				before := w.settle(nodes...)
				w.pass()
				w.warm(before)
				w.mu.Lock()
				clear(w.moved)
				w.mu.Unlock()
				was := w.origin.Load()
				for i := c.before; i < c.now; i++ {
					nodes[i].State = ring.Draining
				}
				now := w.settle(nodes...)
				var wg sync.WaitGroup
				for _, d := range nodes[c.before:] {
					wg.Go(func() {
						if a, err := w.nodes[d.ID].rep.HandOver(t.Context()); err != nil || a.Left > 0 {
							t.Errorf("%s: %+v, %v", d.ID, a, err)
						}
					})
				}
				wg.Wait()
				for _, d := range nodes[c.before:] { // gone before anybody would have had a pass
					w.net.Kill(d.ID)
				}
				w.exactly(w.change(before, now), was)
				w.has(now)
				w.close()
			})
		})
	}
}

// A node gets more weight: what is its own now comes to it, and nothing else moves.
func TestMoreWeightMovesWhatHasANewOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sizes...)
		nodes := members(4, "a")
		before := w.settle(nodes...)
		w.pass()
		w.warm(before)
		was := w.origin.Load()
		nodes[1].Weight *= 3
		now := w.settle(nodes...)
		w.pass()
		w.exactly(w.change(before, now), was)
		w.has(now)
		w.close()
	})
}
