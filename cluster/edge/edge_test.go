package edge_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ca"
	"glimpse/cluster/edge"
	"glimpse/cluster/peers"
	"glimpse/cluster/ring"
	"glimpse/cluster/serve"
	"glimpse/cluster/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is nodes that gossip by zones: those of edge zones each within its own,
// all others together.
type world struct {
	t  *testing.T
	ca *ca.Authority
	pa ca.Pair

	mu    sync.Mutex
	nodes map[string]*node
}

// node is one of them. It is its own membership.
type node struct {
	w       *world
	far     *edge.Far
	peers   *peers.Peers
	server  *serve.Server
	stopped func()

	mu      sync.Mutex
	self    ring.Node
	foreign []ring.Node
	ring    *ring.Ring
	listen  cluster.Listeners[[2]*ring.Ring]
	dropped map[string]bool
}

func newWorld(t *testing.T) *world {
	p, err := ca.Make("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	a, err := ca.Load(p)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, ca: a, pa: p, nodes: map[string]*node{}}
}

func (w *world) identity(id string) *ca.Identity {
	w.t.Helper()
	p, err := w.ca.Issue("test", id, time.Now(), time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	dir := w.t.TempDir()
	c := ca.Config{CA: filepath.Join(dir, "ca"), Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key"), Label: "test", Node: id}
	for name, b := range map[string][]byte{c.CA: w.pa.Cert, c.Cert: p.Cert, c.Key: p.Key} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	i, err := ca.Open(c)
	if err != nil {
		w.t.Fatal(err)
	}
	return i
}

// start adds a node. Nobody may dial an edge node from outside its zone.
func (w *world) start(id, zone string, isEdge bool) *node { return w.startAs(id, zone, isEdge, 7) }

func (w *world) startAs(id, zone string, isEdge bool, epoch uint32) *node {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	n := &node{w: w, dropped: map[string]bool{}, ring: ring.New(nil, nil)}
	n.self = ring.Node{ID: id, Name: "name of " + id, Zone: zone, Weight: int64(len(id)) << 30, Peer: l.Addr().String(), Epoch: epoch, State: ring.Ready, Edge: isEdge}
	who := w.identity(id)
	n.peers = peers.New(peers.Config{
		Self: id, Identity: who, Stall: 30 * time.Second,
		Reach: func(ctx context.Context, at ring.Node) (net.Conn, bool, error) {
			c, ok, err := n.far.Reach(ctx, at)
			if !ok && at.Edge && at.Zone != zone {
				w.t.Errorf("%s dials %s", id, at.ID)
			}
			return c, ok, err
		},
	})
	n.far = edge.New(edge.Config{
		Members: n, Peers: n.peers, Log: slog.New(slog.DiscardHandler),
		Take:  func(c net.Conn) { n.server.Take(c) },
		Table: func(context.Context) ([]ring.Node, error) { return w.table(), nil },
	})
	n.server = serve.New(serve.Config{Node: id, Geometry: chunk.Geometry{Chunk: 1 << 20, Extent: 4}, Local: local{n}, Identity: who, Far: n.far, Log: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		if err := n.server.Serve(l); err != nil {
			w.t.Error(err)
		}
	})
	all.Go(func() { n.far.Run(ctx) })
	n.stopped = sync.OnceFunc(func() {
		w.mu.Lock()
		delete(w.nodes, id)
		w.mu.Unlock()
		w.gossip()
		stop()
		cut, cancel := context.WithCancel(context.Background())
		cancel()
		_ = n.server.Shutdown(cut) // what is under way is cut
		n.far.Close()
		n.peers.Close()
		all.Wait()
	})
	w.t.Cleanup(n.stopped)
	w.mu.Lock()
	w.nodes[id] = n
	w.mu.Unlock()
	w.gossip()
	return n
}

// table is the node table: those that can be dialled.
func (w *world) table() (all []ring.Node) {
	for i := range 3 { // they have gone without a word
		all = append(all, ring.Node{ID: fmt.Sprint("dead-", i), Zone: "a", Peer: "127.0.0.1:1"})
	}
	for _, n := range w.all() {
		if self := n.Self(); !self.Edge {
			all = append(all, self)
		}
	}
	return all
}

func (w *world) all() (all []*node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.nodes {
		all = append(all, n)
	}
	return all
}

// gossip has all nodes hear the news.
func (w *world) gossip() {
	for _, n := range w.all() {
		n.publish()
	}
}

func (n *node) Self() ring.Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.self
}

func (n *node) Near() (near []ring.Node) {
	self := n.Self()
	for _, o := range n.w.all() {
		if s := o.Self(); s.Edge == self.Edge && (!s.Edge || s.Zone == self.Zone) {
			near = append(near, s)
		}
	}
	return near
}

func (n *node) Ring() *ring.Ring {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ring
}

func (n *node) SetFar(nodes []ring.Node) {
	n.mu.Lock()
	n.foreign = nodes
	n.mu.Unlock()
	n.publish()
}

func (n *node) publish() {
	near := n.Near()
	n.mu.Lock()
	old := n.ring
	n.ring = ring.New(append(near, n.foreign...), old)
	same := slices.Equal(old.Nodes(), n.ring.Nodes())
	now := n.ring
	n.mu.Unlock()
	if !same {
		n.listen.Tell([2]*ring.Ring{old, now})
	}
}

func (n *node) Watch(fn func(old, now *ring.Ring)) (stop func()) {
	return n.listen.Add(func(r [2]*ring.Ring) { fn(r[0], r[1]) })
}

// set changes what a node is.
func (n *node) set(s ring.State) {
	n.mu.Lock()
	n.self.State = s
	n.mu.Unlock()
	n.w.gossip()
}

func (n *node) has(image string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dropped[image]
}

type local struct{ n *node }

func (l local) OpenRange(context.Context, cluster.Ask, int64, int64) (chunk.Stream, error) {
	return nil, cluster.ErrNotResident
}

func (l local) Stat(context.Context, chunk.Object) (chunk.Object, error) {
	return chunk.Object{}, cluster.ErrCannot
}

func (l local) Drop(_ context.Context, image string) error {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	l.n.dropped[image] = true
	return nil
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what, ": not within a minute")
		}
	}
}

