package source

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/cachestore"
	"glimpse/cachestore/chunk"
	"glimpse/cachestore/disk"
	"glimpse/cachestore/vfs"
	"glimpse/cluster/ring"
)

// tight is a store whose memory is far smaller than the image, over a disk.
func tight() cachestore.Config {
	return cachestore.Config{
		Geometry: small, Memory: 16 * small.Chunk, ReadAhead: 4, FillStreams: 2,
		Disk: disk.Config{Path: "cache", Size: 64 << 20, FS: vfs.NewMem(0), Geometry: small},
	}
}

// got is how many bytes of others a node has got.
func (w *world) got(id string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.crossed[id]
}

// The fourth client of a node that owns only a part of the image costs no other
// node a byte.
func TestWhatIsHotIsKeptByWhoServesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(3, "a")
		w := settleOn(t, imageSize, tight, nodes...)
		id := nodes[0].ID
		var each []int64
		for range 4 {
			before := w.got(id)
			if err := w.fetch(id); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // the disk has what it is to have
			each = append(each, w.got(id)-before)
		}
		t.Logf("bytes of others for each of four clients: %d", each)
		if each[0] == 0 || each[1] == 0 {
			t.Error("the first two cost nothing: the test shows nothing")
		}
		if each[3] > 0 {
			t.Errorf("the fourth client cost %d bytes", each[3])
		}
		w.once()
		w.close()
	})
}

// What one client reads once is not worth the disk of a node that does not own it,
// nor is what a second one reads much later.
func TestWhatIsNotHotIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(3, "a")
		w := settleOn(t, imageSize, tight, nodes...)
		n := w.nodes[nodes[0].ID]
		for range 3 {
			if err := w.fetch(nodes[0].ID); err != nil {
				t.Fatal(err)
			}
			time.Sleep(hotFor + time.Second)
		}
		own, others := 0, 0
		for i := range small.Count(imageSize) {
			if n.r.OwnsZone(w.object(), small.ExtentOf(i)) {
				own++
			} else {
				others++
			}
		}
		if others == 0 {
			t.Fatal("it owns all: the test shows nothing")
		}
		if got := n.store.Stats().DiskBytes; got > int64(own)*(small.Chunk+4096) {
			t.Errorf("%d bytes on disk, of %d own chunks and %d others", got, own, others)
		}
		w.close()
	})
}

// An owner that two nodes ask says so, and they keep copies for a while.
func TestAnOwnerSaysWhatIsHot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(3, "a")
		w := settle(t, imageSize, nodes...)
		hot := func(n ring.Node) (extents int) {
			for e := range small.ExtentOf(small.Count(imageSize)-1) + 1 {
				if owner, _ := w.nodes[n.ID].Ring().Owner("a", "p:test", e); owner.ID == nodes[2].ID && w.nodes[n.ID].r.Hot(w.object(), e) {
					extents++
				}
			}
			return extents
		}
		for i, want := range []bool{false, true} {
			if err := w.fetch(nodes[i].ID); err != nil {
				t.Fatal(err)
			}
			if got := hot(nodes[i]) > 0; got != want {
				t.Errorf("after %d nodes have asked the last of them takes it for hot: %v", i+1, got)
			}
		}
		time.Sleep(hotFor + time.Second)
		if n := hot(nodes[1]); n > 0 {
			t.Errorf("%d extents are hot for ever", n)
		}
		w.close()
	})
}

func TestHeatIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := settle(t, 1, members(2, "a")...)
		r := w.nodes["node-00"].r
		for i := range mostHeat + 100 {
			o := chunk.Object{Key: chunk.Key(fmt.Sprint("p:", i))}
			r.Seen(o, 0)
			r.heat.ask(place{1, o.Key, 0}, "node-01")
			r.remember(place{1, o.Key, 0}, "node-01", "")
		}
		for j := range 3 * mostOfOne {
			r.remember(place{1, "p:0", 0}, fmt.Sprint(j), "")
		}
		if r.heat.here.Len() > mostHeat || r.heat.asked.Len() > mostHeat || r.askers.Len() > mostAsked {
			t.Errorf("%d, %d and %d extents are remembered", r.heat.here.Len(), r.heat.asked.Len(), r.askers.Len())
		}
		if all, _ := r.askers.Peek(place{1, "p:0", 0}); len(all) != mostOfOne {
			t.Errorf("%d askers of one extent are remembered", len(all))
		}
		w.close()
	})
}
