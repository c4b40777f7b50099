package cachestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"glimpse/cachestore/disk"
)

// A stream of the crowd: what it has moved, and whether it is through.
type crowdMember struct {
	name  string
	moved atomic.Int64
	done  atomic.Bool
}

// trickle takes bytes as a slow client does: a little, then a pause.
type trickle struct {
	*crowdMember
	got bytes.Buffer
}

func (w *trickle) Write(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	n, err := w.got.Write(p)
	w.moved.Add(int64(n))
	return n, err
}

// Five hundred slow readers, twenty slow uploads and a scan over twice the cache,
// all at once: everybody gets on all the time and the origin gives what fits the
// cache only once. Slabs can't be exceeded: there are no more.
func TestEverybodyGetsOn(t *testing.T) {
	const hotChunks, readers, uploads = 24, 500, 20
	hot, cold := image(hotChunks*64*kib), image(2*(16+64)*64*kib)
	c := config(16)
	c.Disk = disk.Config{Path: t.TempDir(), Size: 64 * (64*kib + 8*kib)}
	s := openReal(t, c)
	hotOrigin, coldOrigin := &origin{data: hot}, &origin{data: cold}
	l := s.Level("client", s.Level("zone", s.Level("home", hotOrigin)))
	scan := s.Level("client", s.Level("zone", s.Level("home", coldOrigin)))
	mustFetch(t, l, object(hot), 0, -1, hot)
	eventually(t, "the hot image is on disk", drained(s))
	mustFetch(t, l, object(hot), 0, -1, hot)

	var crowd []*crowdMember
	join := func(name string) *crowdMember {
		m := &crowdMember{name: name}
		crowd = append(crowd, m)
		return m
	}
	var wg sync.WaitGroup
	var peak atomic.Int64
	for i := range readers {
		m := join(fmt.Sprint("reader ", i))
		off := rand.N(int64(len(hot) / 2))
		wg.Go(func() {
			defer m.done.Store(true)
			w := &trickle{crowdMember: m}
			b, err := l.Open(context.Background(), object(hot), off, -1)
			if err == nil {
				_, err = b.WriteTo(w)
				err = errors.Join(err, b.Close())
			}
			if err != nil || !bytes.Equal(w.got.Bytes(), hot[off:]) {
				t.Errorf("%s: %d of %d bytes, %v", m.name, w.got.Len(), int64(len(hot))-off, err)
			}
		})
	}
	for i := range uploads {
		m := join(fmt.Sprint("upload ", i))
		wg.Go(func() {
			defer m.done.Store(true)
			slowUpload(t, s, m)
		})
	}
	m := join("scan")
	wg.Go(func() {
		defer m.done.Store(true)
		o := object(cold)
		o.Key = "p:cold"
		b, err := scan.Open(context.Background(), o, 0, -1)
		if err != nil {
			t.Error(err)
			return
		}
		defer b.Close()
		if n, err := io.Copy(io.MultiWriter(io.Discard, counting{m}), b); err != nil || n != int64(len(cold)) {
			t.Errorf("scan: %d bytes, %v", n, err)
		}
	})
	watch(t, crowd, func() { peak.Store(max(peak.Load(), int64(s.pool.inUse()))) })
	wg.Wait()
	if n, _ := hotOrigin.given(); n != int64(len(hot)) {
		t.Errorf("the origin gave %d bytes of a hot image of %d", n, len(hot))
	}
	if n, _ := coldOrigin.given(); n != int64(len(cold)) {
		t.Errorf("the origin gave %d bytes of a scan of %d", n, len(cold))
	}
	if peak.Load() > 16 {
		t.Errorf("%d slabs in use of 16", peak.Load())
	}
}

type counting struct{ *crowdMember }

func (c counting) Write(p []byte) (int, error) { c.moved.Add(int64(len(p))); return len(p), nil }

// slowUpload holds a buffer as long as its client needs to fill it, and goes on
// without one when none comes, as ops does.
func slowUpload(t *testing.T, s *Store, m *crowdMember) {
	w := s.NewWriter(m.name, false)
	defer w.Cancel()
	for i := range 8 {
		soon, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		bufs, err := w.Buffers(soon, 1)
		cancel()
		for range 16 {
			time.Sleep(5 * time.Millisecond)
			m.moved.Add(4 * kib)
		}
		switch {
		case err == nil:
			w.Keep(i, bufs[0], 64*kib, digest(bufs[0].Bytes()), false)
		case !errors.Is(err, context.DeadlineExceeded):
			t.Error(err)
		}
	}
}

// watch fails the test when a member of the crowd moves nothing for long. The
// bound is far above what any schedule needs, so only a starved stream meets it.
func watch(t *testing.T, crowd []*crowdMember, look func()) {
	t.Helper()
	const window = 10 * time.Second
	last := make([]int64, len(crowd))
	since := make([]time.Time, len(crowd))
	for i := range since {
		since[i] = time.Now()
	}
	longest := time.Duration(0)
	for busy := true; busy; time.Sleep(20 * time.Millisecond) {
		busy = false
		look()
		for i, m := range crowd {
			if m.done.Load() {
				continue
			}
			busy = true
			if now := m.moved.Load(); now != last[i] {
				last[i], since[i] = now, time.Now()
			}
			idle := time.Since(since[i])
			if longest = max(longest, idle); idle > window {
				t.Fatalf("%s has moved nothing for %v", m.name, idle)
			}
		}
	}
	t.Logf("the longest that a stream of %d moved nothing: %v", len(crowd), longest.Round(time.Millisecond))
}
