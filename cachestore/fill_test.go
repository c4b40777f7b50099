package cachestore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"glimpse/cachestore/chunk"
)

func yield() { time.Sleep(time.Millisecond) }

// However many ask at once, by whichever level, the origin gives each byte once.
func TestManyReadersOneFill(t *testing.T) {
	data := image(20*64*kib + 777)
	o := &origin{data: data}
	s := start(t, config(64), nil)
	home := s.Level("home", o)
	client := s.Level("client", s.Level("zone", home))
	var wg sync.WaitGroup
	for i := range 30 {
		l := client
		if i%3 == 0 {
			l = home
		}
		wg.Go(func() { mustFetch(t, l, object(data), 0, -1, data) })
	}
	wg.Wait()
	if got, _ := o.given(); got != int64(len(data)) {
		t.Fatalf("the origin gave %d bytes of %d", got, len(data))
	}
	if st := s.Stats(); st.SentMemory+st.SentOrigin != 30*int64(len(data)) {
		t.Fatalf("sent %+v", st)
	}
}

// The client that began a fill leaves past its half: the others don't notice,
// and the chunk is finished.
func TestLeaderLeaves(t *testing.T) {
	data := image(64 * kib)
	half := make(chan struct{})
	o := &origin{data: data, gate: func(off int64) {
		if off == 48*kib {
			<-half
		}
	}}
	s := start(t, config(8), nil)
	l := s.Level("home", o)
	ctx, cancel := context.WithCancel(t.Context())
	b, err := l.Open(ctx, object(data), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(b, make([]byte, 40*kib)); err != nil {
		t.Fatal(err)
	}
	cancel()
	b.Close()
	close(half)
	eventually(t, "the chunk is resident", func() bool {
		ok, _ := l.s.Peek(t.Context(), object(data), 0, func([]byte) error { return nil })
		return ok
	})
	mustFetch(t, l, object(data), 0, -1, data)
	if got, _ := o.given(); got != int64(len(data)) {
		t.Fatalf("the origin gave %d bytes of %d", got, len(data))
	}
}

// A fill that nobody wants any more ends, and gives its slab back.
func TestFillEndsWhenUnwanted(t *testing.T) {
	data := image(3 * 64 * kib)
	o := &origin{data: data}
	var s *Store
	gone := make(chan struct{})
	o.gate = func(off int64) {
		if off == 16*kib {
			<-gone
		}
	}
	s = start(t, config(8), nil)
	b, err := s.Level("home", o).Open(t.Context(), object(data), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	close(gone)
	eventually(t, "all slabs are free", func() bool { return s.Stats().SlabsInUse == 0 || s.Stats().MemoryBytes > 0 })
	if st := s.Stats(); st.MemoryBytes > 2*64*kib {
		t.Fatalf("filled on: %+v", st)
	}
}

// The first byte comes before the last one has left the origin.
func TestFirstByteBeforeLast(t *testing.T) {
	data := image(64 * kib)
	last := make(chan struct{})
	o := &origin{data: data, gate: func(off int64) {
		if off >= 48*kib {
			<-last
		}
	}}
	s := start(t, config(4), nil)
	b, err := s.Level("home", o).Open(t.Context(), object(data), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	got := make([]byte, 48*kib)
	if _, err := io.ReadFull(b, got); err != nil || !bytes.Equal(got, data[:48*kib]) {
		t.Fatalf("%v", err)
	}
	close(last)
	rest, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(rest, data[48*kib:]) {
		t.Fatalf("%v", err)
	}
}

// A chunk that the origin keeps giving wrong is never completed to a client.
func TestCorruptOriginIsHeldBack(t *testing.T) {
	data := image(2 * 64 * kib)
	c := config(8)
	c.Manifests = manifest(data)
	o := &origin{data: data, piece: func(p chunk.Piece) chunk.Piece {
		if p.Off == 64*kib+16*kib {
			p.Data[5] ^= 1
		}
		return p
	}}
	o.gate = func(off int64) {
		if off == int64(len(data)) {
			time.Sleep(20 * time.Millisecond) // a reader that would take all has the time to
		}
	}
	s := start(t, c, nil)
	l := s.Level("home", o)
	got, err := fetch(t.Context(), l, object(data), 0, -1)
	if !errors.Is(err, chunk.ErrCorrupt) {
		t.Fatalf("want ErrCorrupt, got %v", err)
	}
	if len(got) > len(data)-8*kib {
		t.Fatalf("%d bytes of %d were sent", len(got), len(data))
	}
	if n := s.Stats().VerifyFailures["origin"]; n == 0 || n%3 != 0 {
		t.Fatalf("%d failures counted", n)
	}
	o.mu.Lock()
	o.piece = nil
	o.mu.Unlock()
	mustFetch(t, l, object(data), 0, -1, data) // no negative caching
}

// A wrong chunk is asked for again; who has got none of the wrong bytes goes on,
// who has is cut.
func TestRefillAfterCorruption(t *testing.T) {
	for name, c := range map[string]struct {
		at  int64 // of the wrong byte
		cut bool
	}{
		"wrong bytes were sent":      {at: 20 * kib, cut: true},
		"wrong bytes were held back": {at: 63 * kib},
	} {
		t.Run(name, func(t *testing.T) {
			data := image(64 * kib)
			cfg := config(8)
			cfg.Manifests = manifest(data)
			var once atomic.Bool
			read := make(chan struct{})
			o := &origin{data: data}
			o.piece = func(p chunk.Piece) chunk.Piece {
				if c.at >= p.Off && c.at < p.Off+p.Len && once.CompareAndSwap(false, true) {
					p.Data[c.at-p.Off] ^= 0xff
				}
				return p
			}
			o.gate = func(off int64) {
				if off == 64*kib { // before the end: the reader has taken what it may
					<-read
				}
			}
			s := start(t, cfg, nil)
			b, err := s.Level("home", o).Open(t.Context(), object(data), 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			got := make([]byte, 56*kib)
			if _, err := io.ReadFull(b, got); err != nil {
				t.Fatal(err)
			}
			close(read)
			rest, err := io.ReadAll(b)
			if c.cut {
				if !errors.Is(err, chunk.ErrCorrupt) || len(rest) > 0 {
					t.Fatalf("want a cut, got %d bytes, %v", len(rest), err)
				}
				return
			}
			if err != nil || !bytes.Equal(append(got, rest...), data) {
				t.Fatalf("want the right bytes, got %v", err)
			}
		})
	}
}

// Without a manifest the first digest counts: another one later is a dispute,
// and neither copy is believed.
func TestObservedDigestIsDisputed(t *testing.T) {
	data := image(64 * kib)
	o := &origin{data: data}
	s := start(t, config(4), nil)
	l := s.Level("home", o)
	mustFetch(t, l, object(data), 0, -1, data)
	for _, k := range s.mem.keys("p:test") {
		s.mem.remove(k) // evicted
	}
	o.data = image(64*kib + 1)[:64*kib]
	if _, err := fetch(t.Context(), l, object(data), 0, -1); !errors.Is(err, chunk.ErrCorrupt) {
		t.Fatalf("want ErrCorrupt, got %v", err)
	}
	if ok, _ := s.Peek(t.Context(), object(data), 0, func([]byte) error { return nil }); ok {
		t.Fatal("the disputed chunk is still served")
	}
}

func TestSourceBreaks(t *testing.T) {
	broken := errors.New("connection reset")
	for name, c := range map[string]struct {
		o    *origin
		want error
	}{
		"ends too early":   {&origin{limit: 100 * kib}, io.ErrUnexpectedEOF},
		"gives too much":   {&origin{extra: true}, chunk.ErrUnavailable},
		"changes midway":   {&origin{fail: failAt(80*kib, chunk.ErrChanged)}, chunk.ErrChanged},
		"breaks for good":  {&origin{fail: failAt(80*kib, broken)}, broken},
		"lies about place": {&origin{piece: func(p chunk.Piece) chunk.Piece { p.Off++; return p }}, chunk.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			data := image(3 * 64 * kib)
			c.o.data = data
			s := start(t, config(8), nil)
			l := s.Level("home", c.o)
			var wg sync.WaitGroup
			for range 5 {
				wg.Go(func() {
					got, err := fetch(t.Context(), l, object(data), 0, -1)
					if !errors.Is(err, c.want) || !bytes.HasPrefix(data, got) || len(got) == len(data) {
						t.Errorf("got %d bytes, %v", len(got), err)
					}
				})
			}
			wg.Wait()
		})
	}
}

func failAt(at int64, err error) func(int64) error {
	return func(off int64) error {
		if off >= at {
			return err
		}
		return nil
	}
}

// A stream that breaks once is taken up where it stood.
func TestBrokenStreamIsResumed(t *testing.T) {
	data := image(2 * 64 * kib)
	var once atomic.Bool
	o := &origin{data: data, fail: func(off int64) error {
		if off == 32*kib && once.CompareAndSwap(false, true) {
			return errors.New("connection reset")
		}
		return nil
	}}
	s := start(t, config(8), nil)
	mustFetch(t, s.Level("home", o), object(data), 0, -1, data)
	if got, _ := o.given(); got != int64(len(data)) {
		t.Fatalf("the origin gave %d bytes of %d", got, len(data))
	}
}

// Chunks of zeros take no slab and are not asked for twice.
func TestZeroChunks(t *testing.T) {
	data := make([]byte, 10*64*kib)
	copy(data[5*64*kib:], "not empty")
	d := newTwin()
	o := &origin{data: data}
	s := start(t, config(4), d)
	l := s.Level("home", o)
	for range 2 {
		mustFetch(t, l, object(data), 0, -1, data)
	}
	if got, _ := o.given(); got != int64(len(data)) {
		t.Fatalf("the origin gave %d bytes of %d", got, len(data))
	}
	eventually(t, "zero marks on disk", func() bool { d.mu.Lock(); defer d.mu.Unlock(); return len(d.zeros) == 9 && len(d.m) == 1 })
	if st := s.Stats(); st.MemoryBytes != 64*kib {
		t.Fatalf("%d bytes resident", st.MemoryBytes)
	}
	if ok, err := s.Peek(t.Context(), object(data), 0, func(b []byte) error {
		if !chunk.IsZero(b) || len(b) != 64*kib {
			t.Error("not zeros")
		}
		return nil
	}); !ok || err != nil {
		t.Fatal(ok, err)
	}
}

// A manifest's zeros are served without asking the origin at all.
func TestZerosOfManifest(t *testing.T) {
	data := make([]byte, 4*64*kib)
	c := config(4)
	c.Manifests = manifest(data)
	o := &origin{data: data}
	s := start(t, c, nil)
	mustFetch(t, s.Level("home", o), object(data), 0, -1, data)
	if _, opens := o.given(); opens != 0 {
		t.Fatal("the origin was asked")
	}
}

// A cold range inside one chunk costs the origin one chunk.
func TestRandomRangeFetchesItsChunkOnly(t *testing.T) {
	data := image(40 * 64 * kib)
	o := &origin{data: data}
	s := start(t, config(64), nil)
	off := int64(17*64*kib + 1000)
	mustFetch(t, s.Level("home", o), object(data), off, 2000, data[off:off+2000])
	if got, opens := o.given(); got != 64*kib || opens != 1 {
		t.Fatalf("the origin gave %d bytes by %d reads", got, opens)
	}
}

// Sequential readers keep several streams busy, and no more than they may.
func TestReadAheadUsesStreams(t *testing.T) {
	data := image(16 * 64 * kib)
	var now, most atomic.Int32
	release := make(chan struct{})
	o := &origin{data: data}
	c := config(32)
	c.ReadAhead, c.FillStreams = 8, 4
	s := start(t, c, nil)
	var inside sync.Map
	o.gate = func(off int64) {
		if _, again := inside.LoadOrStore(off, true); !again && off%(2*64*kib) == 0 {
			most.Store(max(most.Load(), now.Add(1)))
			<-release
			now.Add(-1)
		}
	}
	done := make(chan struct{})
	go func() { defer close(done); mustFetch(t, s.Level("home", o), object(data), 0, -1, data) }()
	eventually(t, "four streams at once", func() bool { return now.Load() == 4 })
	close(release)
	<-done
	if most.Load() != 4 {
		t.Fatalf("%d streams at once", most.Load())
	}
	if got, opens := o.given(); got != int64(len(data)) || opens > 12 {
		t.Fatalf("the origin gave %d bytes by %d reads", got, opens)
	}
}