// agree waits until all rings list all nodes as they are.
func (w *world) agree() {
	w.t.Helper()
	until(w.t, "all see all as they are", func() bool {
		var want []ring.Node
		for _, n := range w.all() {
			want = append(want, n.Self())
		}
		list := ring.New(want, nil).Nodes()
		for _, n := range w.all() {
			if !slices.Equal(n.Ring().Nodes(), list) {
				return false
			}
		}
		return true
	})
}

// drops has each node tell each other one.
func (w *world) drops(round string) {
	w.t.Helper()
	n := 0
	for _, from := range w.all() {
		for _, to := range w.all() {
			if from == to {
				continue
			}
			image := fmt.Sprint(round, from.Self().ID, to.Self().ID)
			if err := from.peers.Drop(w.t.Context(), to.Self(), image); err != nil || !to.has(image) {
				w.t.Errorf("%s to %s: %v", from.Self().ID, to.Self().ID, err)
			}
			n++
		}
	}
	w.t.Logf("%d drops", n)
}

// Three zones that reach each other and two edge zones that nobody dials: all see
// all, and tell each other, also by way of third nodes and also when a node that
// links lead to has gone.
func TestEdgeZonesAreOfTheCluster(t *testing.T) {
	w := newWorld(t)
	for i, zone := range []string{"a", "b", "a", "b"} {
		w.start(fmt.Sprint("home-", i), zone, false)
	}
	var edges []*node
	for i, zone := range []string{"x", "x", "y"} {
		edges = append(edges, w.start(fmt.Sprint("edge-", i), zone, true))
	}
	w.agree()
	for _, n := range edges {
		until(t, "two links", func() bool { return n.far.Links() == 2 })
	}
	w.drops("first ")

	edges[0].set(ring.Draining)
	w.nodes["home-2"].set(ring.Warming)
	w.agree()

	// The one with the most links goes.
	most := w.nodes["home-0"]
	for _, n := range w.all() {
		if !n.Self().Edge && n.far.Links() > most.far.Links() {
			most = n
		}
	}
	if most.far.Links() == 0 {
		t.Fatal("nobody has a link")
	}
	t.Logf("%s with %d links goes", most.Self().ID, most.far.Links())
	most.stopped()
	for _, n := range edges {
		until(t, "two links again", func() bool { return n.far.Links() == 2 })
	}
	w.agree()
	w.drops("second ")

	// One that starts again is itself at once.
	edges[2].stopped()
	w.startAs("edge-2", "y", true, 8)
	w.agree()
}

// A node can't pass for another when it offers a link, and one without a link here
// is not found.
func TestALinkIsItsOwnersOnly(t *testing.T) {
	w := newWorld(t)
	home := w.start("home", "a", false)
	for name, c := range map[string]struct {
		self string
		who  *ca.Identity
	}{
		"another's name":        {"edge", w.identity("thief")},
		"another cluster's CA":  {"edge", newWorld(t).identity("edge")},
		"no link of that name":  {"edge", w.identity("edge")},
		"no certificate at all": {"edge", nil},
	} {
		p := peers.New(peers.Config{Self: c.self, Identity: c.who, Connect: 5 * time.Second})
		path := "/glimpse/peer/v1/link"
		if name == "no link of that name" {
			path = "/glimpse/peer/v1/via"
		}
		conn, err := p.Switch(t.Context(), home.Self(), path, ask("nobody"))
		if err == nil {
			conn.Close()
			t.Errorf("%s: it is taken", name)
		}
		t.Logf("%s: %v", name, err)
		p.Close()
	}
	if n := home.far.Links(); n != 0 {
		t.Errorf("%d links", n)
	}
}

func ask(through string) wire.Ask { return wire.Ask{Through: through} }
