package peers_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ca"
	"glimpse/cluster/clustertest"
	"glimpse/cluster/peers"
	"glimpse/cluster/ring"
	"glimpse/cluster/serve"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const label = "test"

// authority is one CA for a test.
type authority struct {
	t    testing.TB
	pair ca.Pair
	*ca.Authority
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	p, err := ca.Make(label, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	a, err := ca.Load(p)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t, p, a}
}

func (a *authority) node(label, id string) *ca.Identity {
	a.t.Helper()
	p, err := a.Issue(label, id, time.Now(), time.Hour)
	if err != nil {
		a.t.Fatal(err)
	}
	dir := a.t.TempDir()
	c := ca.Config{CA: filepath.Join(dir, "ca"), Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key"), Label: label, Node: id}
	for name, b := range map[string][]byte{c.CA: a.pair.Cert, c.Cert: p.Cert, c.Key: p.Key} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	i, err := ca.Open(c)
	if err != nil {
		a.t.Fatal(err)
	}
	return i
}

// lines is a log that can be looked at.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// server is a listening node.
type server struct {
	*serve.Server
	at  ring.Node
	log *lines
}

func listen(t testing.TB, c serve.Config) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := &lines{}
	if c.Node == "" {
		c.Node = clustertest.Other
	}
	if c.Geometry == (chunk.Geometry{}) {
		c.Geometry = clustertest.Geometry
	}
	c.Log = slog.New(slog.NewTextHandler(log, nil))
	s := &server{serve.New(c), ring.Node{ID: c.Node, Peer: l.Addr().String()}, log}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // what is under way is cut
		_ = s.Shutdown(ctx)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

func asker(t testing.TB, c peers.Config) *peers.Peers {
	if c.Self == "" {
		c.Self = clustertest.Self
	}
	// A machine under load must not look like a silent peer.
	if c.Stall == 0 {
		c.Stall = 30 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	p := peers.New(c)
	t.Cleanup(p.Close)
	return p
}

func TestThePlanePasses(t *testing.T) {
	t.Run("plain", func(t *testing.T) {
		clustertest.Peers(t, func(t *testing.T, l serve.Local) (cluster.Peers, ring.Node) {
			return asker(t, peers.Config{}), listen(t, serve.Config{Local: l}).at
		})
	})
	t.Run("TLS", func(t *testing.T) {
		a := newAuthority(t)
		one, two := a.node(label, clustertest.Self), a.node(label, clustertest.Other)
		clustertest.Peers(t, func(t *testing.T, l serve.Local) (cluster.Peers, ring.Node) {
			return asker(t, peers.Config{Identity: one}), listen(t, serve.Config{Local: l, Identity: two}).at
		})
	})
}

func ask() cluster.Ask {
	return cluster.Ask{Object: chunk.Object{Key: "p:1", Size: 8 << 20}, Geometry: clustertest.Geometry, Level: cluster.Home}
}

// until waits for what must come.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// A peer that waits is alive, before its range is open as after.
func TestAPeerThatWaitsIsWaitedFor(t *testing.T) {
	b := clustertest.NewBytes(clustertest.Geometry, 8<<20)
	open, goOn := make(chan struct{}), make(chan struct{})
	s := listen(t, serve.Config{Beat: time.Millisecond, Local: &clustertest.Local{
		Open: func(ctx context.Context, _ cluster.Ask, off, n int64) (chunk.Stream, error) {
			<-open
			steps := b.Steps(off, n)
			steps[1].Wait = goOn
			return clustertest.NewScript(ctx, steps...), nil
		},
		Forget: func(context.Context, string) error {
			<-open
			return nil
		},
	}})
	p := asker(t, peers.Config{Stall: 5 * time.Second})
	go func() {
		until(t, "waiting frames before it is open", func() bool { return p.Counts().Waits >= 3 })
		close(open)
		n := p.Counts().Waits
		until(t, "waiting frames within it", func() bool { return p.Counts().Waits >= n+3 })
		close(goOn)
	}()
	st, err := p.OpenRange(t.Context(), s.at, ask(), 2<<20, 2<<20)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := clustertest.Read(st, b, 2<<20); err != nil || n != 2<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
	if err := p.Drop(t.Context(), s.at, "image"); err != nil {
		t.Error(err)
	}
	if c := s.Counts(); c.Waits < 6 || c.Bytes != 2<<20 || c.Asks != 2 {
		t.Errorf("%+v", c)
	}
}

// holding serves streams that wait until let go, and says how many there are.
type holding struct {
	n    atomic.Int64
	free chan struct{}
}

func (h *holding) Open(ctx context.Context, _ cluster.Ask, _, _ int64) (chunk.Stream, error) {
	h.n.Add(1)
	select {
	case <-h.free:
	case <-ctx.Done():
	}
	h.n.Add(-1)
	return nil, chunk.ErrNotFound
}

// Asks of a zone that fill their places hold up neither homes, nor hedges, nor
// calls: levels wait for the next one only, so every wait ends.
func TestOneLevelCantTakeThePlacesOfAnother(t *testing.T) {
	h := &holding{free: make(chan struct{})}
	b := clustertest.NewBytes(clustertest.Geometry, 8<<20)
	l := &clustertest.Local{
		Open: func(ctx context.Context, q cluster.Ask, off, n int64) (chunk.Stream, error) {
			if q.Level == cluster.Zone && !q.ResidentOnly {
				return h.Open(ctx, q, off, n)
			}
			return b.Open(ctx, q, off, n)
		},
		Forget: func(context.Context, string) error { return nil },
	}
	s := listen(t, serve.Config{Local: l, Zone: 2, Home: 1, Resident: 1, Calls: 1})
	p := asker(t, peers.Config{Zone: 3})
	zone := ask()
	zone.Level = cluster.Zone
	var wg sync.WaitGroup
	for range 5 { // more than there are places, on both sides
		wg.Go(func() {
			if _, err := p.OpenRange(t.Context(), s.at, zone, 0, 10); !errors.Is(err, chunk.ErrNotFound) {
				t.Errorf("a zone's ask: %v", err)
			}
		})
	}
	until(t, "a full zone", func() bool { return h.n.Load() == 2 && s.Counts().Busy > 0 })
	resident := zone
	resident.ResidentOnly = true
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // reached only when they wait in a circle
	defer cancel()
	for _, q := range []cluster.Ask{ask(), resident} {
		st, err := p.OpenRange(ctx, s.at, q, 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := clustertest.Read(st, b, 0); err != nil {
			t.Error(err)
		}
	}
	if err := p.Drop(ctx, s.at, "image"); err != nil {
		t.Error(err)
	}
	close(h.free)
	wg.Wait()
	if c := p.Counts(); c.Busy == 0 || c.Unreached+c.Stalled+c.Broken+c.LeftAlone > 0 {
		t.Errorf("a full peer counts as away: %+v", c)
	}
}

// Stats, of which each may wait for an origin, hold up no record drop: a write would
// wait for it.
func TestStatsCantTakeThePlacesOfDrops(t *testing.T) {
	h := &holding{free: make(chan struct{})}
	s := listen(t, serve.Config{Stats: 2, Calls: 1, Local: &clustertest.Local{
		Stats: func(ctx context.Context, o chunk.Object) (chunk.Object, error) {
			_, err := h.Open(ctx, cluster.Ask{}, 0, 0)
			return o, err
		},
		Forget: func(context.Context, string) error { return nil },
	}})
	p := asker(t, peers.Config{Stats: 3, Calls: 1})
	var wg sync.WaitGroup
	for range 5 { // more than there are places, on both sides
		wg.Go(func() {
			if _, err := p.Stat(t.Context(), s.at, chunk.Object{Ref: "image/1"}); !errors.Is(err, chunk.ErrNotFound) {
				t.Errorf("a stat: %v", err)
			}
		})
	}
	until(t, "stats in all places", func() bool { return h.n.Load() == 2 && s.Counts().Busy > 0 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := p.Drop(ctx, s.at, "image"); err != nil {
		t.Error(err)
	}
	close(h.free)
	wg.Wait()
}

// What is asked for only if resident is not worth waiting for a place.
func TestAFullPeerHasNothingAtHand(t *testing.T) {
	h := &holding{free: make(chan struct{})}
	s := listen(t, serve.Config{Local: &clustertest.Local{Open: h.Open}, Resident: 1})
	p := asker(t, peers.Config{})
	q := ask()
	q.ResidentOnly = true
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = p.OpenRange(t.Context(), s.at, q, 0, 10) })
	until(t, "one at it", func() bool { return h.n.Load() == 1 })
	if _, err := p.OpenRange(t.Context(), s.at, q, 0, 10); !errors.Is(err, cluster.ErrNotResident) {
		t.Error(err)
	}
	close(h.free)
	wg.Wait()
}

func TestAStoppedServerCutsWhatIsUnderWay(t *testing.T) {
	h := &holding{free: make(chan struct{})}
	s := listen(t, serve.Config{Local: &clustertest.Local{Open: h.Open}, Beat: time.Millisecond})
	p := asker(t, peers.Config{})
	go func() {
		until(t, "one at it", func() bool { return h.n.Load() == 1 })
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Shutdown(ctx)
	}()
	if _, err := p.OpenRange(t.Context(), s.at, ask(), 0, 10); !errors.Is(err, cluster.ErrAway) {
		t.Error(err)
	}
	if n := h.n.Load(); n != 0 {
		until(t, "its stream has ended", func() bool { return h.n.Load() == 0 })
	}
}

// While answers end in time, a stop cuts none.
func TestAStopLetsAnswersEnd(t *testing.T) {
	b := clustertest.NewBytes(clustertest.Geometry, 8<<20)
	goOn := make(chan struct{})
	s := listen(t, serve.Config{Local: &clustertest.Local{Open: func(ctx context.Context, _ cluster.Ask, off, n int64) (chunk.Stream, error) {
		steps := b.Steps(off, n)
		steps[1].Wait = goOn
		return clustertest.NewScript(ctx, steps...), nil
	}}})
	p := asker(t, peers.Config{})
	st, err := p.OpenRange(t.Context(), s.at, ask(), 2<<20, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.Shutdown(context.Background()) }()
	until(t, "no new connections", func() bool {
		c, err := net.Dial("tcp", s.at.Peer)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	close(goOn)
	if n, err := clustertest.Read(st, b, 2<<20); err != nil || n != 1<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestCloseEndsAllThatIsUnderWay(t *testing.T) {
	h := &holding{free: make(chan struct{})}
	s := listen(t, serve.Config{Local: &clustertest.Local{Open: h.Open}})
	p := asker(t, peers.Config{})
	go func() {
		until(t, "one at it", func() bool { return h.n.Load() == 1 })
		p.Close()
	}()
	if _, err := p.OpenRange(t.Context(), s.at, ask(), 0, 10); !errors.Is(err, cluster.ErrAway) {
		t.Error(err)
	}
	if _, err := p.OpenRange(t.Context(), s.at, ask(), 0, 10); !errors.Is(err, cluster.ErrAway) {
		t.Error(err)
	}
}

// One connection serves one ask after the other, and a node that is back at another
// address is found there.
func TestConnectionsAreUsedAgain(t *testing.T) {
	b := clustertest.NewBytes(clustertest.Geometry, 8<<20)
	var dials atomic.Int64
	p := asker(t, peers.Config{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}})
	for range 2 {
		s := listen(t, serve.Config{Local: &clustertest.Local{Open: b.Open}})
		if err := p.Ping(t.Context(), s.at); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			st, err := p.OpenRange(t.Context(), s.at, ask(), 0, 4<<20)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := clustertest.Read(st, b, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	if dials.Load() != 2 {
		t.Errorf("%d connections", dials.Load())
	}
}

func TestAStreamAllocatesNothingForAPiece(t *testing.T) {
	b := clustertest.NewBytes(clustertest.Geometry, 8<<20)
	s := listen(t, serve.Config{Local: &clustertest.Local{Open: b.Open}})
	p := asker(t, peers.Config{})
	st, err := p.OpenRange(t.Context(), s.at, ask(), 4<<20, 4<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	n := testing.AllocsPerRun(50, func() {
		if _, err := st.Next(); err != nil {
			t.Fatal(err)
		}
	})
	if n >= 2 { // the server in the same process counts too
		t.Errorf("%v allocations a piece", n)
	}
}
