package cachestore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"glimpse/cachestore/chunk"
)

// Any range of any object, cold or warm, is the range of the reference.
func TestRangesAreByteExact(t *testing.T) {
	data := image(9*64*kib + 4321)
	clear(data[2*64*kib : 4*64*kib])
	for name, d := range map[string]tier{"memory": nil, "disk": newTwin()} {
		t.Run(name, func(t *testing.T) {
			s := start(t, config(6), d)
			l := s.Level("client", s.Level("home", &origin{data: data}))
			border := rapid.Custom(func(t *rapid.T) int64 {
				b := int64(rapid.IntRange(0, 10).Draw(t, "chunk")) * 64 * kib
				return max(0, min(int64(len(data)), b+int64(rapid.IntRange(-2, 2).Draw(t, "beside"))))
			})
			off := rapid.OneOf(border, rapid.Int64Range(0, int64(len(data))))
			rapid.Check(t, func(rt *rapid.T) {
				a, b := off.Draw(rt, "from"), off.Draw(rt, "to")
				a, b = min(a, b), max(a, b)
				want := data[a:b]
				var got []byte
				var err error
				switch rapid.IntRange(0, 2).Draw(rt, "how") {
				case 0:
					got, err = fetch(context.Background(), l, object(data), a, b-a)
				case 1:
					got, err = readSlowly(l, object(data), a, b-a, rapid.IntRange(1, 100*kib).Draw(rt, "buffer"))
				default:
					got, err = pieces(l, object(data), a, b-a)
				}
				if err != nil || !bytes.Equal(got, want) {
					rt.Fatalf("range %d..%d: %d bytes, %v", a, b, len(got), err)
				}
			})
		})
	}
}

func readSlowly(l *Level, o chunk.Object, off, n int64, size int) ([]byte, error) {
	b, err := l.Open(context.Background(), o, off, n)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	var out []byte
	for buf := make([]byte, size); ; {
		n, err := b.Read(buf)
		out = append(out, buf[:n]...)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
	}
}

func pieces(l *Level, o chunk.Object, off, n int64) ([]byte, error) {
	st, err := l.OpenRange(context.Background(), o, off, n)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	var out []byte
	for {
		p, err := st.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		if p.Off != off+int64(len(out)) || p.Index != small.Index(p.Off) || !p.Zero && int64(len(p.Data)) != p.Len {
			return out, errors.New("piece out of place")
		}
		if p.Zero {
			out = append(out, make([]byte, p.Len)...)
		} else {
			out = append(out, p.Data...)
		}
	}
}

func TestBadRangesAreRefused(t *testing.T) {
	data := image(1000)
	s := start(t, config(4), nil)
	l := s.Level("home", &origin{data: data})
	for _, r := range [][2]int64{{-1, 5}, {0, 1001}, {1001, 0}, {1001, -1}, {1 << 62, 1 << 62}} {
		if _, err := l.Open(t.Context(), object(data), r[0], r[1]); !errors.Is(err, chunk.ErrRange) {
			t.Errorf("range %v: %v", r, err)
		}
	}
	mustFetch(t, l, object(data), 1000, -1, nil)
	if _, err := Open(t.Context(), Config{Geometry: small, Memory: 3 * small.Chunk}); err == nil {
		t.Error("three slabs were accepted")
	}
}

// slowWriter takes a piece, then blocks until it is let go.
type slowWriter struct {
	got     bytes.Buffer
	blocked chan<- struct{}
	release <-chan struct{}
}

func (w *slowWriter) Write(p []byte) (int, error) {
	if w.blocked != nil {
		w.blocked <- struct{}{}
		w.blocked = nil
	}
	<-w.release
	return w.got.Write(p)
}

// Many clients that have stopped reading, each at another chunk, don't keep a
// node with the least memory from serving others.
func TestStalledClientsDontStarveTheNode(t *testing.T) {
	for name, d := range map[string]tier{"memory": nil, "disk": newTwin()} {
		t.Run(name, func(t *testing.T) {
			data := image(60 * 64 * kib)
			s := start(t, config(MinSlabs), d)
			l := s.Level("client", s.Level("zone", s.Level("home", &origin{data: data})))
			blocked, release := make(chan struct{}), make(chan struct{})
			var wg sync.WaitGroup
			for i := range 50 {
				off := int64(i) * 64 * kib
				w := &slowWriter{blocked: blocked, release: release}
				wg.Go(func() {
					b, err := l.Open(context.Background(), object(data), off, 3*64*kib)
					if err != nil {
						t.Error(err)
						return
					}
					defer b.Close()
					if _, err := b.WriteTo(w); err != nil || !bytes.Equal(w.got.Bytes(), data[off:off+3*64*kib]) {
						t.Errorf("slow client %d: %v", off, err)
					}
				})
				<-blocked
			}
			mustFetch(t, l, object(data), 0, -1, data)
			close(release)
			wg.Wait()
		})
	}
}

