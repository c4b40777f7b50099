package source

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/cachestore"
	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
)

// halts stops a node for 100 ms every two seconds, until ctx ends, and counts.
func (w *world) halts(ctx context.Context, id string) (times int) {
	for {
		select {
		case <-time.After(1900 * time.Millisecond):
			w.halt(id, 100*time.Millisecond)
			times++
		case <-ctx.Done():
			return times
		}
	}
}

// A node stops for 100 ms every two seconds. Those who read elsewhere what others
// have as well don't wait for it.
func TestASlowNodeIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := append(members(3, "a"), ring.Node{ID: "reader", Zone: "a", Role: ring.Client, State: ring.Ready})
		w := settleOn(t, imageSize, func() cachestore.Config {
			return cachestore.Config{Geometry: small, Memory: 64 * small.Chunk}
		}, nodes...)
		if failed := w.storm(3, ids(nodes[:3])...); failed > 0 {
			t.Fatalf("%d clients failed", failed)
		}
		reader := w.nodes["reader"]
		measure := func(reads int) (waits []time.Duration) {
			for range reads {
				i := rand.IntN(small.Count(imageSize))
				began := time.Now()
				b, err := reader.client.Open(t.Context(), w.object(), small.Off(i), small.Len(i, imageSize))
				if err == nil {
					_, err = io.Copy(io.Discard, b)
					_ = b.Close()
				}
				if err != nil {
					t.Fatal(err)
				}
				waits = append(waits, time.Since(began))
				reader.store.Drop(w.object().Key)
				time.Sleep(10 * time.Millisecond)
			}
			slices.Sort(waits)
			return waits
		}
		before := measure(1000)
		ctx, stop := context.WithCancel(t.Context())
		times := 0
		var wg sync.WaitGroup
		wg.Go(func() { times = w.halts(ctx, nodes[1].ID) })
		during := measure(4000)
		stop()
		wg.Wait()
		late := 0
		for _, d := range during {
			if d > 60*time.Millisecond {
				late++
			}
		}
		c := reader.r.Counts()
		t.Logf("the node stopped %d times; p99 %v before and %v then; %d of %d waited for it; %+v", times, before[len(before)*99/100], during[len(during)*99/100], late, len(during), c)
		if times == 0 || c.HedgesWon == 0 {
			t.Error("nobody was passed over: the test shows nothing")
		}
		if late > 0 {
			t.Errorf("%d reads waited for a node that others could stand in for", late)
		}
		w.once()
		w.close()
	})
}

// A node stops in the middle of its answers: another one goes on at the byte where
// it stood.
func TestAStalledAnswerIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := append(members(3, "a"), ring.Node{ID: "reader", Zone: "a", Role: ring.Client, State: ring.Ready})
		w := settle(t, imageSize, nodes...)
		if failed := w.storm(3, ids(nodes[:3])...); failed > 0 {
			t.Fatalf("%d clients failed", failed)
		}
		w.pause = 2 * time.Millisecond // between two pieces
		reader := w.nodes["reader"]
		rounds := 0
		for ; rounds < 40 && reader.r.Counts().PassedOver < 5; rounds++ {
			ctx, stop := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() {
				for ctx.Err() == nil {
					time.Sleep(time.Duration(1+rand.IntN(10)) * time.Millisecond)
					w.halt(nodes[rand.IntN(3)].ID, 300*time.Millisecond)
				}
			})
			if err := w.fetch("reader"); err != nil {
				t.Error(err)
			}
			stop()
			wg.Wait()
			reader.store.Drop(w.object().Key)
		}
		t.Logf("after %d rounds: %+v", rounds, reader.r.Counts())
		if reader.r.Counts().PassedOver == 0 {
			t.Error("no answer was taken over: the test shows nothing")
		}
		w.once()
		w.close()
	})
}

// Nobody fills in the place of an owner that is slow: what others don't have is
// waited for.
func TestSlownessMovesNoFill(t *testing.T) {
	for name, nodes := range map[string][]ring.Node{"3 nodes": members(3, "a"), "8 nodes in 2 zones": members(8, "a", "b"), "50 nodes in 3 zones": members(50, "a", "b", "c")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := settle(t, imageSize, nodes...)
				ctx, stop := context.WithCancel(t.Context())
				var times atomic.Int64
				var wg sync.WaitGroup
				for some := range slices.Chunk(nodes, 3) { // of which one is halted at any time
					wg.Go(func() {
						for ctx.Err() == nil {
							time.Sleep(time.Duration(1+rand.IntN(10)) * time.Millisecond)
							w.halt(some[rand.IntN(len(some))].ID, 150*time.Millisecond)
							times.Add(1)
						}
					})
				}
				if failed := w.storm(len(nodes)+3, ids(nodes)...); failed > 0 {
					t.Errorf("%d clients failed", failed)
				}
				stop()
				wg.Wait()
				var all Counts
				for _, n := range w.nodes {
					c := n.r.Counts()
					all.Asked += c.Asked
					all.Hedged += c.Hedged
					all.Stalled += c.Stalled
				}
				t.Logf("%d stops; %+v", times.Load(), all)
				if times.Load() == 0 || all.Hedged+all.Stalled == 0 {
					t.Error("nobody was slow: the test shows nothing")
				}
				w.once()
				w.close()
			})
		})
	}
}

