package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

var small = chunk.Geometry{Chunk: 64 << 10, Extent: 4}

// world is a number of nodes, the network between them and one origin.
type world struct {
	t     *testing.T
	zone  string // of the origin
	alone string // the node that alone has the origin; "": none
	data  []byte
	nodes map[string]*node

	mu       sync.Mutex
	read     int64 // bytes out of the origin
	readBy   map[string]int64
	readAt   map[portion]int // how often
	pace     time.Duration   // per chunk of the origin
	lag      time.Duration   // of a question between nodes, and of its answer
	jitter   time.Duration   // of each at most, beside the lag
	pause    time.Duration   // before each piece between nodes
	dead     map[string]bool
	halted   map[string]chan struct{} // closed when the node goes on
	asks     atomic.Int64
	crossed  map[string]int64 // bytes of others that a node has got
	uploader string           // as the registry says
	busy     func(at string, q cluster.Ask) bool
	apart    map[string]int // the side of a partition that a node is on
	former   chunk.Key      // "": the image has its first name
	lies     map[string]func(p chunk.Piece) chunk.Piece
}

// portion is what a node reads of the origin at once: a chunk, or what was left of it.
type portion struct {
	node string
	off  int64
}

// node is one of them.
type node struct {
	w      *world
	self   ring.Node
	ring   atomic.Pointer[ring.Ring]
	store  *cachestore.Store
	client *cachestore.Level
	fresh  *cachestore.Level
	r      *Router
	cannot bool // its registry is away
}

func (n *node) Self() ring.Node                               { return n.self }
func (n *node) Ring() *ring.Ring                              { return n.ring.Load() }
func (n *node) Watch(func(old, now *ring.Ring)) (stop func()) { return func() {} }
func (n *node) Stat(context.Context, ring.Node, chunk.Object) (chunk.Object, error) {
	return chunk.Object{}, cluster.ErrCannot
}
func (n *node) Drop(context.Context, ring.Node, string) error { return nil }

