package source

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/cachestore"
	"glimpse/cluster"
)

// A candidate hangs. The first looks wait for it, the others don't; it is tried again
// from time to time, and when it answers it is asked again.
func TestAHungNodeDelaysFewLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(2, "a")
		w := settleOn(t, 64*4*int(small.Chunk), func() cachestore.Config {
			return cachestore.Config{Geometry: small, Memory: 512 * small.Chunk}
		}, nodes...)
		self, hung := w.nodes[nodes[0].ID], nodes[1].ID
		var asked atomic.Int64
		w.busy = func(at string, q cluster.Ask) bool {
			if at == hung && q.ResidentOnly {
				asked.Add(1)
			}
			return false
		}
		var extents []int // that the hung node does not own
		for e := range 64 {
			if self.r.OwnsHome(w.object(), e) && self.r.OwnsZone(w.object(), e) {
				extents = append(extents, e)
			}
		}
		if len(extents) < 20 {
			t.Fatalf("%d extents show nothing", len(extents))
		}
		// cold reads one chunk of the next extent that nobody has.
		cold := func() time.Duration {
			began := time.Now()
			b, err := self.client.Open(t.Context(), w.object(), small.Off(extents[0]*small.Extent), 1)
			if err != nil {
				t.Fatal(err)
			}
			_ = b.Close()
			extents = extents[1:]
			return time.Since(began)
		}
		const downFor = 8 * time.Second
		go w.halt(hung, downFor)
		synctest.Wait()
		late := 0
		for range 15 {
			if cold() >= self.r.c.LookFor {
				late++
			}
		}
		if c := self.r.Counts(); late != silences || c.LateLooks != silences || c.NotAsked != int64(15-silences) {
			t.Errorf("%d of 15 reads waited: %+v", late, c)
		}
		time.Sleep(passFor)
		if d := cold(); d < self.r.c.LookFor {
			t.Errorf("it was not tried again: %v", d)
		}
		if d := cold(); d >= self.r.c.LookFor {
			t.Errorf("it was tried twice: %v", d)
		}
		time.Sleep(downFor) // it goes on
		before := asked.Load()
		for range 3 {
			if d := cold(); d >= self.r.c.LookFor {
				t.Errorf("it answers again, and a read took %v", d)
			}
		}
		if n := asked.Load() - before; n != 3 {
			t.Errorf("of 3 looks %d asked it", n)
		}
		w.close()
	})
}

// One short silence is one, however many looks it has met.
func TestLooksAtOnceCountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(0)
		nodes := members(1, "a")
		for range silences {
			if len(p.answering(nodes, "")) == 0 {
				t.Fatal("it is passed over too soon")
			}
			began := time.Now()
			time.Sleep(time.Second)
			for range 10 {
				p.unheard(nodes[0].ID, began)
			}
		}
		if len(p.answering(nodes, "")) > 0 {
			t.Error("it is asked still")
		}
		if len(p.answering(nodes, nodes[0].ID)) == 0 {
			t.Error("one that is sure to have it is not asked")
		}
	})
}
