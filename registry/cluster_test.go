package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/registry"
	"glimpse/registry/image"
	"glimpse/registry/memstore"
)

// link is one node's way to the database, with what can go wrong on it.
type link struct {
	*slowDB
	lag    func()      // before and after each call
	noBeat atomic.Bool // beats are refused
	noLive atomic.Bool // the node table can't be read
	hold   chan struct{}
	beats  atomic.Int32
}

func (k *link) pause() {
	if k.lag != nil {
		k.lag()
	}
}

func (k *link) Get(ctx context.Context, id string) (image.Image, error) {
	k.pause()
	defer k.pause()
	return k.slowDB.Get(ctx, id)
}

func (k *link) Update(ctx context.Context, id string, fn func(*image.Image) error) (image.Image, error) {
	k.pause()
	defer k.pause()
	return k.slowDB.Update(ctx, id, fn)
}

func (k *link) Beat(ctx context.Context, n registry.NodeRow) error {
	k.pause()
	defer k.pause()
	if k.noBeat.Load() {
		return errAway
	}
	if k.hold != nil {
		<-k.hold
	}
	k.beats.Add(1)
	return k.slowDB.Beat(ctx, n)
}

func (k *link) Live(ctx context.Context) ([]registry.NodeRow, error) {
	k.pause()
	defer k.pause()
	if k.noLive.Load() {
		return nil, errAway
	}
	return k.slowDB.Live(ctx)
}

// peer is a node of a cluster in one process.
type peer struct {
	row    registry.NodeRow
	db     *link
	leases *registry.Leases
	heart  *registry.Heart
	writes registry.Registry
	deaf   atomic.Bool  // hears of no write: no answer comes
	gone   atomic.Bool  // hears of no write: the connection is refused
	told   atomic.Int32 // of writes
	missed atomic.Int32 // nodes that it waited for
	log    bytes.Buffer
	leave  func() // and waits for it
}

// town is a cluster.
type town struct {
	store *memstore.Store
	nodes []*peer
	lag   func()
}

// Drop hands the record's name over, if the node hears it.
func (c *town) Drop(ctx context.Context, node registry.NodeRow, imageID string) error {
	for _, p := range c.nodes {
		if p.row.ID != node.ID {
			continue
		}
		if c.lag != nil {
			c.lag()
		}
		if p.deaf.Load() {
			<-ctx.Done()
			return ctx.Err()
		}
		if p.gone.Load() {
			return errors.New("connection refused")
		}
		p.told.Add(1)
		p.leases.Drop(imageID)
		if c.lag != nil {
			c.lag()
		}
		return nil
	}
	return errors.New("no such node")
}

const staleness = time.Second

// join adds a node, whose heart beats at once.
func (c *town) join(t *testing.T, prepare func(*link)) *peer {
	t.Helper()
	p := &peer{
		row: registry.NodeRow{ID: fmt.Sprintf("n%d", len(c.nodes)), Epoch: 1, Lease: staleness},
		db:  &link{slowDB: &slowDB{Registry: c.store}, lag: c.lag},
	}
	if prepare != nil {
		prepare(p.db)
	}
	log := slog.New(slog.NewTextHandler(&p.log, nil))
	p.heart = registry.NewHeart(p.db, func() registry.NodeRow { return p.row }, log)
	p.leases = registry.NewLeases(p.db, registry.LeasesConfig{
		MaxStaleness: staleness, OutageGrace: time.Minute,
		Cluster: &registry.Cluster{
			Self: p.row.ID, Nodes: p.db, Others: c, Live: p.heart.Live, Log: log,
			OnSilent: func(string) { p.missed.Add(1) },
		},
	})
	p.writes = p.leases.Writes(p.db)
	c.nodes = append(c.nodes, p)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); p.heart.Run(ctx) }()
	p.leave = func() { cancel(); <-done }
	t.Cleanup(func() { p.leave(); p.leases.Close() })
	return p
}

// newTown makes a cluster of n nodes that are live.
func newTown(t *testing.T, n int) *town {
	c := &town{store: memstore.New(0)}
	for range n {
		c.join(t, nil)
	}
	synctest.Wait()
	return c
}

func (c *town) create(t *testing.T, s image.Status) {
	t.Helper()
	put(t, &slowDB{Registry: c.store}, id, s)
}

func rename(name string) func(*image.Image) error {
	return func(m *image.Image) error { m.Name = &name; return nil }
}

func named(m image.Image) string {
	if m.Name == nil {
		return ""
	}
	return *m.Name
}

// took returns the virtual time that fn takes.
func took(fn func()) time.Duration {
	begun := time.Now()
	fn()
	return time.Since(begun)
}

