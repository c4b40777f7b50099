package cachestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	"glimpse/cachestore/chunk"
)

func drained(s *Store) func() bool { return func() bool { return s.Stats().SlabsDirty == 0 } }

// What was filled is read from the disk when memory has no room for it, and the
// origin is not asked again.
func TestDiskRoundTrip(t *testing.T) {
	for _, once := range []bool{false, true} {
		t.Run(fmt.Sprintf("verify once %v", once), func(t *testing.T) {
			data := image(20*64*kib + 5)
			o := &origin{data: data}
			c := config(4)
			c.VerifyOnce = once
			s := start(t, c, newTwin())
			l := s.Level("home", o)
			for range 3 {
				mustFetch(t, l, object(data), 0, -1, data)
				eventually(t, "all is on disk", drained(s))
			}
			if got, _ := o.given(); got != int64(len(data)) {
				t.Fatalf("the origin gave %d bytes of %d", got, len(data))
			}
			if st := s.Stats(); st.SentDisk == 0 || st.NotKept != 0 {
				t.Fatalf("%+v", st)
			}
		})
	}
}

// Read-ahead behind a chunk that the disk has, after a restart: nobody has asked
// for the manifest yet, and the origin lies.
func TestReadAheadIsProvedByTheManifest(t *testing.T) {
	data := image(6 * 64 * kib)
	d := newTwin()
	fill := start(t, config(8), d)
	mustFetch(t, fill.Level("home", &origin{data: data}), object(data), 0, small.Chunk, data[:small.Chunk])
	eventually(t, "it is on disk", drained(fill))

	var lies atomic.Int32
	o := &origin{data: data, piece: func(p chunk.Piece) chunk.Piece { lies.Add(1); p.Data[0] ^= 1; return p }}
	c := config(8)
	c.Manifests = manifest(data)
	s := start(t, c, d)
	if _, err := fetch(t.Context(), s.Level("home", o), object(data), 0, -1); !errors.Is(err, chunk.ErrCorrupt) || lies.Load() == 0 {
		t.Errorf("%d pieces were damaged, and yet: %v", lies.Load(), err)
	}
}

func TestMemoryOnlyStaysOffTheDisk(t *testing.T) {
	data := image(3 * 64 * kib)
	d := newTwin()
	s := start(t, config(8), d)
	o := object(data)
	o.MemoryOnly = true
	mustFetch(t, s.Level("home", &origin{data: data}), o, 0, -1, data)
	if d.count() != 0 || s.Stats().NotKept != 0 {
		t.Fatal("on disk")
	}
}

// A disk chunk that turns bad under a reader is put aside, filled anew and goes
// on where it stood.
func TestBadDiskChunkIsReplaced(t *testing.T) {
	for name, bad := range map[string]int{"before anything was sent": 1, "in its midst": 64*kib - 1} {
		t.Run(name, func(t *testing.T) {
			data := image(3 * 64 * kib)
			d := newTwin()
			o := &origin{data: data}
			s := start(t, config(8), d)
			l := s.Level("home", o)
			mustFetch(t, l, object(data), 0, -1, data)
			eventually(t, "all is on disk", drained(s))
			for _, k := range s.mem.keys("p:test") {
				s.mem.remove(k)
			}
			d.mu.Lock()
			d.m[id{"p:test", 1}].bad = bad
			d.mu.Unlock()
			got, err := readSlowly(l, object(data), 0, -1, 10*kib)
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			if n, _ := o.given(); n != int64(len(data))+64*kib {
				t.Fatalf("the origin gave %d bytes", n)
			}
			if s.Stats().VerifyFailures["disk"] != 1 {
				t.Fatalf("%+v", s.Stats())
			}
		})
	}
}

