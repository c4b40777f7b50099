package clustertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
	"glimpse/cluster/serve"
)

// Self is the node that asks in the kit, Other the one that answers.
const (
	Self  = "node-a"
	Other = "node-b"
)

// Geometry of the kit.
var Geometry = chunk.Geometry{Chunk: 1 << 20, Extent: 4}

// Plane starts a peer plane on which Self asks and Other answers from l.
type Plane func(t *testing.T, l serve.Local) (cluster.Peers, ring.Node)

// Peers is what every peer plane has to pass.
func Peers(t *testing.T, start Plane) {
	k := &kit{start: start}
	t.Run("bytes", k.bytes)
	t.Run("asks arrive", k.asks)
	t.Run("bad asks", k.badAsks)
	t.Run("heat", k.heat)
	t.Run("errors", k.errors)
	t.Run("bad pieces", k.badPieces)
	t.Run("leaving", k.leaving)
	t.Run("calls", k.calls)
	t.Run("many", k.many)
}

type kit struct{ start Plane }

// An object of two and a bit extents, and the ask for it.
const size = 9<<20 + 12345

func askFor(n int64) cluster.Ask {
	return cluster.Ask{
		Object:   chunk.Object{Key: "p:kit", Size: n, Validator: "\"\xffv\"", Ref: "image/1"},
		Geometry: Geometry, Level: cluster.Home,
	}
}

// Read reads a stream to its end and checks its pieces against b.
func Read(st chunk.Stream, b *Bytes, off int64) (n int64, err error) {
	defer st.Close()
	for {
		p, err := st.Next()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if p.Off != off+n || p.Index != b.Geo.Index(p.Off) {
			return n, fmt.Errorf("piece %d at %d, want one at %d", p.Index, p.Off, off+n)
		}
		if want := p.Index == 1; p.Zero != want || p.Zero && p.Data != nil {
			return n, fmt.Errorf("chunk %d: zero is %v with %d bytes", p.Index, p.Zero, len(p.Data))
		}
		if !p.Zero && (!bytes.Equal(p.Data, b.Data[p.Off:p.Off+p.Len]) || p.Digest != b.Digest(p.Index)) {
			return n, fmt.Errorf("other bytes, or another digest, at %d", p.Off)
		}
		n += p.Len
	}
}