func TestAWriteOnOneNodeIsReadOnEachInTheNextInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t, 3)
		c.create(t, image.Queued)
		var up registry.Upload
		for i, step := range []struct {
			name string
			do   func(w registry.Registry) error
		}{
			{"begin", func(w registry.Registry) (err error) { up, err = w.Begin(t.Context(), id, "main", "n"); return err }},
			{"activate", func(w registry.Registry) error {
				_, err := w.Activate(t.Context(), up.Token, registry.Activation{HashAlgo: "sha512", URL: "file:///x", Key: "k"})
				return err
			}},
			{"patch", func(w registry.Registry) error { _, err := w.Update(t.Context(), id, rename("b")); return err }},
			{"share", func(w registry.Registry) error { _, err := w.AddMember(t.Context(), id, "p", -1); return err }},
			{"deactivate", func(w registry.Registry) error { _, err := w.Update(t.Context(), id, deactivate); return err }},
			{"delete", func(w registry.Registry) error {
				_, err := w.Update(t.Context(), id, func(m *image.Image) error { return m.SetStatus(image.Deleted) })
				return err
			}},
		} {
			for _, p := range c.nodes {
				get(t, p.leases) // cached, where it may be
			}
			// A read on another node has its answer in hand and lands after the write.
			slow := c.nodes[(i+1)%3]
			slow.db.set(nil, make(chan struct{}))
			held := slow.db.held
			time.Sleep(staleness)
			early := make(chan struct{})
			go func() { defer close(early); _, _ = slow.leases.Get(t.Context(), id) }()
			synctest.Wait()
			if d := took(func() {
				if err := step.do(c.nodes[i%3].writes); err != nil {
					t.Fatal(step.name, err)
				}
			}); d != 0 {
				t.Errorf("%s: it took %s", step.name, d)
			}
			slow.db.set(nil, nil)
			for _, landed := range []bool{false, true} {
				if landed {
					close(held)
					<-early
				} else if step.name == "begin" {
					continue // no one was told: who comes waits for the read, and asks again
				}
				want, wantErr := c.store.Get(t.Context(), id)
				for j, p := range c.nodes {
					m, err := p.leases.Get(t.Context(), id)
					if m.Version != want.Version || m.Status != want.Status || image.KindOf(err) != image.KindOf(wantErr) {
						t.Errorf("%s on node %d: node %d reads %s %d %v, want %s %d (landed %v)", step.name, i%3, j, m.Status, m.Version, err, want.Status, want.Version, landed)
					}
				}
			}
		}
	})
}

func TestRecordsAreReadOncePerLeaseOnEachNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t, 2)
		c.create(t, image.Active)
		for range 3 {
			get(t, c.nodes[0].leases)
		}
		if n := c.nodes[0].db.gets.Load(); n != 1 {
			t.Errorf("%d reads", n)
		}
	})
}

// What no node is told of must not be joined either: a miss, or an image that is
// not active yet.
func TestWhatIsNotCachedIsNotJoinedByThoseWhoComeAfterAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t, 2)
		a, b := c.nodes[0], c.nodes[1]
		held := make(chan struct{})
		a.db.set(nil, held)
		early := make(chan error, 1)
		go func() { _, err := a.leases.Get(t.Context(), id); early <- err }()
		synctest.Wait()
		if _, err := b.writes.Create(t.Context(), image.Image{ID: id, Status: image.Queued, Visibility: image.Private}); err != nil {
			t.Fatal(err)
		}
		late := make(chan error, 1)
		go func() { _, err := a.leases.Get(t.Context(), id); late <- err }()
		synctest.Wait()
		close(held)
		if err := <-early; image.KindOf(err) != image.NotFound {
			t.Error(err)
		}
		if err := <-late; err != nil {
			t.Error("an image that was there is not found:", err)
		}

		held = make(chan struct{})
		a.db.set(nil, held)
		states := make(chan image.Status, 2)
		go func() { states <- get(t, a.leases).Status }()
		synctest.Wait()
		if _, err := b.writes.Begin(t.Context(), id, "main", "n"); err != nil {
			t.Fatal(err)
		}
		go func() { states <- get(t, a.leases).Status }()
		synctest.Wait()
		close(held)
		if one, two := <-states, <-states; one != image.Queued || two != image.Saving {
			t.Errorf("read %s and after the write %s", one, two)
		}
		if n := b.told.Load() + a.told.Load(); n != 0 {
			t.Errorf("%d nodes were told of an image that none has", n)
		}
	})
}

