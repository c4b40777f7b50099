//go:build ceph

package rbd

import (
	"context"
	"errors"
	"io"
	"sync"

	"glimpse/backends"
)

// pieceSize is what one call reads or writes: it lies within one object of the
// usual images. A reader holds two of them, the one that it gives out and the next.
const pieceSize = 1 << 20

var pieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// Open opens the image read-only, which no one who removes it notices.
func (s *Store) Open(ctx context.Context, at backends.Locator, validator string, off, n int64) (io.ReadCloser, error) {
	src, err := blocking(ctx, s, func() (*source, error) { return s.source(ctx, at, validator) }, (*source).giveBack)
	if err != nil {
		return nil, err
	}
	end := off + n
	if n < 0 {
		end = max(off, src.v.size)
	}
	r := &reader{ctx: ctx, pieces: make(chan piece), check: make(chan struct{}), verdict: make(chan error, 1), stop: make(chan struct{})}
	if err := s.begin(); err != nil {
		src.giveBack()
		return nil, err
	}
	go func() {
		defer s.calls.Done()
		src.read(r, off, end)
	}()
	return r, nil
}

// piece is a part of the image, or how the reading ended.
type piece struct {
	buf  *[pieceSize]byte
	data []byte
	last bool
	err  error
}

// read sends the bytes up to end to r until it wants no more, and gives the image
// back.
func (src *source) read(r *reader, off, end int64) {
	defer src.giveBack()
	defer close(r.pieces)
	for off < end {
		p := src.next(off, end)
		off += int64(len(p.data))
		select {
		case r.pieces <- p:
		case <-r.stop:
			return
		case <-r.ctx.Done():
			return
		}
		if p.err != nil {
			return
		}
		if !p.last {
			continue
		}
		select {
		case <-r.check:
			r.verdict <- translate(src.unchanged())
		case <-r.stop:
			return
		case <-r.ctx.Done():
			return
		}
	}
}

// next reads one piece.
func (src *source) next(off, end int64) piece {
	end = min(end, src.v.size)
	if off >= end {
		return piece{err: io.ErrUnexpectedEOF}
	}
	want := min(end-off, pieceSize-off%pieceSize) // it ends where an object does
	buf := pieces.Get().(*[pieceSize]byte)
	n, err := src.h.img.ReadAt(buf[:want], off)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		src.h.s.noteFailure(src.h.c, err)
		pieces.Put(buf)
		return piece{err: translate(err)}
	}
	return piece{buf: buf, data: buf[:n], last: off+want == end}
}

// reader gives out pieces. It is used by one goroutine.
type reader struct {
	ctx     context.Context
	pieces  chan piece
	check   chan struct{} // asks for a verdict on all that was read
	verdict chan error
	stop    chan struct{}
	now     piece
	closed  bool
}

func (r *reader) Read(p []byte) (int, error) {
	if r.closed {
		return 0, errors.New("rbd: the reader is closed")
	}
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	if len(r.now.data) == 0 && r.now.err == nil {
		r.drop()
		select {
		case next, ok := <-r.pieces:
			if !ok {
				next.err = io.EOF
				if r.ctx.Err() != nil {
					next.err = context.Cause(r.ctx)
				}
			}
			r.now = next
		case <-r.ctx.Done():
			return 0, context.Cause(r.ctx)
		}
	}
	if r.now.err != nil {
		return 0, r.now.err
	}
	if r.now.last && len(p) >= len(r.now.data) {
		if r.now.err = r.confirm(); r.now.err != nil {
			return 0, r.now.err
		}
	}
	n := copy(p, r.now.data)
	r.now.data = r.now.data[n:]
	return n, nil
}

// confirm has the snapshot looked for before the last bytes are given out.
func (r *reader) confirm() error {
	select {
	case r.check <- struct{}{}:
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
	select {
	case err := <-r.verdict:
		return err
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}

func (r *reader) drop() {
	if r.now.buf != nil {
		pieces.Put(r.now.buf)
		r.now = piece{}
	}
}

// Close does not wait for a call under way, which holds memory of its own.
func (r *reader) Close() error {
	if !r.closed {
		r.closed = true
		r.drop()
		close(r.stop)
	}
	return nil
}