// Clients at every level of a node with the least memory all get on.
func TestTinyMemoryMakesProgress(t *testing.T) {
	data := image(40*64*kib + 1)
	s := start(t, config(MinSlabs), newTwin())
	home := s.Level("home", &origin{data: data})
	zone := s.Level("zone", s.Level("home", &origin{data: data}))
	outer := s.Level("client", &origin{data: data}) // as if behind peers: takes slabs of its own
	var wg sync.WaitGroup
	for i := range 40 {
		l := []*Level{home, zone, outer}[i%3]
		wg.Go(func() { mustFetch(t, l, object(data), int64(i)*50*kib, 300*kib, data[i*50*kib:][:300*kib]) })
	}
	wg.Wait()
}

func TestPoolQuotasAndOrder(t *testing.T) {
	s := start(t, config(16), nil)
	p := s.pool
	take := func(c class, n int) ([]*slab, error) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		got, _, err := p.take(ctx, want{class: c, n: n})
		return got, err
	}
	var out []*slab
	grab := func(c class, n int) {
		t.Helper()
		got, err := take(c, n)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, got...)
	}
	if _, _, err := p.take(t.Context(), want{class: classUpload, n: 9}); err == nil {
		t.Fatal("an upload took more than half")
	}
	grab(classUpload, 8)
	if _, err := take(classUpload, 1); err == nil {
		t.Fatal("uploads took more than half together")
	}
	grab(classClient, 4)
	if _, err := take(classClient, 1); err == nil {
		t.Fatal("a client took of the last quarter")
	}
	if sl, _ := p.try(want{class: classAhead, n: 1}); sl != nil {
		t.Fatal("read-ahead took of the last quarter")
	}
	grab(classZone, 2)
	if _, err := take(classZone, 1); err == nil {
		t.Fatal("zone took of the last eighth")
	}
	grab(classHome, 2)
	if _, err := take(classHome, 1); err == nil {
		t.Fatal("more slabs than there are")
	}
	for _, sl := range out {
		p.put(sl)
	}
	if n := s.Stats().SlabsInUse; n != 0 {
		t.Fatalf("%d slabs lost", n)
	}
}

// A part's buffers come all at once, and a stream of fills can't keep a waiting
// upload from them: those who asked after it wait until it has them.
func TestUploadIsNotStarved(t *testing.T) {
	s := start(t, config(16), nil)
	p := s.pool
	var held []*slab
	for range 16 {
		sl, _, err := p.take(t.Context(), want{class: classHome, n: 1})
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, sl...)
	}
	var got []chunk.Buffer
	served := make(chan struct{})
	w := s.NewWriter("t", true)
	var wg sync.WaitGroup
	wg.Go(func() {
		var err error
		if got, err = w.Buffers(t.Context(), 4); err != nil {
			t.Error(err)
		}
		close(served)
	})
	eventually(t, "the upload waits", func() bool { return p.waiting.Load() == 1 })
	for range 12 { // fills that come later and are long
		wg.Go(func() {
			next, _, err := p.take(t.Context(), want{class: classHome, n: 1})
			if err != nil {
				t.Error(err)
				return
			}
			<-served
			p.put(next[0])
		})
	}
	eventually(t, "the fills wait", func() bool { return p.waiting.Load() == 13 })
	for _, sl := range held[:12] {
		p.put(sl)
	}
	isServed := func() bool {
		select {
		case <-served:
			return true
		default:
			return false
		}
	}
	for i := 0; !isServed(); i++ {
		if i == 2000 {
			t.Error("12 slabs came free and the upload that asked first has none")
			p.close() // ends all waits
		}
		yield()
	}
	wg.Wait()
	for _, b := range got {
		b.Release()
	}
	for _, sl := range held[12:] {
		p.put(sl)
	}
}

// Closing the store ends waits and fills.
func TestCloseEndsWaits(t *testing.T) {
	data := image(4 * 64 * kib)
	gate := make(chan struct{})
	o := &origin{data: data, gate: func(off int64) {
		if off >= 16*kib {
			<-gate
		}
	}}
	c := config(8).withDefaults()
	s := start(t, c, nil)
	b, err := s.Level("home", o).Open(t.Context(), object(data), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ended := make(chan error, 1)
	go func() { _, err := io.Copy(io.Discard, b); ended <- err }()
	go close(gate)
	go func() { _ = s.Close(context.Background()) }()
	if err := <-ended; err != nil && !errors.Is(err, chunk.ErrUnavailable) {
		t.Fatal(err)
	}
	eventually(t, "closed", func() bool {
		b, err := s.Level("home", o).Open(t.Context(), object(data), 0, -1)
		if err == nil {
			_ = b.Close() // Close waits for it
		}
		return errors.Is(err, chunk.ErrUnavailable)
	})
}

// A body that is closed from elsewhere ends its wait.
func TestCloseEndsARead(t *testing.T) {
	data := image(64 * kib)
	gate := make(chan struct{})
	o := &origin{data: data, gate: func(off int64) {
		if off == 16*kib {
			<-gate
		}
	}}
	s := start(t, config(8), nil)
	b, err := s.Level("home", o).Open(t.Context(), object(data), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { _, err := b.WriteTo(io.Discard); ended <- err }()
	b.Close()
	if err := <-ended; !errors.Is(err, io.ErrClosedPipe) {
		t.Fatal(err)
	}
	close(gate)
}