func TestASilentNodeDelaysAWriteByItsLeaseAndIsNeverStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t, 3)
		c.create(t, image.Active)
		w, silent := c.nodes[0], c.nodes[2]
		for i := range 5 {
			silent.deaf.Store(i%2 == 0)
			silent.gone.Store(i%2 == 1)
			get(t, silent.leases)
			if d := took(func() {
				if _, err := w.writes.Update(t.Context(), id, rename(fmt.Sprint(i))); err != nil {
					t.Error(err)
				}
			}); d != staleness {
				t.Errorf("the write took %s", d)
			}
			if m := get(t, silent.leases); named(m) != fmt.Sprint(i) {
				t.Errorf("stale: %s", named(m))
			}
		}
		if n := w.missed.Load(); n != 5 {
			t.Errorf("%d misses were counted", n)
		}
		if n := strings.Count(w.log.String(), "a node does not answer"); n != 1 {
			t.Errorf("%d lines were logged in 5 s", n)
		}
		// A caller that leaves ends neither the write nor the wait for it.
		get(t, silent.leases)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(staleness/2, cancel)
		if d := took(func() {
			if _, err := w.writes.Update(ctx, id, rename("last")); err != nil {
				t.Error(err)
			}
		}); d != staleness {
			t.Errorf("the write took %s", d)
		}
	})
}

func TestAWriteWaitsWhereTheNodeTableCanNotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t, 2)
		c.create(t, image.Active)
		get(t, c.nodes[1].leases)
		c.nodes[0].db.noLive.Store(true)
		if d := took(func() {
			if _, err := c.nodes[0].writes.Update(t.Context(), id, rename("b")); err != nil {
				t.Error(err)
			}
		}); d != staleness {
			t.Errorf("the write took %s", d)
		}
		if m := get(t, c.nodes[1].leases); named(m) != "b" {
			t.Errorf("stale: %s", named(m))
		}
	})
}

func TestANodeThatCanNotBeatStopsCachingInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t, 2)
		c.create(t, image.Active)
		w, lost := c.nodes[0], c.nodes[1]
		lost.db.noBeat.Store(true)
		cached, uncached := 0, 0
		for i := range 400 { // 40 s: its row lapses on the way
			before := lost.db.gets.Load()
			get(t, lost.leases)
			get(t, lost.leases)
			if lost.db.gets.Load()-before < 2 {
				cached++
			} else {
				uncached++
			}
			if _, err := w.writes.Update(t.Context(), id, rename(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
			if m := get(t, lost.leases); named(m) != fmt.Sprint(i) {
				t.Fatalf("stale at %d: %s", i, named(m))
			}
			time.Sleep(100 * time.Millisecond)
		}
		if live, err := c.store.Live(t.Context()); err != nil || len(live) != 1 {
			t.Errorf("%d rows are live: %v", len(live), err)
		}
		if cached == 0 || uncached == 0 || lost.heart.Live() {
			t.Errorf("cached %d times, not cached %d times", cached, uncached)
		}
		lost.db.noBeat.Store(false)
		time.Sleep(5 * time.Second)
		if !lost.heart.Live() {
			t.Error("it doesn't come back")
		}
	})
}

// Between a node's first read and its first beat no writer knows of it.
func TestAReadFromBeforeTheRowIsNotCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t, 1)
		c.create(t, image.Active)
		beat := make(chan struct{})
		fresh := c.join(t, func(k *link) { k.hold = beat })
		synctest.Wait()
		held := make(chan struct{})
		fresh.db.set(nil, held)
		early := make(chan struct{})
		go func() { defer close(early); get(t, fresh.leases) }()
		synctest.Wait()
		if _, err := c.nodes[0].writes.Update(t.Context(), id, rename("b")); err != nil {
			t.Fatal(err)
		}
		close(beat)
		synctest.Wait()
		if !fresh.heart.Live() {
			t.Fatal("it is not live")
		}
		late := make(chan image.Image, 1)
		go func() { late <- get(t, fresh.leases) }()
		synctest.Wait()
		close(held)
		<-early
		if m := <-late; named(m) != "b" {
			t.Error("a read from before the row was joined")
		}
		if m := get(t, fresh.leases); named(m) != "b" {
			t.Error("a read from before the row was cached")
		}
	})
}

func TestANodeThatLeavesCachesNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t, 2)
		c.create(t, image.Active)
		get(t, c.nodes[1].leases)
		time.Sleep(staleness / 2)
		c.nodes[1].leave()
		if live, err := c.store.Live(t.Context()); err != nil || len(live) != 1 {
			t.Errorf("%d rows are live: %v", len(live), err)
		}
		if _, err := c.nodes[0].writes.Update(t.Context(), id, rename("b")); err != nil {
			t.Fatal(err)
		}
		if m := get(t, c.nodes[1].leases); named(m) != "b" {
			t.Error("stale")
		}
		if n := c.nodes[1].told.Load(); n != 0 {
			t.Errorf("it was told %d times", n)
		}
	})
}