// OpenRange is the network. A dead node answers nobody, and what it was sending
// breaks off.
func (n *node) OpenRange(ctx context.Context, at ring.Node, q cluster.Ask, off, k int64) (chunk.Stream, error) {
	w := n.w
	w.asks.Add(1)
	if err := w.travel(ctx); err != nil {
		return nil, err
	}
	if err := w.awake(ctx, at.ID); err != nil {
		return nil, err
	}
	if w.isDead(at.ID) || w.isDead(n.self.ID) || w.isApart(n.self.ID, at.ID) {
		return nil, cluster.ErrAway
	}
	if w.busy != nil && w.busy(at.ID, q) {
		return nil, cluster.ErrBusy
	}
	ctx, cancel := context.WithCancel(ctx)
	st, err := w.nodes[at.ID].r.Serve(ctx, q, off, k)
	if w.jitter > 0 {
		if late := w.travel(ctx); late != nil && err == nil {
			_ = st.Close()
			err = late
		}
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return &wire{w: w, ctx: ctx, from: n.self.ID, to: at.ID, st: st, cancel: cancel}, nil
}

// travel is the way of a message.
func (w *world) travel(ctx context.Context) error {
	d := w.lag
	if w.jitter > 0 {
		d += rand.N(w.jitter)
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

type wire struct {
	w        *world
	ctx      context.Context
	from, to string
	st       chunk.Stream
	cancel   context.CancelFunc
}

func (s *wire) Next() (chunk.Piece, error) {
	if s.w.isDead(s.to) || s.w.isApart(s.from, s.to) {
		return chunk.Piece{}, cluster.ErrAway
	}
	if s.w.pause > 0 {
		time.Sleep(s.w.pause)
	}
	if err := s.w.awake(s.ctx, s.to); err != nil {
		return chunk.Piece{}, err
	}
	p, err := s.st.Next()
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if s.w.dead[s.to] {
		return chunk.Piece{}, cluster.ErrAway
	}
	s.w.crossed[s.from] += int64(len(p.Data))
	if lie := s.w.lies[s.to]; lie != nil && err == nil {
		p = lie(p)
	}
	return p, err
}

func (s *wire) Hot() bool { return cluster.IsHot(s.st) }

func (s *wire) Close() error { s.cancel(); return s.st.Close() }

func (w *world) isDead(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dead[id]
}

// awake waits while a node is halted, for a second at most.
func (w *world) awake(ctx context.Context, id string) error {
	w.mu.Lock()
	on := w.halted[id]
	w.mu.Unlock()
	if on == nil {
		return nil
	}
	select {
	case <-on:
		return nil
	case <-time.After(time.Second):
		return cluster.ErrAway
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// isApart says whether a partition is between two nodes.
func (w *world) isApart(a, b string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.apart[a] != w.apart[b]
}

// halt stops a node for a while: it gives no byte, and nobody says so.
func (w *world) halt(id string, d time.Duration) {
	on := make(chan struct{})
	w.mu.Lock()
	w.halted[id] = on
	w.mu.Unlock()
	time.Sleep(d)
	w.mu.Lock()
	delete(w.halted, id)
	w.mu.Unlock()
	close(on)
}

func (w *world) kill(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead[id] = true
}

// source is the origin as one node reaches it.
type source struct{ n *node }

func (s source) OpenRange(ctx context.Context, _ chunk.Object, off, n int64) (chunk.Stream, error) {
	if s.n.cannot {
		return nil, chunk.ErrUnresolved
	}
	return &originStream{ctx: ctx, n: s.n, pos: off, end: off + n}, nil
}

type originStream struct {
	ctx      context.Context
	n        *node
	pos, end int64
}

func (s *originStream) Next() (chunk.Piece, error) {
	if s.pos == s.end {
		return chunk.Piece{}, io.EOF
	}
	w := s.n.w
	select {
	case <-time.After(w.pace):
	case <-s.ctx.Done():
		return chunk.Piece{}, s.ctx.Err()
	}
	i := small.Index(s.pos)
	to := min(s.end, small.Off(i+1))
	p := chunk.Piece{Index: i, Off: s.pos, Len: to - s.pos, Data: bytes.Clone(w.data[s.pos:to])}
	s.pos = to
	w.mu.Lock()
	w.read += p.Len
	w.readBy[s.n.self.ID] += p.Len
	w.readAt[portion{s.n.self.ID, p.Off}]++
	w.mu.Unlock()
	return p, nil
}

func (s *originStream) Close() error { return nil }

// settle makes nodes of descriptions, all with one ring.
func settle(t *testing.T, size int, descriptions ...ring.Node) *world {
	return settleOn(t, size, func() cachestore.Config {
		return cachestore.Config{Geometry: small, Memory: 64 * small.Chunk, ReadAhead: 4, FillStreams: 2}
	}, descriptions...)
}

// settleOn has each node's store made of a configuration of its own.
func settleOn(t *testing.T, size int, store func() cachestore.Config, descriptions ...ring.Node) *world {
	w := &world{t: t, nodes: map[string]*node{}, dead: map[string]bool{}, halted: map[string]chan struct{}{}, readBy: map[string]int64{}, readAt: map[portion]int{}, crossed: map[string]int64{}, pace: 5 * time.Millisecond, lag: time.Millisecond}
	w.data = make([]byte, size)
	for i := range w.data {
		w.data[i] = byte(rand.Uint32() | 1)
	}
	all := ring.New(descriptions, nil)
	for _, d := range descriptions {
		n := &node{w: w, self: d}
		n.ring.Store(all)
		s, err := cachestore.Open(t.Context(), store())
		if err != nil {
			t.Fatal(err)
		}
		n.store = s
		n.r = New(Config{Members: n, Peers: n, Geometry: small, Origin: source{n}, HedgeBudget: 0.05, Uploader: w.whoUploaded})
		home := s.Level("home", n.r.ToOrigin())
		zone := s.LevelBefore("zone", home, cachestore.Outside{Source: n.r.ToHome(), Owns: n.r.OwnsHome})
		n.client = s.LevelBefore("client", zone, cachestore.Outside{Source: n.r.ToZone(), Owns: n.r.OwnsZone, Keep: n.r.Hot, Seen: n.r.Seen})
		n.r.Bind(zone, home)
		n.fresh = s.Level("fresh", n.r.ToUploader())
		w.nodes[d.ID] = n
	}
	return w
}

func (w *world) close() {
	for _, n := range w.nodes {
		if err := n.store.Close(context.Background()); err != nil {
			w.t.Errorf("node %s: %v", n.self.ID, err)
		}
	}
	for _, n := range w.nodes {
		n.r.mu.Lock()
		if len(n.r.outward) > 0 {
			w.t.Errorf("node %s still waits for %v", n.self.ID, n.r.outward)
		}
		n.r.mu.Unlock()
	}
}

func (w *world) object() chunk.Object {
	return chunk.Object{Key: "p:test", Size: int64(len(w.data)), Validator: "v", Ref: "image/1", Zone: w.zone, Node: w.alone}
}

// fetch reads the whole image at a node.
func (w *world) fetch(id string) error {
	b, err := w.nodes[id].client.Open(context.Background(), w.named(), 0, -1)
	if err != nil {
		return err
	}
	defer b.Close()
	var got bytes.Buffer
	if _, err := b.WriteTo(&got); err != nil {
		return err
	}
	if !bytes.Equal(got.Bytes(), w.data) {
		return fmt.Errorf("%d bytes that are not the %d of the image", got.Len(), len(w.data))
	}
	return nil
}

// storm has clients read at nodes, all at once.
func (w *world) storm(clients int, ids ...string) (failed int) {
	var wg sync.WaitGroup
	errs := make([]error, clients)
	for i := range clients {
		wg.Go(func() { errs[i] = w.fetch(ids[i%len(ids)]) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			failed++
			w.t.Logf("client %d: %v", i, err)
		}
	}
	return failed
}

// once fails where the origin gave more than every byte once.
func (w *world) once() {
	w.t.Helper()
	if w.read != int64(len(w.data)) {
		w.t.Errorf("the origin gave %d bytes of an image of %d: %v", w.read, len(w.data), w.readBy)
	}
}

// onceEach fails where a node has read a part of the origin more than once.
func (w *world) onceEach() {
	w.t.Helper()
	for p, n := range w.readAt {
		if n > 1 {
			w.t.Errorf("node %s has read what is at %d %d times", p.node, p.off, n)
		}
	}
}

func members(n int, zones ...string) (all []ring.Node) {
	for i := range n {
		all = append(all, ring.Node{ID: fmt.Sprintf("node-%02d", i), Zone: zones[i%len(zones)], Weight: 1 << 30, Peer: fmt.Sprintf("%02d:9293", i), State: ring.Ready})
	}
	return all
}

func ids(nodes []ring.Node) (all []string) {
	for _, n := range nodes {
		all = append(all, n.ID)
	}
	return all
}

// A store that lies in one zone is read by that zone's nodes alone, be it an edge.
func TestAStoresZoneReadsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(8, "a", "b")
		for i := range nodes {
			nodes[i].Edge = nodes[i].Zone == "b"
		}
		w := settle(t, imageSize, nodes...)
		w.zone = "b"
		if failed := w.storm(16, ids(nodes)...); failed > 0 {
			t.Errorf("%d clients failed", failed)
		}
		w.once()
		for _, n := range nodes {
			if read := w.readBy[n.ID]; read > 0 && n.Zone != "b" {
				t.Errorf("node %s of zone %s read %d bytes", n.ID, n.Zone, read)
			}
		}
		w.close()
	})
}

// What one node alone has is read by it alone, and handed out by others all the same.
func TestTheHolderReadsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(8, "a", "b")
		w := settle(t, imageSize, nodes...)
		w.alone = nodes[3].ID
		if failed := w.storm(16, ids(nodes)...); failed > 0 {
			t.Errorf("%d clients failed", failed)
		}
		w.once()
		if read := w.readBy[w.alone]; read != int64(len(w.data)) {
			t.Errorf("it has read %d of %d bytes", read, len(w.data))
		}
		w.close()

		w = settle(t, imageSize, nodes...)
		w.alone = nodes[3].ID
		w.kill(w.alone)
		if err := w.fetch(nodes[0].ID); !errors.Is(err, chunk.ErrUnavailable) {
			t.Errorf("it is dead: %v", err)
		}
		now := append(slices.Clone(nodes[:3]), nodes[4:]...)
		for _, n := range now { // the gossip says so
			w.nodes[n.ID].ring.Store(ring.New(now, w.nodes[n.ID].ring.Load()))
		}
		for _, n := range now {
			if err := w.fetch(n.ID); !errors.Is(err, chunk.ErrUnavailable) {
				t.Errorf("it is gone: %v", err)
			}
		}
		if w.read > 0 {
			t.Errorf("others have read it: %v", w.readBy)
		}
		w.close()
	})
}

