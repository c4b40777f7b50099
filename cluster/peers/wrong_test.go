package peers_test

import (
	"bytes"
	"context"
	"io"
	"sync/atomic"
	"testing"

	"glimpse/cachestore"
	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/clustertest"
	"glimpse/cluster/peers"
	"glimpse/cluster/ring"
	"glimpse/cluster/serve"
	"glimpse/cluster/source"
)

// whole is a node with a cache, over the real peer plane.
type whole struct {
	self   ring.Node
	ring   atomic.Pointer[ring.Ring]
	router *source.Router
	client *cachestore.Level
	store  *cachestore.Store
	lies   atomic.Bool
}

func (n *whole) Self() ring.Node                               { return n.self }
func (n *whole) Ring() *ring.Ring                              { return n.ring.Load() }
func (n *whole) Watch(func(old, now *ring.Ring)) (stop func()) { return func() {} }

// open answers other nodes; where the node lies, with the last bit of each chunk
// turned before the frames get their checksums.
func (n *whole) open(ctx context.Context, q cluster.Ask, off, k int64) (chunk.Stream, error) {
	st, err := n.router.Serve(ctx, q, off, k)
	if err == nil && n.lies.Load() {
		st = lying{st}
	}
	return st, err
}

type lying struct{ chunk.Stream }

func (l lying) Next() (chunk.Piece, error) {
	p, err := l.Stream.Next()
	if err == nil && (p.Off+p.Len)%clustertest.Geometry.Chunk == 0 {
		p.Data = bytes.Clone(p.Data)
		p.Data[p.Len-1] ^= 1
	}
	return p, err
}

// read is an origin that counts.
type read struct {
	data []byte
	n    atomic.Int64
}

func (r *read) OpenRange(ctx context.Context, _ chunk.Object, off, n int64) (chunk.Stream, error) {
	r.n.Add(n)
	var steps []clustertest.Step
	for end := off + n; off < end; {
		i := clustertest.Geometry.Index(off)
		to := min(end, clustertest.Geometry.Off(i+1))
		steps = append(steps, clustertest.Step{Piece: chunk.Piece{Index: i, Off: off, Len: to - off, Data: r.data[off:to]}})
		off = to
	}
	return clustertest.NewScript(ctx, steps...), nil
}

func wholeNode(t *testing.T, id string, role ring.Role, origin chunk.Source) *whole {
	n := &whole{}
	s := listen(t, serve.Config{Node: id, Local: &clustertest.Local{Open: n.open}})
	n.self = ring.Node{ID: id, Name: "name of " + id, Zone: "a", Peer: s.at.Peer, Role: role, State: ring.Ready, Weight: 1 << 30}
	var err error
	n.store, err = cachestore.Open(t.Context(), cachestore.Config{Geometry: clustertest.Geometry, Memory: 16 << 20, ReadAhead: 2, FillStreams: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.store.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	n.router = source.New(source.Config{Members: n, Peers: asker(t, peers.Config{Self: id}), Geometry: clustertest.Geometry, Origin: origin})
	home := n.store.Level("home", n.router.ToOrigin())
	zone := n.store.LevelBefore("zone", home, cachestore.Outside{Source: n.router.ToHome(), Owns: n.router.OwnsHome})
	n.client = n.store.LevelBefore("client", zone, cachestore.Outside{Source: n.router.ToZone(), Owns: n.router.OwnsZone})
	n.router.Bind(zone, home)
	return n
}

// A node gives chunks that are wrong in frames that are right: its checksums, and the
// digest that it sends along, are those of other bytes. A client of another node gets
// the right bytes all the same, and the origin gives them once more at most.
func TestWrongBytesInRightFrames(t *testing.T) {
	origin := &read{data: clustertest.NewBytes(clustertest.Geometry, 4<<20).Data}
	for i := range origin.data {
		origin.data[i] |= 2 // no chunk of zeros
	}
	size := int64(len(origin.data))
	reader := wholeNode(t, "node-a", ring.Client, origin)
	all := []*whole{wholeNode(t, "node-b", ring.Member, origin), wholeNode(t, "node-c", ring.Member, origin), reader}
	rg := ring.New([]ring.Node{all[0].self, all[1].self, all[2].self}, nil)
	for _, n := range all {
		n.ring.Store(rg)
	}
	o := chunk.Object{Key: "p:1", Size: size}
	fetch := func() {
		t.Helper()
		reader.store.Drop(o.Key)
		b, err := reader.client.Open(t.Context(), o, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if got, err := io.ReadAll(b); err != nil || !bytes.Equal(got, origin.data) {
			t.Errorf("%d bytes of %d, %v", len(got), size, err)
		}
	}
	fetch()
	if n, wrong := origin.n.Load(), reader.router.Counts().Wrong; n != size || wrong != 0 {
		t.Errorf("the origin gave %d bytes of %d, and %d chunks were wrong", n, size, wrong)
	}
	owner, _ := rg.Owner("a", o.Key, 0)
	for _, n := range all {
		n.lies.Store(n.self.ID == owner.ID)
	}
	fetch()
	if n := origin.n.Load(); n > 2*size {
		t.Errorf("the origin gave %d bytes more than once, of %d", n-size, size)
	}
	if n := reader.router.Counts().Wrong; n < 4 {
		t.Errorf("%d wrong chunks were counted", n)
	}
	more := origin.n.Load()
	fetch()
	if n := origin.n.Load(); n != more {
		t.Errorf("the origin gave %d bytes again", n-more)
	}
}
