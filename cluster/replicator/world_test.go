package replicator

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"glimpse/cachestore"
	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/clustertest"
	"glimpse/cluster/ring"

	"glimpse/cluster/source"
	"golang.org/x/time/rate"
)

var small = chunk.Geometry{Chunk: 8 << 10, Extent: 4}

// world is a number of nodes, the peer plane between them, images and one origin.
type world struct {
	t      *testing.T
	net    *clustertest.Net
	images map[chunk.Key][]byte
	nodes  map[string]*node

	origin atomic.Int64 // bytes that it gave
	stale  chunk.Key    // that no registry knows any more
	pace   time.Duration
	rate   int64

	mu    sync.Mutex
	moved map[string]int64 // bytes that a node got of what others had, by node
}

// node is one of them.
type node struct {
	w      *world
	ring   atomic.Pointer[ring.Ring]
	self   atomic.Pointer[ring.Node]
	store  *cachestore.Store
	zone   *cachestore.Level
	client *cachestore.Level
	r      *source.Router
	rep    *Replicator
}

func (n *node) Self() ring.Node                               { return *n.self.Load() }
func (n *node) Ring() *ring.Ring                              { return n.ring.Load() }
func (n *node) Watch(func(old, now *ring.Ring)) (stop func()) { return func() {} }

// cacheOf is a node's cache as the replicator sees it.
type cacheOf struct {
	*cachestore.Store
	zone *cachestore.Level
}

func (c cacheOf) Pull(ctx context.Context, o chunk.Object, index int, from chunk.Source) error {
	return c.zone.Pull(ctx, o, index, from)
}

// local answers other nodes.
type local struct {
	clustertest.Local
	n *node
}

// OpenRange counts what is given of what is resident.
func (l *local) OpenRange(ctx context.Context, q cluster.Ask, off, k int64) (chunk.Stream, error) {
	st, err := l.n.r.Serve(ctx, q, off, k)
	if err != nil || !q.ResidentOnly {
		return st, err
	}
	return &moving{st, l.n.w, q.From}, nil
}

type moving struct {
	chunk.Stream
	w  *world
	to string
}

func (m *moving) Next() (chunk.Piece, error) {
	p, err := m.Stream.Next()
	if err == nil {
		m.w.mu.Lock()
		m.w.moved[m.to] += int64(len(p.Data))
		m.w.mu.Unlock()
	}
	return p, err
}

// keeper is a local that knows of handing over.
type keeper struct{ *local }

func (k keeper) Holdings(ctx context.Context, q cluster.Claim) (cluster.Page, error) {
	return k.n.rep.Holdings(ctx, q)
}

func (k keeper) Take(ctx context.Context, from string) (cluster.Account, error) {
	return k.n.rep.Take(ctx, from)
}
func (k keeper) Vitals() cluster.Vitals { return cluster.Vitals{} }

// originOf is the origin as nodes reach it.
type originOf struct{ w *world }

func (s originOf) OpenRange(ctx context.Context, o chunk.Object, off, n int64) (chunk.Stream, error) {
	return &originStream{ctx: ctx, w: s.w, data: s.w.images[o.Key], pos: off, end: off + n}, nil
}

type originStream struct {
	ctx      context.Context
	w        *world
	data     []byte
	pos, end int64
}

func (s *originStream) Next() (chunk.Piece, error) {
	if s.pos == s.end {
		return chunk.Piece{}, io.EOF
	}
	if s.w.pace > 0 && !pause(s.ctx, s.w.pace) {
		return chunk.Piece{}, s.ctx.Err()
	}
	i := small.Index(s.pos)
	to := min(s.end, small.Off(i+1))
	p := chunk.Piece{Index: i, Off: s.pos, Len: to - s.pos, Data: bytes.Clone(s.data[s.pos:to])}
	s.pos = to
	s.w.origin.Add(p.Len)
	return p, nil
}

func (s *originStream) Close() error { return nil }

// newWorld has images of these sizes. In every one the third chunk is zeros.
func newWorld(t *testing.T, sizes ...int) *world {
	w := &world{t: t, net: clustertest.NewNet(small), images: map[chunk.Key][]byte{}, nodes: map[string]*node{}, moved: map[string]int64{}}
	for i, size := range sizes {
		b := make([]byte, size)
		for j := range b {
			b[j] = byte(rand.Uint32() | 1)
		}
		clear(b[2*small.Chunk : 3*small.Chunk])
		key := chunk.Key(fmt.Sprintf("p:image-%d", i))
		if i%2 == 1 {
			key = chunk.ContentKey("sha512", fmt.Sprintf("%0128x", i), int64(size), "")
		}
		w.images[key] = b
	}
	return w
}

