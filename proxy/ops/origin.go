package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"glimpse/backends"
	"glimpse/cachestore/chunk"
	"glimpse/registry/image"
)

// pieceSize is how much is read from an origin at a time.
const pieceSize = 256 << 10

var pieces = sync.Pool{New: func() any { b := make([]byte, pieceSize); return &b }}

// OpenRange reads from the origin store; Service is the last chunk.Source, the
// one that only the home level asks. It finds the location by o.Ref in the
// registry, and refuses an object whose key is not the one it computes itself.
func (s *Service) OpenRange(ctx context.Context, o chunk.Object, off, n int64) (chunk.Stream, error) {
	t, err := s.find(ctx, o)
	if err != nil {
		return nil, err
	}
	if n < 0 {
		n = o.Size - off
	}
	if off < 0 || n < 0 || off+n > o.Size {
		return nil, chunk.ErrRange
	}
	r, err := s.open(ctx, t, o, off, n)
	if err != nil {
		return nil, fmt.Errorf("origin %s: %w", t.store.ID, err)
	}
	return &originStream{r: r, g: s.cfg.Geometry, off: off, left: n, buf: pieces.Get().(*[]byte)}, nil
}

// find resolves what o refers to.
func (s *Service) find(ctx context.Context, o chunk.Object) (target, error) {
	id, location, err := parseRef(o.Ref)
	if err != nil {
		return target{}, err
	}
	m, err := s.cfg.Images.Get(ctx, id)
	if err != nil {
		return target{}, err
	}
	for _, l := range m.Locations {
		if l.ID != location {
			continue
		}
		t, err := s.target(ctx, m, l)
		if err != nil {
			return target{}, err
		}
		if t.object.Key == o.Key || s.sameBytes(m, l, t, o) {
			return t, nil
		}
		return target{}, fmt.Errorf("origin: the object is known by another key: %w", chunk.ErrChanged)
	}
	return target{}, fmt.Errorf("origin: the location is gone: %w", chunk.ErrNotFound)
}

// sameBytes allows the private key of bytes that have been hashed meanwhile:
// readers that began under it go on.
func (s *Service) sameBytes(m image.Image, l image.Location, t target, o chunk.Object) bool {
	return t.content && o.Size == t.object.Size && o.Key == s.privateKey(m, l, o.Size, o.Validator)
}

// open reads with the pinned validator. Where every chunk is checked against a
// manifest, a file that was put back from a backup, with the same size but
// another time, may be read as well: if its bytes differ, no chunk of them
// passes.
func (s *Service) open(ctx context.Context, t target, o chunk.Object, off, n int64) (io.ReadCloser, error) {
	r, err := t.store.Backend.Open(ctx, t.at, o.Validator, off, n)
	if !errors.Is(err, backends.ErrChanged) || !o.Key.Content() {
		return r, err
	}
	info, serr := t.store.Backend.Stat(ctx, t.at)
	if serr != nil || info.Size != o.Size {
		return nil, err
	}
	return t.store.Backend.Open(ctx, t.at, info.Validator, off, n)
}

// originStream cuts a reader into pieces that lie within one chunk each.
type originStream struct {
	r         io.ReadCloser
	g         chunk.Geometry
	off, left int64
	buf       *[]byte

	mu struct {
		sync.Mutex
		closed bool
		busy   bool // a Next is writing to buf: it gives buf back when it ends
	}
}

func (s *originStream) Next() (chunk.Piece, error) {
	if s.left == 0 {
		return chunk.Piece{}, io.EOF
	}
	if !s.begin() {
		return chunk.Piece{}, io.ErrClosedPipe
	}
	index := s.g.Index(s.off)
	want := min(pieceSize, s.left, s.g.Off(index+1)-s.off)
	n, err := io.ReadFull(s.r, (*s.buf)[:want])
	if !s.end() {
		return chunk.Piece{}, io.ErrClosedPipe
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return chunk.Piece{}, err
	}
	p := chunk.Piece{Index: index, Off: s.off, Len: int64(n), Data: (*s.buf)[:n]}
	s.off += int64(n)
	s.left -= int64(n)
	return p, nil
}

func (s *originStream) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.busy = !s.mu.closed
	return s.mu.busy
}

func (s *originStream) end() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.busy = false
	if s.mu.closed {
		pieces.Put(s.buf)
	}
	return !s.mu.closed
}

// Close ends the reading, and a Next that waits.
func (s *originStream) Close() error {
	s.mu.Lock()
	if s.mu.closed {
		s.mu.Unlock()
		return nil
	}
	s.mu.closed = true
	if !s.mu.busy {
		pieces.Put(s.buf)
	}
	s.mu.Unlock()
	return s.r.Close()
}

// Segment returns a run of an object's manifest: what the cache checks chunks
// against.
func (s *Service) Segment(ctx context.Context, key chunk.Key, seg, count int) (chunk.Segment, error) {
	filed := manifestKey(key)
	if filed == "" {
		return nil, nil
	}
	b, ok, err := s.cfg.Registry.Segment(ctx, filed, seg)
	if err != nil || !ok {
		return nil, err
	}
	digests, err := chunk.Unseal(b, seg, count)
	if err != nil {
		if _, known := s.damaged.LoadOrStore(filed, true); !known {
			s.cfg.Log.Error("a manifest in the registry is damaged: it is made anew when all chunks have been read", "key", filed, "segment", seg, "error", err)
		}
		return nil, err
	}
	return digests, nil
}
