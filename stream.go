package ops

import (
	"context"
	"errors"
	"io"
	"sync"

	"glimpse/cachestore/chunk"
)

// pieceSize is how much is read from an origin at a time.
const pieceSize = 256 << 10

var pieces = sync.Pool{New: func() any { b := make([]byte, pieceSize); return &b }}

// originStream cuts what a passage reads into pieces that lie within one chunk
// each.
type originStream struct {
	p         *passage
	cancel    context.CancelFunc // ends what p does
	g         chunk.Geometry
	off, left int64
	buf       *[]byte

	mu struct {
		sync.Mutex
		r      io.ReadCloser
		closed bool
		busy   bool // a Next is writing to buf: it gives buf back when it ends
	}
}

func newOriginStream(p *passage, cancel context.CancelFunc, r io.ReadCloser, off, n int64) *originStream {
	s := &originStream{p: p, cancel: cancel, g: p.s.cfg.Geometry, off: off, left: n, buf: pieces.Get().(*[]byte)}
	s.mu.r = r
	return s
}

func (s *originStream) Next() (chunk.Piece, error) {
	if s.left == 0 {
		return chunk.Piece{}, io.EOF
	}
	r := s.begin()
	if r == nil {
		return chunk.Piece{}, io.ErrClosedPipe
	}
	index := s.g.Index(s.off)
	want := min(pieceSize, s.left, s.g.Off(index+1)-s.off)
	err := s.fill(r, (*s.buf)[:want])
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

// fill reads all of b, from as many places as it takes.
func (s *originStream) fill(r io.ReadCloser, b []byte) error {
	for done := 0; ; {
		n, err := io.ReadFull(r, b[done:])
		if err == nil {
			return nil
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		done += n
		if r, err = s.p.goOn(err, s.off+int64(done), s.left-int64(done)); err != nil {
			return err
		}
		if !s.replace(r) {
			return io.ErrClosedPipe
		}
	}
}

// replace closes the reader that broke. It returns false, and closes r too, where
// the stream was closed meanwhile.
func (s *originStream) replace(r io.ReadCloser) bool {
	s.mu.Lock()
	old, closed := s.mu.r, s.mu.closed
	if closed {
		old = r // the other one is closed by Close
	} else {
		s.mu.r = r
	}
	s.mu.Unlock()
	_ = old.Close() // nothing more is wanted of it
	return !closed
}

// begin returns nil where the stream is closed.
func (s *originStream) begin() io.ReadCloser {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.busy = !s.mu.closed
	if s.mu.closed {
		return nil
	}
	return s.mu.r
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
	r := s.mu.r
	if !s.mu.busy {
		pieces.Put(s.buf)
	}
	s.mu.Unlock()
	s.cancel()
	return r.Close()
}
