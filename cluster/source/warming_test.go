package source

import (
	"testing"
	"testing/synctest"

	"glimpse/cluster/ring"
)

// joined is a world in which the last nodes have joined and are warming: the
// others have all that they owned before.
func joined(t *testing.T, nodes []ring.Node, more int) (w *world, was int64) {
	old := len(nodes) - more
	for i := old; i < len(nodes); i++ {
		nodes[i].State = ring.Warming
	}
	w = settle(t, imageSize, nodes...)
	before := ring.New(nodes[:old], nil)
	for _, d := range nodes[:old] {
		w.nodes[d.ID].ring.Store(before)
	}
	if failed := w.storm(old, ids(nodes[:old])...); failed > 0 {
		t.Fatalf("%d clients failed", failed)
	}
	w.once()
	for _, d := range nodes {
		n := w.nodes[d.ID]
		now := ring.New(nodes[:old], nil)
		for i := old; i < len(nodes); i++ { // one after the other
			now = ring.New(nodes[:i+1], now)
		}
		n.ring.Store(now)
	}
	return w, w.read
}

// owns says whether a node owns anything by the ring of another one.
func (w *world) owns(at, id string) (extents int) {
	for e := range small.ExtentOf(small.Count(int64(len(w.data)))-1) + 1 {
		if o, _ := w.nodes[at].Ring().Owner(w.nodes[id].self.Zone, "p:test", e); o.ID == id {
			extents++
		}
	}
	return extents
}

// While a node is warming readers ask those who had its extents before, and it is
// left alone. That holds where two have joined, of which the second one's previous
// ring has the first one.
func TestAWarmingOwnerIsAskedLast(t *testing.T) {
	for name, c := range map[string]struct {
		nodes []ring.Node
		more  int
	}{
		"one": {members(4, "a"), 1}, "two": {members(5, "a"), 2}, "three in two zones": {members(9, "a", "b", "c"), 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, was := joined(t, c.nodes, c.more)
				// A client node has nothing of its own, and asks the same as everybody.
				reader := ring.Node{ID: "reader", Zone: "a", Role: ring.Client, State: ring.Ready, Weight: 1 << 30}
				r := settle(t, imageSize, reader).nodes["reader"]
				r.w = w
				r.ring.Store(ring.New(append(c.nodes, reader), w.nodes[c.nodes[0].ID].Ring()))
				w.nodes["reader"] = r
				if err := w.fetch("reader"); err != nil {
					t.Error(err)
				}
				owned := 0
				for _, d := range c.nodes[len(c.nodes)-c.more:] {
					owned += w.owns(c.nodes[0].ID, d.ID)
					if got := w.nodes[d.ID].store.Stats().MemoryBytes; got > 0 {
						t.Errorf("%s, which is warming, had to fetch %d bytes for others", d.ID, got)
					}
				}
				if owned == 0 {
					t.Error("who joined owns nothing: the test shows nothing")
				}
				if w.read != was {
					t.Errorf("the origin gave %d bytes more", w.read-was)
				}
				w.close()
			})
		})
	}
}

// What the former owner has lost comes by the new one, out of the origin once.
func TestAWarmingOwnerIsAskedForWhatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(4, "a")
		w, _ := joined(t, nodes, 1)
		for _, n := range w.nodes {
			n.store.Drop("p:test")
		}
		w.read = 0
		if failed := w.storm(8, ids(nodes)...); failed > 0 {
			t.Errorf("%d clients failed", failed)
		}
		w.once()
		if w.readBy[nodes[3].ID] == 0 {
			t.Error("the new owner has read nothing: the test shows nothing")
		}
		w.close()
	})
}

// Several nodes join at once, and are read from before anything has been handed
// over: no byte comes out of the origin.
func TestManyJoinAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		nodes []ring.Node
		more  int
	}{
		"3 to 8": {members(8, "a"), 5}, "8 to 20 in 2 zones": {members(20, "a", "b"), 12}, "20 to 50": {members(50, "a"), 30},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, was := joined(t, c.nodes, c.more)
				if failed := w.storm(2*len(c.nodes), ids(c.nodes)...); failed > 0 {
					t.Errorf("%d clients failed", failed)
				}
				if w.read != was {
					t.Errorf("the origin gave %d bytes more", w.read-was)
				}
				w.close()
			})
		})
	}
}