func (k *kit) bytes(t *testing.T) {
	b := NewBytes(Geometry, size)
	peers, at := k.start(t, &Local{Open: b.Open})
	for _, r := range [][2]int64{
		{0, 4 << 20}, {4 << 20, 4 << 20}, {8 << 20, size - 8<<20}, // extents
		{0, 1}, {1<<20 - 1, 2}, {1<<20 + 7, 100}, {5<<20 - 70000, 140001}, {size - 1, 1}, {2 << 20, 65536}, {2 << 20, 65537},
	} {
		st, err := peers.OpenRange(t.Context(), at, askFor(size), r[0], r[1])
		if err != nil {
			t.Fatal(r, err)
		}
		if n, err := Read(st, b, r[0]); err != nil || n != r[1] {
			t.Errorf("%v: %d bytes, %v", r, n, err)
		}
		if _, err := st.Next(); err == nil {
			t.Errorf("%v: a closed stream goes on", r)
		}
	}
	st, err := peers.OpenRange(t.Context(), at, askFor(-1), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := Read(st, b, 0); err != nil || n != size {
		t.Errorf("of unknown size: %d bytes, %v", n, err)
	}
}

func (k *kit) asks(t *testing.T) {
	var got cluster.Ask
	var gotOff, gotN int64
	b := NewBytes(Geometry, size)
	peers, at := k.start(t, &Local{Open: func(ctx context.Context, q cluster.Ask, off, n int64) (chunk.Stream, error) {
		got, gotOff, gotN = q, off, n
		return b.Open(ctx, q, off, n)
	}})
	for _, want := range []cluster.Ask{
		{Level: cluster.Zone}, {Level: cluster.Home}, {Level: cluster.Zone, ResidentOnly: true, Peer: "10.0.0.1:9293"}, {Level: cluster.Zone, ResidentOnly: true, Doubt: true},
	} {
		want.Object, want.Geometry = askFor(size).Object, Geometry
		ask := want
		ask.Object.MemoryOnly, ask.Object.Zone, ask.Object.Node = true, "z", "n" // which is about the asker's own disk
		ask.From = "somebody else"
		st, err := peers.OpenRange(t.Context(), at, ask, 5<<20, 77)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Read(st, b, 5<<20); err != nil {
			t.Fatal(err)
		}
		want.From = Self
		if !cmp.Equal(got, want) || gotOff != 5<<20 || gotN != 77 {
			t.Errorf("%d at %d, %s", gotN, gotOff, cmp.Diff(want, got))
		}
	}
}

// An owner says with its answer that several nodes ask for the extent.
func (k *kit) heat(t *testing.T) {
	b, hot := NewBytes(Geometry, size), false
	peers, at := k.start(t, &Local{Open: func(ctx context.Context, q cluster.Ask, off, n int64) (chunk.Stream, error) {
		st, err := b.Open(ctx, q, off, n)
		if hot {
			st = cluster.HotStream{Stream: st}
		}
		return st, err
	}})
	for _, hot = range []bool{false, true, false} {
		st, err := peers.OpenRange(t.Context(), at, askFor(size), 2<<20, 100)
		if err != nil {
			t.Fatal(err)
		}
		if got := cluster.IsHot(st); got != hot {
			t.Errorf("hot is %v, and what arrived is %v", hot, got)
		}
		if _, err := Read(st, b, 2<<20); err != nil {
			t.Error(err)
		}
	}
}

func (k *kit) badAsks(t *testing.T) {
	peers, at := k.start(t, &Local{Open: func(context.Context, cluster.Ask, int64, int64) (chunk.Stream, error) {
		t.Error("it got through")
		return nil, chunk.ErrNotFound
	}})
	for name, c := range map[string]struct {
		spoil  func(*cluster.Ask)
		off, n int64
		want   error
	}{
		"geometry":     {func(q *cluster.Ask) { q.Geometry.Chunk *= 2 }, 0, 1, chunk.ErrUnavailable},
		"level":        {func(q *cluster.Ask) { q.Level = 9 }, 0, 1, cluster.ErrAway},
		"two extents":  {func(*cluster.Ask) {}, 4<<20 - 1, 2, cluster.ErrAway},
		"no bytes":     {func(*cluster.Ask) {}, 0, 0, cluster.ErrAway},
		"below":        {func(*cluster.Ask) {}, -1, 1, cluster.ErrAway},
		"open end":     {func(*cluster.Ask) {}, 0, -1, cluster.ErrAway},
		"past the end": {func(*cluster.Ask) {}, size - 1, 2, chunk.ErrRange},
		"an upload":    {func(q *cluster.Ask) { q.Object.Key = "u:1" }, 0, 1, cluster.ErrAway},
		"no key":       {func(q *cluster.Ask) { q.Object.Key = "" }, 0, 1, cluster.ErrAway},
		"long address": {func(q *cluster.Ask) { q.Peer = strings.Repeat("a", 300) }, 0, 1, cluster.ErrAway},
		"long text":    {func(q *cluster.Ask) { q.Object.Ref = strings.Repeat("r", 3000) }, 0, 1, cluster.ErrAway},
	} {
		q := askFor(size)
		c.spoil(&q)
		if st, err := peers.OpenRange(t.Context(), at, q, c.off, c.n); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v", name, st, err)
		}
	}
}

func kinds() map[string]error {
	return map[string]error{
		"cannot": cluster.ErrCannot, "not resident": cluster.ErrNotResident, "changed": chunk.ErrChanged, "not found": chunk.ErrNotFound,
		"corrupt": chunk.ErrCorrupt, "mended": chunk.ErrMended, "range": chunk.ErrRange, "unavailable": chunk.ErrUnavailable, "other": &cluster.AskOther{ID: "node-c"},
	}
}

