package cachestore

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"glimpse/cachestore/chunk"
	"glimpse/cachestore/disk"
	"glimpse/cachestore/vfs"
)

// What is pulled is there for readers, and the level's own source gave nothing.
func TestAPulledChunkComesFromItsHolder(t *testing.T) {
	data := image(6*64*kib + 5)
	own, holder := &origin{data: data}, &origin{data: data}
	d := newTwin()
	s := start(t, config(16), d)
	l := s.Level("home", own)
	o := object(data)
	for i := range small.Count(o.Size) {
		if err := l.Pull(t.Context(), o, i, holder); err != nil {
			t.Fatal(i, err)
		}
		if err := l.Pull(t.Context(), o, i, holder); err != nil { // it is there
			t.Fatal(i, err)
		}
	}
	mustFetch(t, l, o, 0, -1, data)
	if n, _ := own.given(); n > 0 {
		t.Errorf("the level's source gave %d bytes", n)
	}
	if n, opens := holder.given(); n != o.Size || opens != small.Count(o.Size) {
		t.Errorf("the holder gave %d bytes of %d in %d streams", n, o.Size, opens)
	}
	eventually(t, "the disk has all", func() bool { return d.count() == small.Count(o.Size) })
	if err := l.Pull(t.Context(), o, small.Count(o.Size), holder); !errors.Is(err, chunk.ErrRange) {
		t.Errorf("a chunk past the end: %v", err)
	}
}

// A holder that has lost the chunk meanwhile is no reader's concern: who has joined
// the pull gets the bytes from where they come from otherwise.
func TestAPullThatFailsFailsNoReader(t *testing.T) {
	data := image(64 * kib)
	gate := make(chan struct{})
	own := &origin{data: data}
	holder := &origin{data: data, gate: func(int64) { <-gate }, fail: func(int64) error { return chunk.ErrNotResident }}
	s := start(t, config(8), nil)
	l := s.Level("home", own)
	o := object(data)
	pulled, read := make(chan error, 1), make(chan error, 1)
	go func() { pulled <- l.Pull(context.Background(), o, 0, holder) }()
	eventually(t, "the holder is asked", func() bool { _, opens := holder.given(); return opens > 0 })
	go func() {
		got, err := fetch(context.Background(), l, o, 0, -1)
		if err == nil && !bytes.Equal(got, data) {
			err = errors.New("wrong bytes")
		}
		read <- err
	}()
	eventually(t, "the reader has joined", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		f := l.fills[id{o.Key, 0}]
		f.r.mu.Lock()
		defer f.r.mu.Unlock()
		return f.interest == 2
	})
	if n, _ := own.given(); n > 0 {
		t.Error("the level's source was read before the holder had failed")
	}
	close(gate)
	if err := <-pulled; !errors.Is(err, chunk.ErrNotResident) {
		t.Errorf("Pull: %v", err)
	}
	if err := <-read; err != nil {
		t.Errorf("a reader: %v", err)
	}
}