// start starts a node that nobody knows of yet. Its memory is all that it has.
func (w *world) start(d ring.Node) *node {
	n := &node{w: w}
	n.self.Store(&d)
	n.ring.Store(ring.New([]ring.Node{d}, nil))
	var all int64
	for _, b := range w.images {
		all += int64(small.Count(int64(len(b))))
	}
	var err error
	n.store, err = cachestore.Open(w.t.Context(), cachestore.Config{Geometry: small, Memory: (all + 32) * small.Chunk, ReadAhead: 4, FillStreams: 2})
	if err != nil {
		w.t.Fatal(err)
	}
	plane := w.net.Handover(d.ID)
	n.r = source.New(source.Config{Members: n, Peers: plane, Geometry: small, Origin: originOf{w}})
	home := n.store.Level("home", n.r.ToOrigin())
	n.zone = n.store.LevelBefore("zone", home, cachestore.Outside{Source: n.r.ToHome(), Owns: n.r.OwnsHome})
	never := func(chunk.Object, int) bool { return false }
	n.client = n.store.LevelBefore("client", n.zone, cachestore.Outside{Source: n.r.ToZone(), Owns: n.r.OwnsZone, Keep: never})
	n.r.Bind(n.zone, home)
	n.rep = New(Config{Members: n, Peers: plane, Cache: cacheOf{n.store, n.zone}, Geometry: small, Rate: w.bound(), Here: func(_ context.Context, o chunk.Object) (chunk.Object, bool) {
		return o, o.Key != w.stale
	}})
	w.nodes[d.ID] = n
	l := &local{n: n}
	w.net.Join(d.ID, keeper{l})
	return n
}

// settle has all nodes see these.
func (w *world) settle(nodes ...ring.Node) *ring.Ring {
	for _, d := range nodes {
		n := w.nodes[d.ID]
		if n == nil {
			n = w.start(d)
		}
		n.self.Store(&d)
		n.ring.Store(ring.New(nodes, n.ring.Load()))
	}
	return ring.New(nodes, nil)
}

func (w *world) close() {
	for id, n := range w.nodes {
		if err := n.store.Close(context.Background()); err != nil {
			w.t.Errorf("node %s: %v", id, err)
		}
	}
}

func (w *world) object(key chunk.Key) chunk.Object {
	return chunk.Object{Key: key, Size: int64(len(w.images[key])), Validator: "v", Ref: "image/1"}
}

// extents calls fn with each extent, its chunks and its bytes that are not zeros.
func (w *world) extents(fn func(o chunk.Object, extent, from, to int, bytes int64)) {
	for key, data := range w.images {
		o := w.object(key)
		count := small.Count(o.Size)
		for from := 0; from < count; from += small.Extent {
			to, n := min(from+small.Extent, count), int64(0)
			for i := from; i < to; i++ {
				if c := data[small.Off(i):][:small.Len(i, o.Size)]; !chunk.IsZero(c) {
					n += int64(len(c))
				}
			}
			fn(o, small.ExtentOf(from), from, to, n)
		}
	}
}

// warm has each extent read by a client of its owner in each zone, so that nobody
// else has any of it.
func (w *world) warm(rg *ring.Ring) {
	w.extents(func(o chunk.Object, extent, from, to int, _ int64) {
		for _, zone := range rg.Zones() {
			owner, _ := rg.Owner(zone, o.Key, extent)
			if err := w.read(owner.ID, o, small.Off(from), min(small.Off(to), o.Size)-small.Off(from)); err != nil {
				w.t.Errorf("warming %s: %v", owner.ID, err)
			}
		}
	})
}

// read reads a range at a node.
func (w *world) read(id string, o chunk.Object, off, n int64) error {
	return w.nodes[id].read(o, off, n)
}

func (n *node) read(o chunk.Object, off, k int64) error {
	b, err := n.client.Open(context.Background(), o, off, k)
	if err != nil {
		return err
	}
	defer b.Close()
	var got bytes.Buffer
	if _, err := b.WriteTo(&got); err != nil {
		return err
	}
	if want := n.w.images[o.Key][off : off+k]; !bytes.Equal(got.Bytes(), want) {
		return fmt.Errorf("%d bytes that are not the %d of the image", got.Len(), k)
	}
	return nil
}

// total is what all nodes got of what others had.
func (w *world) total() (sum int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.moved {
		sum += n
	}
	return sum
}

// change is what must move from one ring to the next, by new owner: the extents
// of which the owner in a zone is another one, where the zone had one.
func (w *world) change(before, now *ring.Ring) map[string]int64 {
	to := map[string]int64{}
	w.extents(func(o chunk.Object, extent, _, _ int, bytes int64) {
		for _, zone := range now.Zones() {
			a, had := before.Owner(zone, o.Key, extent)
			b, _ := now.Owner(zone, o.Key, extent)
			if had && a.ID != b.ID {
				to[b.ID] += bytes
			}
		}
	})
	return to
}

func members(n int, zones ...string) (all []ring.Node) {
	for i := range n {
		all = append(all, ring.Node{ID: fmt.Sprintf("node-%02d", i), Zone: zones[i%len(zones)], Weight: 1 << 30, State: ring.Ready})
	}
	return all
}

// bound is what a node may take over; nil where the world has none.
func (w *world) bound() *rate.Limiter {
	if w.rate == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(w.rate), int(small.Chunk))
}