// If the client has got bytes that the good chunk doesn't have, it is cut.
func TestBadDiskChunkThatWasSentIsCut(t *testing.T) {
	data := image(64 * kib)
	d := newTwin()
	s := start(t, config(8), d)
	l := s.Level("home", &origin{data: data})
	mustFetch(t, l, object(data), 0, -1, data)
	eventually(t, "all is on disk", drained(s))
	for _, k := range s.mem.keys("p:test") {
		s.mem.remove(k)
	}
	c := d.m[id{"p:test", 0}]
	c.bad, c.b[100] = 40*kib, c.b[100]^1
	if got, err := readSlowly(l, object(data), 0, -1, 10*kib); !errors.Is(err, chunk.ErrCorrupt) || len(got) > 40*kib {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
}

// A failing disk costs nobody a byte; what it didn't take is counted, and it is
// used again once it works.
func TestFailingDiskIsServedAround(t *testing.T) {
	data := image(12 * 64 * kib)
	d := newTwin()
	d.fail = errors.New("input/output error")
	s := start(t, config(4), d)
	l := s.Level("home", &origin{data: data})
	mustFetch(t, l, object(data), 0, -1, data)
	eventually(t, "not kept", func() bool { return s.Stats().NotKept >= int64(len(data)) })
	if !s.Stats().DiskFailing {
		t.Fatal("not noticed")
	}
	d.mu.Lock()
	d.fail = nil
	d.mu.Unlock()
	s.disk.health.mu.Lock()
	s.disk.health.probe = s.disk.health.probe.Add(-2 * probeAfter) // as if the time had passed
	s.disk.health.mu.Unlock()
	mustFetch(t, l, object(data), 0, -1, data)
	eventually(t, "recovered", func() bool { return !s.Stats().DiskFailing && d.count() > 0 })
}

func TestFullDiskIsServedAround(t *testing.T) {
	data := image(12 * 64 * kib)
	d := newTwin()
	d.full = true
	s := start(t, config(4), d)
	mustFetch(t, s.Level("home", &origin{data: data}), object(data), 0, -1, data)
	eventually(t, "not kept", func() bool { return s.Stats().NotKept >= int64(len(data)) })
}

// While the disk is slow no more than half of the slabs wait for it, and the
// fills wait, not the bytes.
func TestFillsSlowToTheDisk(t *testing.T) {
	data := image(12 * 64 * kib)
	d := newTwin()
	d.block = make(chan struct{})
	s := start(t, config(8), d)
	done := make(chan struct{})
	o := &origin{data: data}
	go func() { defer close(done); mustFetch(t, s.Level("home", o), object(data), 0, -1, data) }()
	eventually(t, "half is dirty", func() bool { n, _ := o.given(); return n == 4*64*kib })
	if st := s.Stats(); st.SlabsDirty != 4 {
		t.Fatalf("%+v", st)
	}
	close(d.block)
	<-done
	eventually(t, "all is on disk", drained(s))
	if d.count() != 12 {
		t.Fatalf("%d chunks on disk", d.count())
	}
}

// A stalled disk stops counting: nobody waits for it.
func TestStalledDiskIsServedAround(t *testing.T) {
	data := image(12 * 64 * kib)
	d := newTwin()
	d.block = make(chan struct{})
	s := start(t, config(8), d)
	done := make(chan struct{})
	go func() {
		defer close(done)
		mustFetch(t, s.Level("home", &origin{data: data}), object(data), 0, -1, data)
	}()
	eventually(t, "half is dirty", func() bool { return s.Stats().SlabsDirty == 4 })
	s.disk.health.note(errStalled) // as its timer does
	<-done
	if s.Stats().NotKept == 0 {
		t.Fatal("nothing counted")
	}
	close(d.block)
	eventually(t, "all is clean", drained(s))
}

// A disk chunk that is read again and again moves to memory.
func TestHotDiskChunkIsPromoted(t *testing.T) {
	data := image(64 * kib)
	d := newTwin()
	s := start(t, config(8), d)
	l := s.Level("home", &origin{data: data})
	mustFetch(t, l, object(data), 0, -1, data)
	eventually(t, "on disk", drained(s))
	s.mem.remove(id{"p:test", 0})
	for range promoteAfter + 2 {
		mustFetch(t, l, object(data), 0, -1, data)
	}
	if !s.mem.has(id{"p:test", 0}) || d.reads > promoteAfter {
		t.Fatalf("%d reads of the disk", d.reads)
	}
}

func keepAll(t *testing.T, s *Store, w chunk.Writer, data []byte) {
	t.Helper()
	for i := 0; small.Len(i, int64(len(data))) > 0; i++ {
		b, err := w.Buffers(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		n := copy(b[0].Bytes(), data[small.Off(i):])
		d := digest(b[0].Bytes()[:n])
		w.Keep(i, b[0], n, d, d == chunk.Digest{})
	}
}

// An upload can't be read before it is published, and costs no read of the
// origin afterwards.
func TestUploadIsPublished(t *testing.T) {
	for name, d := range map[string]tier{"memory": nil, "disk": newTwin()} {
		t.Run(name, func(t *testing.T) {
			data := image(6*64*kib + 9)
			clear(data[64*kib : 128*kib])
			s := start(t, config(16), d)
			o := &origin{data: data}
			l := s.Level("home", o)
			w := s.NewWriter("token", false)
			keepAll(t, s, w, data)
			if ok, _ := s.Peek(t.Context(), object(data), 0, func([]byte) error { return nil }); ok {
				t.Fatal("visible before Publish")
			}
			w.Publish(object(data))
			w.Cancel() // too late
			mustFetch(t, l, object(data), 0, -1, data)
			if n, _ := o.given(); n != 0 {
				t.Fatalf("the origin gave %d bytes", n)
			}
			for i := range 7 {
				if dg, _, known := s.Digests("p:test", 7)[0].At(i); !known || dg != digest(data[i*64*kib:min(len(data), (i+1)*64*kib)]) {
					t.Fatalf("digest of chunk %d", i)
				}
			}
		})
	}
}

func TestUploadIsCancelled(t *testing.T) {
	d := newTwin()
	data := image(5 * 64 * kib)
	s := start(t, config(16), d)
	w := s.NewWriter("token", false)
	keepAll(t, s, w, data)
	w.Cancel()
	w.Publish(object(data))
	eventually(t, "all slabs are free", func() bool { return s.Stats().SlabsInUse == 0 && d.count() == 0 })
}

// Uploads that are larger than memory keep what they can, and never wait for a
// disk.
func TestUploadDoesNotWaitForTheDisk(t *testing.T) {
	d := newTwin()
	d.block = make(chan struct{})
	data := image(40 * 64 * kib)
	s := start(t, config(8), d)
	w := s.NewWriter("token", false)
	keepAll(t, s, w, data)
	close(d.block)
	w.Publish(object(data))
	mustFetch(t, s.Level("home", &origin{data: data}), object(data), 0, -1, data)
}

// A response that runs while its object is promoted goes on from the same chunks,
// and the new name has them all.
func TestPromoteUnderAReader(t *testing.T) {
	for name, d := range map[string]tier{"memory": nil, "disk": newTwin()} {
		t.Run(name, func(t *testing.T) {
			data := image(8 * 64 * kib)
			o := &origin{data: data}
			s := start(t, config(16), d)
			l := s.Level("home", o)
			mustFetch(t, l, object(data), 0, -1, data)
			b, err := l.Open(t.Context(), object(data), 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			head := make([]byte, 100*kib)
			if _, err := io.ReadFull(b, head); err != nil {
				t.Fatal(err)
			}
			to := object(data)
			to.Key = "c:sha512:abc:1"
			s.Promote("p:test", to)
			rest, err := io.ReadAll(b)
			if err != nil || !bytes.Equal(append(head, rest...), data) {
				t.Fatal(err)
			}
			mustFetch(t, l, to, 0, -1, data)
			if n, _ := o.given(); n != int64(len(data)) {
				t.Fatalf("the origin gave %d bytes of %d", n, len(data))
			}
		})
	}
}

// What is dropped while it is filled is not kept.
func TestDropDuringFill(t *testing.T) {
	data := image(64 * kib)
	gate, at := make(chan struct{}), make(chan struct{})
	d := newTwin()
	o := &origin{data: data, gate: func(off int64) {
		if off == 32*kib {
			close(at)
			<-gate
		}
	}}
	s := start(t, config(8), d)
	l := s.Level("home", o)
	b, err := l.Open(t.Context(), object(data), 0, 10*kib)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	head := make([]byte, 2*kib) // the rest is held back until the fill has ended
	if _, err := io.ReadFull(b, head); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		rest := make([]byte, 8*kib)
		if _, err := b.Read(rest); err != nil || !bytes.Equal(append(head, rest...), data[:10*kib]) {
			t.Error(err)
		}
	}()
	<-at
	eventually(t, "the reader waits", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		f := l.fills[id{"p:test", 0}]
		f.r.mu.Lock()
		defer f.r.mu.Unlock()
		return f.waiting > 0
	})
	s.Drop("p:test")
	close(gate)
	<-done
	eventually(t, "nothing is kept", func() bool { return s.Stats().MemoryBytes == 0 && d.count() == 0 && s.Stats().SlabsInUse == 0 })
}

func TestDropForgetsAll(t *testing.T) {
	data := image(6 * 64 * kib)
	d := newTwin()
	o := &origin{data: data}
	s := start(t, config(16), d)
	l := s.Level("home", o)
	mustFetch(t, l, object(data), 0, -1, data)
	s.Drop("p:test")
	eventually(t, "gone", func() bool { return s.Stats().SlabsInUse == 0 && d.count() == 0 })
	mustFetch(t, l, object(data), 0, -1, data)
	if n, _ := o.given(); n != 2*int64(len(data)) {
		t.Fatalf("the origin gave %d bytes", n)
	}
}

// What a full disk refused gets there when memory serves it again and there is
// room by then.
func TestARefusedChunkIsOfferedAgain(t *testing.T) {
	data := image(3 * 64 * kib)
	d := newTwin()
	d.full = true
	o := &origin{data: data}
	s := start(t, config(16), d)
	l := s.Level("home", o)
	mustFetch(t, l, object(data), 0, -1, data)
	eventually(t, "all is refused", func() bool { return s.Stats().NotKept >= int64(len(data)) && drained(s)() })
	d.mu.Lock()
	d.full = false
	d.mu.Unlock()
	mustFetch(t, l, object(data), 0, -1, data)
	eventually(t, "all is on disk", func() bool { return d.count() == 3 })
	if n, _ := o.given(); n != int64(len(data)) {
		t.Errorf("the origin gave %d bytes", n)
	}
}

// rotten is a disk whose chunks are found bad just as whoever asks gives up.
type rotten struct {
	*twin
	leave context.CancelFunc
}

func (d rotten) Read(context.Context, chunk.Key, int) (diskChunk, error) {
	d.leave()
	return nil, chunk.ErrCorrupt
}

func TestABadChunkIsCountedThoughItsReaderHasLeft(t *testing.T) {
	data := image(64 * kib)
	d := newTwin()
	s := start(t, config(4), d)
	l := s.Level("home", &origin{data: data})
	mustFetch(t, l, object(data), 0, -1, data)
	eventually(t, "it is on disk", drained(s))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	again := start(t, config(4), rotten{d, cancel})
	if _, err := fetch(ctx, again.Level("home", &origin{data: data}), object(data), 0, -1); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if n := again.Stats().VerifyFailures["disk"]; n != 1 {
		t.Errorf("%d bad chunks were counted", n)
	}
}