const imageSize = 40*64<<10 + 777

func TestOneCopyOutOfTheOrigin(t *testing.T) {
	for name, nodes := range map[string][]ring.Node{
		"1 node": members(1, "a"), "3 nodes": members(3, "a"), "8 nodes in 2 zones": members(8, "a", "b"), "50 nodes in 3 zones": members(50, "a", "b", "c"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := settle(t, imageSize, nodes...)
				if failed := w.storm(2*len(nodes)+3, ids(nodes)...); failed > 0 {
					t.Errorf("%d clients failed", failed)
				}
				w.once()
				t.Logf("%d questions between nodes", w.asks.Load())
				w.close()
			})
		})
	}
}

// A client of the owner and a peer that asks it in the same instant share a fill.
func TestAnOwnerAskedFromBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(2, "a")
		w := settle(t, imageSize, nodes...)
		w.lag = 0
		if failed := w.storm(2, ids(nodes)...); failed > 0 {
			t.Errorf("%d clients failed", failed)
		}
		w.once()
		w.close()
	})
}

func TestAnOwnerDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(4, "a", "b")
		w := settle(t, imageSize, nodes...)
		gone := nodes[2].ID
		go func() {
			time.Sleep(30 * time.Millisecond)
			w.kill(gone)
		}()
		if failed := w.storm(9, nodes[0].ID, nodes[1].ID, nodes[3].ID); failed > 0 {
			t.Errorf("%d clients of nodes that live failed", failed)
		}
		if w.readBy[gone] == 0 {
			t.Error("the node that died had read nothing: the test shows nothing")
		}
		if over := float64(w.read) / float64(len(w.data)); over > 1.1 || w.read-int64(len(w.data)) > w.readBy[gone] {
			t.Errorf("%.2f copies out of the origin: %v", over, w.readBy)
		}
		w.onceEach()
		w.close()
	})
}