// At most a share of all asks is hedged.
func TestHedgesHaveABudget(t *testing.T) {
	for _, share := range []float64{0, 0.05, 1} {
		p := newPace(share)
		for range 10_000 {
			p.ask("n", 1)
			p.may(true)
		}
		if c := p.counts; float64(c.Hedged) > share*10_000+hedgeRoom || float64(c.Hedged) < share*10_000 || share == 0 && c.Hedged > 0 || c.Hedged+c.Denied != c.Asked {
			t.Errorf("with a share of %v: %+v", share, c)
		}
	}
}

// A first byte is late when 95 of 100 before came sooner.
func TestWhenAFirstByteIsLate(t *testing.T) {
	p := newPace(1)
	if d := p.ask("n", 1); d != soonest {
		t.Errorf("of one that was never asked: %v", d)
	}
	for i := range 100 { // the first ones are forgotten
		d := time.Duration(100-i) * 10 * time.Millisecond
		p.note("n", 1, d)
	}
	if d := p.ask("n", 1); d < 600*time.Millisecond || d > 640*time.Millisecond {
		t.Errorf("of the last %d, which took 10 to 640 ms: %v", samples, d)
	}
	if d := p.ask("n", 2); d != soonest {
		t.Errorf("at another level: %v", d)
	}
	for range samples {
		p.note("n", 1, time.Millisecond)
	}
	if d := p.ask("n", 1); d != soonest {
		t.Errorf("of a quick one: %v", d)
	}
}

// lossy is an answer over a WAN: a round trip until it begins, and one more wherever a
// packet was lost.
type lossy struct {
	off, end int64
	lost     time.Duration
}

func (s *lossy) Next() (chunk.Piece, error) {
	if s.off == s.end {
		return chunk.Piece{}, io.EOF
	}
	p := chunk.Piece{Index: small.Index(s.off), Off: s.off, Len: 1 << 10, Data: make([]byte, 1<<10)}
	switch {
	case s.off == 0:
		time.Sleep(200 * time.Millisecond)
	case s.off%(8<<10) == 0:
		time.Sleep(s.lost)
	default:
		time.Sleep(time.Millisecond)
	}
	s.off += p.Len
	return p, nil
}

func (*lossy) Close() error { return nil }

// Where packets take long, a lost one is no reason to ask others; a stall is.
func TestHedgesAreScaledToTheNetwork(t *testing.T) {
	for name, c := range map[string]struct {
		late, slow, lost time.Duration
		hedged, stalled  bool
	}{
		"lan":         {lost: 300 * time.Millisecond, hedged: true, stalled: true},
		"wan":         {late: 250 * time.Millisecond, slow: 500 * time.Millisecond, lost: 300 * time.Millisecond},
		"wan, stalls": {late: 250 * time.Millisecond, slow: 500 * time.Millisecond, lost: 600 * time.Millisecond, stalled: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nodes := members(3, "a")
				w := settle(t, 1, nodes...)
				n := w.nodes[nodes[0].ID]
				r := New(Config{Members: n, Peers: n, Geometry: small, HedgeBudget: 1, Late: c.late, Slow: c.slow})
				owner := step{at: nodes[1], level: cluster.Zone, open: func(_ context.Context, _ chunk.Object, off, n int64) (chunk.Stream, error) {
					return &lossy{off, off + n, c.lost}, nil
				}}
				st, err := openRelay(t.Context(), r, 0, chunk.Object{Key: "p:test", Size: small.Chunk}, 0, -1, []step{owner})
				for err == nil {
					_, err = st.Next()
				}
				_ = st.Close()
				if got := r.Counts(); !errors.Is(err, io.EOF) || got.Hedged > 0 != c.hedged || got.Stalled > 0 != c.stalled {
					t.Errorf("%+v, %v", got, err)
				}
				w.close()
			})
		})
	}
}

// However many answers stall at once, others are asked for a bounded number of them.
func TestStalledAnswersHaveABound(t *testing.T) {
	p := newPace(0)
	var all []func()
	for range 3 * mostAids {
		if give, ok := p.may(false); ok {
			all = append(all, give)
		}
	}
	if c := p.counts; len(all) != mostAids || c.Stalled != mostAids || c.Denied != 2*mostAids {
		t.Errorf("%d at once: %+v", len(all), c)
	}
	all[0]()
	if _, ok := p.may(false); !ok {
		t.Error("its place is not free again")
	}
}