// is compares kinds of errors. Nobody who answers is away, nor says why in words.
func is(err, want error) bool {
	var got, other *cluster.AskOther
	if errors.As(want, &other) {
		return errors.As(err, &got) && got.ID == other.ID
	}
	return errors.Is(err, want) && !errors.Is(err, cluster.ErrAway) && !strings.Contains(err.Error(), "secret")
}

func secretly(err error) error { return fmt.Errorf("swift://user:secret@host/: %w", err) }

func (k *kit) errors(t *testing.T) {
	b := NewBytes(Geometry, size)
	var first, later error
	peers, at := k.start(t, &Local{
		Open: func(ctx context.Context, _ cluster.Ask, off, n int64) (chunk.Stream, error) {
			if first != nil {
				return nil, secretly(first)
			}
			return NewScript(ctx, b.Steps(off, n)[0], Step{Err: secretly(later)}), nil
		},
		Stats:  func(context.Context, chunk.Object) (chunk.Object, error) { return chunk.Object{}, secretly(first) },
		Forget: func(context.Context, string) error { return secretly(first) },
	})
	all := kinds()
	all["a third node is away"] = cluster.ErrAway
	all["an end of something else"] = io.EOF
	for name, want := range all {
		first, later = want, nil
		heard := want
		if errors.Is(want, cluster.ErrAway) || errors.Is(want, io.EOF) {
			heard = chunk.ErrUnavailable // the node that was asked is not
		}
		if _, err := peers.OpenRange(t.Context(), at, askFor(size), 0, 1<<20); !is(err, heard) {
			t.Errorf("%s from the start: %v", name, err)
		}
		if _, err := peers.Stat(t.Context(), at, askFor(-1).Object); !is(err, heard) {
			t.Errorf("%s of a stat: %v", name, err)
		}
		if err := peers.Drop(t.Context(), at, "image"); !is(err, heard) {
			t.Errorf("%s of a drop: %v", name, err)
		}
		if errors.Is(want, io.EOF) {
			continue // within a stream it is the clean end
		}
		first, later = nil, want
		st, err := peers.OpenRange(t.Context(), at, askFor(size), 0, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := Read(st, b, 0); n != b.Run || !is(err, heard) {
			t.Errorf("%s in the middle: after %d bytes %v", name, n, err)
		}
	}
}

// What a node's own store gets wrong is noticed by who asked.
func (k *kit) badPieces(t *testing.T) {
	b := NewBytes(Geometry, size)
	piece := func(off, n int64) Step { return b.Steps(off, n)[0] }
	var steps []Step
	peers, at := k.start(t, &Local{Open: func(ctx context.Context, _ cluster.Ask, _, _ int64) (chunk.Stream, error) {
		return NewScript(ctx, steps...), nil
	}})
	wrong := piece(3<<20, 10)
	wrong.Piece.Index = 2
	for name, s := range map[string][]Step{
		"too little":    {piece(3<<20, 10)},
		"nothing":       {},
		"too much":      {piece(3<<20, 70)},
		"a zero mark":   {{Piece: chunk.Piece{Index: 3, Off: 3 << 20, Zero: true, Len: 1 << 20}}},
		"other bytes":   {piece(3<<20+10, 20)},
		"again":         {piece(3<<20, 10), piece(3<<20, 10)},
		"another chunk": {wrong},
	} {
		steps = s
		st, err := peers.OpenRange(t.Context(), at, askFor(size), 3<<20, 20)
		if err != nil {
			t.Fatal(name, err)
		}
		if n, err := Read(st, b, 3<<20); !errors.Is(err, cluster.ErrAway) || n > 10 {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
		// A good answer clears the record of a peer that has failed.
		steps = b.Steps(3<<20, 20)
		if st, err = peers.OpenRange(t.Context(), at, askFor(size), 3<<20, 20); err != nil {
			t.Fatal(name, err)
		}
		if _, err := Read(st, b, 3<<20); err != nil {
			t.Fatal(name, err)
		}
	}
}

func (k *kit) leaving(t *testing.T) {
	b := NewBytes(Geometry, size)
	never := make(chan struct{})
	ended := make(chan struct{}, 1)
	opening := make(chan struct{}, 1)
	atOpen := false
	peers, at := k.start(t, &Local{Open: func(ctx context.Context, _ cluster.Ask, off, n int64) (chunk.Stream, error) {
		if atOpen {
			opening <- struct{}{}
			<-ctx.Done()
			ended <- struct{}{}
			return nil, ctx.Err()
		}
		context.AfterFunc(ctx, func() { ended <- struct{}{} })
		steps := b.Steps(off, n)
		steps[1].Wait = never
		return NewScript(ctx, steps...), nil
	}})
	open := func(t *testing.T, ctx context.Context) chunk.Stream {
		st, err := peers.OpenRange(ctx, at, askFor(size), 2<<20, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for range int(b.Run / (64 << 10)) { // of the first piece some may come at once
			p, err := st.Next()
			if err != nil {
				t.Fatal(err)
			}
			if p.Off+p.Len == 2<<20+b.Run {
				break
			}
		}
		return st
	}
	t.Run("by the context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		st := open(t, ctx)
		defer st.Close()
		go cancel()
		if _, err := st.Next(); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		<-ended
	})
	t.Run("by Close", func(t *testing.T) {
		st := open(t, t.Context())
		go st.Close()
		if _, err := st.Next(); err == nil || errors.Is(err, io.EOF) || errors.Is(err, cluster.ErrAway) {
			t.Errorf("%v", err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	t.Run("before it is open", func(t *testing.T) {
		atOpen = true
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-opening
			cancel()
		}()
		if _, err := peers.OpenRange(ctx, at, askFor(size), 0, 10); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		<-ended
	})
}

func (k *kit) calls(t *testing.T) {
	dropped := ""
	var asked chunk.Object
	peers, at := k.start(t, &Local{
		Stats: func(_ context.Context, o chunk.Object) (chunk.Object, error) {
			asked = o
			o.Size, o.Validator = 77, "\x00\xff"
			return o, nil
		},
		Forget: func(_ context.Context, id string) error {
			dropped = id
			return nil
		},
	})
	o := chunk.Object{Size: -1, Ref: "image/2", MemoryOnly: true, Zone: "z", Node: "n"}
	got, err := peers.Stat(t.Context(), at, o)
	want := chunk.Object{Size: 77, Validator: "\x00\xff", Ref: "image/2", MemoryOnly: true, Zone: "z", Node: "n"}
	if err != nil || got != want || asked != (chunk.Object{Size: -1, Ref: "image/2"}) {
		t.Errorf("%+v of %+v, %v", got, asked, err)
	}
	if err := peers.Drop(t.Context(), at, "an-image"); err != nil || dropped != "an-image" {
		t.Errorf("dropped %q, %v", dropped, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := peers.Drop(ctx, at, "an-image"); !errors.Is(err, context.Canceled) {
		t.Errorf("for nobody: %v", err)
	}
}

func (k *kit) many(t *testing.T) {
	b := NewBytes(Geometry, size)
	peers, at := k.start(t, &Local{Open: b.Open})
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			off := int64(i%3) * 4 << 20
			n := min(4<<20, size-off)
			q := askFor(size)
			q.Level = cluster.Level(1 + i%2)
			st, err := peers.OpenRange(t.Context(), at, q, off, n)
			if err != nil {
				t.Error(err)
				return
			}
			if i%5 == 0 { // and some leave early
				_, _ = st.Next()
				st.Close()
				return
			}
			if got, err := Read(st, b, off); err != nil || got != n {
				t.Errorf("%d of %d bytes, %v", got, n, err)
			}
		})
	}
	wg.Wait()
}