func TestAnOwnerThatCanNotResolve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(3, "a")
		w := settle(t, imageSize, nodes...)
		w.nodes[nodes[1].ID].cannot = true
		// Its own client wants what it owns, which nobody has asked for yet.
		n, asked := w.nodes[nodes[1].ID], 0
		for e := range small.ExtentOf(small.Count(imageSize)-1) + 1 {
			if asked > 0 || !n.r.OwnsHome(w.object(), e) {
				continue
			}
			asked++
			b, err := n.client.Open(t.Context(), w.object(), small.Off(e*small.Extent), 10)
			if err == nil {
				_, err = io.ReadFull(b, make([]byte, 10))
				_ = b.Close()
			}
			if err != nil {
				t.Errorf("its own client: %v", err)
			}
		}
		if asked == 0 {
			t.Error("it owns nothing: the test shows nothing")
		}
		if failed := w.storm(6, ids(nodes)...); failed > 0 {
			t.Errorf("%d clients failed", failed)
		}
		w.once()
		if w.readBy[nodes[1].ID] > 0 {
			t.Error("it has read the origin")
		}
		w.close()

		w = settle(t, imageSize, nodes...)
		for _, n := range w.nodes {
			n.cannot = true
		}
		if err := w.fetch(nodes[0].ID); !errors.Is(err, chunk.ErrUnavailable) {
			t.Errorf("when nobody can: %v", err)
		}
		w.close()
	})
}

// An edge zone and a client read no origin, even when nobody else can.
func TestWhoReadsNoOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(4, "core", "edge")
		for i := range nodes {
			nodes[i].Edge = nodes[i].Zone == "edge"
		}
		nodes = append(nodes, ring.Node{ID: "client", Zone: "core", Role: ring.Client, State: ring.Ready, Weight: 1 << 30})
		w := settle(t, imageSize, nodes...)
		if failed := w.storm(10, ids(nodes)...); failed > 0 {
			t.Errorf("%d clients failed", failed)
		}
		w.once()
		for _, n := range nodes {
			if got := w.readBy[n.ID]; got > 0 && (n.Edge || n.Role == ring.Client) {
				t.Errorf("%s has read %d bytes of the origin", n.ID, got)
			}
		}
		w.close()

		w = settle(t, imageSize, nodes...)
		w.kill(nodes[0].ID)
		w.kill(nodes[2].ID)
		for _, id := range []string{nodes[1].ID, "client"} {
			if err := w.fetch(id); !errors.Is(err, chunk.ErrUnavailable) {
				t.Errorf("%s without a home: %v", id, err)
			}
		}
		if w.read > 0 {
			t.Errorf("the origin was read: %v", w.readBy)
		}
		w.close()
	})
}

// A node joins: what it owns now it gets from those who had it, and no byte from
// the origin.
func TestTheFormerOwnerIsAskedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(4, "a")
		w := settle(t, imageSize, nodes...)
		before := ring.New(nodes[:3], nil)
		for _, d := range nodes[:3] {
			w.nodes[d.ID].ring.Store(before)
		}
		if failed := w.storm(3, ids(nodes[:3])...); failed > 0 {
			t.Fatalf("%d clients failed", failed)
		}
		w.once()
		now := ring.New(nodes, before)
		for _, n := range w.nodes {
			n.ring.Store(now)
		}
		moved := 0
		for e := range small.ExtentOf(small.Count(int64(len(w.data)))-1) + 1 {
			if o, _ := now.Owner("a", "p:test", e); o.ID == nodes[3].ID {
				moved++
			}
		}
		if moved == 0 {
			t.Fatal("the new node owns nothing: the test shows nothing")
		}
		if failed := w.storm(8, ids(nodes)...); failed > 0 {
			t.Errorf("%d clients failed", failed)
		}
		w.once()
		w.close()
	})
}
