package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"glimpse/cachestore/chunk"
	"glimpse/registry/image"
)

// pieceSize is how much is read from an origin at a time.
const pieceSize = 256 << 10

var pieces = sync.Pool{New: func() any { b := make([]byte, pieceSize); return &b }}

// OpenRange reads from the origin store; Service is the last chunk.Source, the
// one that only the home level asks. It finds the location by o.Ref in the
// registry, and refuses an object whose key is not the one it computes itself.
// Where a manifest proves the chunks it goes on from another location of the image
// when one fails, at the byte where it stood.
func (s *Service) OpenRange(ctx context.Context, o chunk.Object, off, n int64) (chunk.Stream, error) {
	m, t, err := s.find(ctx, o)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, unresolved(err)
	}
	if n < 0 {
		n = o.Size - off
	}
	if off < 0 || n < 0 || off+n > o.Size {
		return nil, chunk.ErrRange
	}
	ctx, cancel := context.WithCancel(ctx)
	from := s.newOrigins(ctx, m, t, o, off, n)
	r, err := from.open(off, n)
	if err != nil {
		cancel()
		return nil, err
	}
	return &originStream{r: r, from: from, cancel: cancel, g: s.cfg.Geometry, off: off, left: n, buf: pieces.Get().(*[]byte)}, nil
}

// unresolved marks what another node may know better: its registry answers, it has
// the store, or the folder.
func unresolved(err error) error {
	if errors.Is(err, chunk.ErrChanged) || errors.Is(err, chunk.ErrNotFound) || errors.Is(err, errBad) {
		return err
	}
	return fmt.Errorf("%w: %w", chunk.ErrUnresolved, err)
}

// find resolves what o refers to. Bytes known by their content may be those of
// another location of the image, when the one referred to can't be had any more.
func (s *Service) find(ctx context.Context, o chunk.Object) (image.Image, target, error) {
	id, location, err := parseRef(o.Ref)
	if err != nil {
		return image.Image{}, target{}, err
	}
	m, err := s.cfg.Images.Get(ctx, id)
	if err != nil {
		return image.Image{}, target{}, err
	}
	last := fmt.Errorf("origin: the location is gone: %w", chunk.ErrNotFound)
	for _, l := range m.Locations {
		if l.ID != location {
			continue
		}
		t, err := s.target(ctx, m, l)
		switch {
		case err != nil:
			last = err
		case t.object.Key == o.Key || s.sameBytes(m, l, t, o):
			return m, t, nil
		default:
			return m, t, fmt.Errorf("origin: the object is known by another key: %w", chunk.ErrChanged)
		}
	}
	if o.Key.Content() {
		for _, l := range s.places(m) {
			if t, err := s.target(ctx, m, l); err == nil && t.object.Key == o.Key {
				return m, t, nil
			}
		}
	}
	return m, target{}, last
}

// sameBytes allows the private key of bytes that have been hashed meanwhile:
// readers that began under it go on.
func (s *Service) sameBytes(m image.Image, l image.Location, t target, o chunk.Object) bool {
	return t.content && o.Size == t.object.Size && o.Key == s.privateKey(m, l, o.Size, o.Validator)
}

// originStream cuts a reader into pieces that lie within one chunk each.
type originStream struct {
	from      *origins
	cancel    context.CancelFunc
	g         chunk.Geometry
	off, left int64
	buf       *[]byte

	r  io.ReadCloser // a Next under way may put another in its place
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
	err := s.read((*s.buf)[:want])
	if err == nil {
		s.from.passed(s.off, (*s.buf)[:want])
	}
	if !s.end() {
		return chunk.Piece{}, io.ErrClosedPipe
	}
	if err != nil {
		return chunk.Piece{}, err
	}
	p := chunk.Piece{Index: index, Off: s.off, Len: want, Data: (*s.buf)[:want]}
	s.off += want
	s.left -= want
	return p, nil
}

// read fills b with what follows, from one origin after another.
func (s *originStream) read(b []byte) error {
	for got := 0; ; {
		k, err := io.ReadFull(s.r, b[got:])
		if got += k; err == nil {
			return nil
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		r, err := s.from.next(err, s.off+int64(got), s.left-int64(got))
		if err != nil {
			return err
		}
		if !s.swap(r) {
			return io.ErrClosedPipe
		}
	}
}

// swap puts another reader in the place of one that has failed; false when the
// stream was closed meanwhile.
func (s *originStream) swap(r io.ReadCloser) bool {
	s.mu.Lock()
	old, closed := s.r, s.mu.closed
	if !closed {
		s.r = r
	}
	s.mu.Unlock()
	if closed {
		_ = r.Close() // nothing was read of it
		return false
	}
	_ = old.Close() // it has failed already
	return true
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
	r := s.r
	s.mu.Unlock()
	err := r.Close()
	s.cancel()
	return err
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
