package cachestore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"glimpse/cachestore/chunk"
)

// Who hears that a chunk is bad looks, and gives up only what is: in memory and on
// disk, whatever it has verified before.
func TestACheckBelievesTheDigestAlone(t *testing.T) {
	data := image(4 * 64 * kib)
	for name, c := range map[string]struct {
		manifest bool
		memory   bool // the chunk goes bad there
		disk     bool
	}{
		"nothing is bad": {}, "in memory": {memory: true}, "on disk": {disk: true}, "both": {memory: true, disk: true}, "both, with a manifest": {manifest: true, memory: true, disk: true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, d := config(16), newTwin()
			if c.manifest {
				cfg.Manifests = manifest(data)
			}
			from := &origin{data: data}
			s := start(t, cfg, d)
			l := s.Level("home", from)
			mustFetch(t, l, object(data), 0, -1, data)
			eventually(t, "all is on disk", func() bool { return d.count() == 4 })
			k := id{"p:test", 2}
			if e := s.mem.pin(k); e != nil {
				if c.memory {
					e.bytes()[77] ^= 1
				}
				s.mem.unpin(e)
			}
			d.mu.Lock()
			d.m[k].verified = true
			if c.disk {
				d.m[k].b[77] ^= 1
			}
			d.mu.Unlock()
			for i := range 5 { // one more than there are
				l.Check(t.Context(), object(data), i)
			}
			if s.mem.has(k) == c.memory {
				t.Errorf("in memory: %v", s.mem.has(k))
			}
			if _, _, _, ok := d.Has(k.key, k.index); ok == c.disk {
				t.Errorf("on disk: %v", ok)
			}
			if n := len(s.mem.keys("p:test")); n < 3 || d.count() < 3 {
				t.Errorf("of 3 others %d are in memory and %d on disk", n, d.count())
			}
			mustFetch(t, l, object(data), 0, -1, data)
			again := int64(0)
			if c.memory && c.disk {
				again = small.Chunk
			}
			if n, _ := from.given(); n != int64(len(data))+again {
				t.Errorf("the origin gave %d bytes more", n-int64(len(data)))
			}
		})
	}
}

// A source says in the middle of a chunk that what it gave is wrong and that it has
// the right bytes now. Who has sent none of the wrong ones goes on.
func TestASourceThatMendsAChunk(t *testing.T) {
	for name, took := range map[string]int{"before": 16 * kib, "after": 48 * kib} {
		t.Run(name, func(t *testing.T) {
			data := image(3 * 64 * kib)
			var mended atomic.Bool
			half, o := make(chan struct{}), &origin{data: data}
			o.piece = func(p chunk.Piece) chunk.Piece {
				if p.Off == 64*kib+32*kib && !mended.Load() {
					p.Data[0] ^= 1
				}
				return p
			}
			o.fail = func(off int64) error {
				if off == 64*kib+48*kib && !mended.Load() {
					<-half
					mended.Store(true)
					return chunk.ErrMended
				}
				return nil
			}
			cfg := config(16)
			cfg.Manifests = manifest(data)
			s := start(t, cfg, nil)
			l := s.Level("client", o)
			b, err := l.Open(t.Context(), object(data), 64*kib, -1)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			got := make([]byte, took)
			if _, err := io.ReadFull(b, got); err != nil {
				t.Fatal(err)
			}
			close(half)
			eventually(t, "it is mended", func() bool { return s.mem.has(id{"p:test", 1}) })
			rest, err := io.ReadAll(b)
			if took > 32*kib {
				if !errors.Is(err, chunk.ErrCorrupt) || len(rest) > 0 {
					t.Errorf("it has wrong bytes: %d more, %v", len(rest), err)
				}
			} else if err != nil || !bytes.Equal(append(got, rest...), data[64*kib:]) {
				t.Errorf("%d bytes, %v", len(rest), err)
			}
			if n := s.Stats().VerifyFailures["peer"]; n != 0 {
				t.Errorf("%d failures were counted: the source has counted it", n)
			}
			mustFetch(t, l, object(data), 0, -1, data)
			if n, _ := o.given(); n > int64(len(data))+48*kib {
				t.Errorf("the source gave %d bytes of %d", n, len(data))
			}
		})
	}
}

// told is a source of nodes that knows whom it was told of.
type told struct {
	origin
	by  chunk.Giver
	bad []string
}

func (s *told) Again(bad []string) chunk.Source { s.bad = append(s.bad, bad...); return s }

func (s *told) OpenRange(ctx context.Context, o chunk.Object, off, n int64) (chunk.Stream, error) {
	st, err := s.origin.OpenRange(ctx, o, off, n)
	return byNode{st, s.by}, err
}

type byNode struct {
	chunk.Stream
	by chunk.Giver
}

func (b byNode) By() chunk.Giver { return b.by }

// The log names who gave a wrong chunk, and none of its bytes; the source hears of it
// once for each wrong chunk.
func TestWhoGaveAWrongChunkIsNamed(t *testing.T) {
	data := bytes.Repeat([]byte("content!"), 8*kib)
	var mu sync.Mutex
	var log strings.Builder
	cfg := config(8)
	cfg.Manifests = manifest(data)
	cfg.Log = slog.New(slog.NewTextHandler(locked{&mu, &log}, nil))
	src := &told{origin: origin{data: data, piece: func(p chunk.Piece) chunk.Piece { p.Data[0] ^= 1; return p }}, by: chunk.Giver{ID: "4711", Name: "rack-7"}}
	s := start(t, cfg, nil)
	if _, err := fetch(t.Context(), s.Level("client", src), object(data), 0, -1); !errors.Is(err, chunk.ErrCorrupt) {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for line := range strings.Lines(log.String()) {
		if !strings.Contains(line, "wrong digest") || !strings.Contains(line, "4711") || !strings.Contains(line, "rack-7") || strings.Contains(line, "content") {
			t.Errorf("it says %s", line)
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 1+refills || len(src.bad) != 1+refills || src.bad[0] != "4711" {
		t.Errorf("%d lines, and the source was told of %v", n, src.bad)
	}
}

type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