// A chunk that a client level brought is in memory alone. When the node becomes
// its owner the disk gets it, without a byte from anybody.
func TestAPullKeepsWhatIsInMemoryAlone(t *testing.T) {
	data := image(2 * 64 * kib)
	from := &origin{data: data}
	d := newTwin()
	s := start(t, config(16), d)
	zone := s.Level("zone", &origin{})
	client := s.LevelBefore("client", zone, Outside{
		Source: from, Owns: func(chunk.Object, int) bool { return false }, Keep: func(chunk.Object, int) bool { return false },
	})
	o := object(data)
	mustFetch(t, client, o, 0, -1, data)
	before, _ := from.given()
	if d.count() > 0 {
		t.Fatal("the disk has it already: the test shows nothing")
	}
	holder := &origin{data: data}
	for i := range 2 {
		if err := zone.Pull(t.Context(), o, i, holder); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the disk has it", func() bool { return d.count() == 2 })
	after, _ := from.given()
	if n, _ := holder.given(); n > 0 || after != before {
		t.Errorf("%d bytes were read for what was here", n+after-before)
	}
}

// Wrong bytes from a holder are never kept.
func TestAPullIsChecked(t *testing.T) {
	data := image(64 * kib)
	c := config(8)
	c.Manifests = manifest(data)
	holder := &origin{data: data, piece: func(p chunk.Piece) chunk.Piece { p.Data[7] ^= 1; return p }}
	own := &origin{data: data}
	s := start(t, c, nil)
	l := s.Level("home", own)
	o := object(data)
	if err := l.Pull(t.Context(), o, 0, holder); !errors.Is(err, chunk.ErrCorrupt) {
		t.Errorf("Pull: %v", err)
	}
	if s.Resident(o, 0) || s.Stats().VerifyFailures["peer"] == 0 {
		t.Errorf("the chunk is here, or nobody counted it: %+v", s.Stats().VerifyFailures)
	}
	mustFetch(t, l, o, 0, -1, data)
}

// What an object is is known of all that is here, also after a start: of private
// keys, of those that were hashed meanwhile, of uploads that are done, and of
// chunks of zeros.
func TestObjectsAreKnownAfterAStart(t *testing.T) {
	fs := vfs.NewMem(1 << 30)
	c := config(16)
	c.Disk = disk.Config{Path: "cache", Size: 64 << 20, FS: fs}
	run := func(fn func(s *Store, l *Level)) {
		s, err := Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		fn(s, s.Level("home", &origin{data: image(3 * 64 * kib)}))
		stop(t, s)
	}
	data := image(3 * 64 * kib)
	private := chunk.Object{Key: "p:private", Size: int64(len(data)), Validator: "\"\xff\n", Ref: "image/1"}
	before := chunk.Object{Key: "p:before", Size: int64(len(data)), Validator: "v", Ref: "image/2"}
	hashed := chunk.Object{Key: chunk.ContentKey("sha512", "ab", int64(len(data)), ""), Size: int64(len(data)), Ref: "image/2"}
	uploaded := chunk.Object{Key: chunk.ContentKey("sha512", "cd", 64*kib, ""), Size: 64 * kib, Ref: "image/3"}
	zeros := chunk.Object{Key: "p:zeros", Size: 64 * kib, Ref: "image/4"}
	want := []chunk.Object{hashed, uploaded, private, zeros}
	check := func(s *Store, when string) {
		t.Helper()
		got := s.Objects()
		slices.SortFunc(got, func(a, b chunk.Object) int { return bytes.Compare([]byte(a.Key), []byte(b.Key)) })
		if !slices.Equal(got, want) {
			t.Errorf("%s: %+v\nwant %+v", when, got, want)
		}
	}
	run(func(s *Store, l *Level) {
		for _, o := range []chunk.Object{private, before} {
			mustFetch(t, l, o, 0, -1, data)
		}
		if _, err := fetch(t.Context(), s.Level("home", &origin{data: make([]byte, 64*kib)}), zeros, 0, -1); err != nil {
			t.Fatal(err)
		}
		s.Promote(before.Key, hashed)
		w := s.NewWriter("token", false)
		b, err := w.Buffers(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		copy(b[0].Bytes(), data)
		w.Keep(0, b[0], 64*kib, digest(data[:64*kib]), false)
		renamed := func() bool {
			s.names.RLock()
			defer s.names.RUnlock()
			return len(s.aliases.was) == 0
		}
		eventually(t, "the rename is done", renamed)
		eventually(t, "three objects are listed, and no upload under way", func() bool { return len(s.Objects()) == 3 })
		w.Publish(uploaded)
		eventually(t, "the rename is done", renamed)
	})
	run(func(s *Store, _ *Level) {
		check(s, "after a start")
		if !s.Resident(hashed, 2) || !s.Resident(uploaded, 0) || !s.Resident(zeros, 0) || s.Resident(uploaded, 1) || s.Resident(before, 0) {
			t.Error("other chunks are here than were kept")
		}
		s.Drop(zeros.Key)
		want = want[:3]
		check(s, "after a drop")
	})
}