// A read that began while its node was listed must not be joined when it is not.
func TestANodeThatLeavesJoinsNoRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t, 2)
		c.create(t, image.Active)
		leaver := c.nodes[1]
		held := make(chan struct{})
		leaver.db.set(nil, held)
		var wg sync.WaitGroup
		wg.Go(func() { get(t, leaver.leases) })
		synctest.Wait()
		leaver.leave()
		if _, err := c.nodes[0].writes.Update(t.Context(), id, rename("b")); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if m := get(t, leaver.leases); named(m) != "b" {
				t.Error("stale")
			}
		})
		synctest.Wait()
		close(held)
		wg.Wait()
	})
}

func TestARowIsBelievedFromBeforeItsBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &town{store: memstore.New(0)}
		beat := make(chan struct{})
		p := c.join(t, func(k *link) { k.hold = beat })
		begun := time.Now()
		time.Sleep(4 * time.Second)
		close(beat)
		synctest.Wait()
		p.db.noBeat.Store(true)
		time.Sleep(15*time.Second - time.Since(begun) - 1)
		if !p.heart.Live() {
			t.Error("it is not live")
		}
		time.Sleep(time.Nanosecond)
		if p.heart.Live() {
			t.Error("it is still live")
		}
	})
}

func TestTwoNodesWithOneIDAreSaidSoOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t, 1)
		a := c.nodes[0]
		twin := a.row
		twin.Epoch, twin.Peer, twin.TTL = 2, "elsewhere:9293", time.Hour
		if err := c.store.Beat(t.Context(), twin); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second) // a beat is due, and the last one still fresh
		if a.heart.Live() {
			t.Error("it caches on the other's row")
		}
		time.Sleep(20 * time.Second)
		a.leave()
		if n := strings.Count(a.log.String(), "Two nodes have the id"); n != 1 {
			t.Errorf("said %d times: %s", n, a.log.String())
		}
		if live, err := c.store.Live(t.Context()); err != nil || len(live) != 1 {
			t.Errorf("it took the other's row with it: %v %v", live, err)
		}
	})
}

func TestAChangeOfANodeIsStoredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t, 1)
		before := c.nodes[0].db.beats.Load()
		c.nodes[0].heart.Soon()
		synctest.Wait()
		if n := c.nodes[0].db.beats.Load() - before; n != 1 {
			t.Errorf("%d beats", n)
		}
	})
}

// Three nodes, a slow database, a slow network, nodes that hear nothing or can't
// beat for a while: whoever begins a read after a write was acknowledged reads
// that write or a later one.
func TestNoReadIsOlderThanAnAcknowledgedWrite(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { storm(t, seed) })
		})
	}
}

func storm(t *testing.T, seed uint64) {
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(seed, 0))
	roll := func(n int) int { mu.Lock(); defer mu.Unlock(); return r.IntN(n) }
	c := &town{store: memstore.New(0)}
	c.create(t, image.Active)
	c.lag = func() {
		if roll(3) == 0 {
			time.Sleep(time.Duration(roll(400)) * time.Millisecond)
		}
	}
	for range 3 {
		c.join(t, nil)
	}
	var acked atomic.Int64
	var reads, cached atomic.Int64
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	var wg sync.WaitGroup
	loop := func(fn func()) {
		wg.Go(func() {
			for ctx.Err() == nil {
				fn()
				time.Sleep(time.Duration(1+roll(500)) * time.Millisecond)
			}
		})
	}
	for _, p := range c.nodes {
		loop(func() {
			m, err := p.writes.Update(ctx, id, func(m *image.Image) error {
				next := image.Active
				if m.Status == image.Active {
					next = image.Deactivated
				}
				return m.SetStatus(next)
			})
			for err == nil {
				if old := acked.Load(); old >= m.Version || acked.CompareAndSwap(old, m.Version) {
					break
				}
			}
		})
		for range 3 {
			loop(func() {
				floor, before := acked.Load(), p.db.gets.Load()
				m, err := p.leases.Get(ctx, id)
				if err != nil {
					return
				}
				reads.Add(1)
				if p.db.gets.Load() == before {
					cached.Add(1)
				}
				if m.Version < floor {
					t.Errorf("node %s read version %d when %d was acknowledged", p.row.ID, m.Version, floor)
				}
			})
		}
		loop(func() { // trouble comes and goes
			p.deaf.Store(roll(4) == 0)
			p.gone.Store(roll(4) == 0)
			p.db.noBeat.Store(roll(3) == 0)
			time.Sleep(time.Duration(roll(15)) * time.Second)
		})
	}
	wg.Wait()
	if reads.Load() < 100 || cached.Load() == 0 {
		t.Errorf("%d reads, %d of them without the database", reads.Load(), cached.Load())
	}
}
