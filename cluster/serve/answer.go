package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/wire"
)

// batch is how many frames go out in one write.
const batch = 4

var buffers = sync.Pool{New: func() any { return new([batch * wire.FrameBytes]byte) }}

// got is what there is to send: a piece, or another frame. io.EOF is the clean end.
type got struct {
	t    wire.Type
	head []byte
	data []byte
	p    chunk.Piece
	err  error
}

// giver hands over what there is to send, until an end or for as long as give says
// that it is wanted. used says when a piece is not needed any more.
type giver func(ctx context.Context, give func(got) bool, used <-chan struct{})

// pull opens a range and gives its pieces, each after the one before it was let go.
func (s *Server) pull(a wire.Ask) giver {
	return func(ctx context.Context, give func(got) bool, used <-chan struct{}) {
		st, err := s.cfg.Local.OpenRange(ctx, a.Ask, a.Off, a.N)
		if err != nil {
			give(got{err: noEnd(err)})
			return
		}
		defer st.Close()
		for g := (got{t: wire.Opened, head: wire.OpenedHead(cluster.IsHot(st))}); give(g) && g.err == nil; {
			if g.t == wire.Piece {
				select {
				case <-used:
				case <-ctx.Done():
					return
				}
			}
			g = got{t: wire.Piece}
			g.p, g.err = st.Next()
			if p := g.p; g.err == nil && (p.Len <= 0 || !p.Zero && p.Len != int64(len(p.Data))) {
				g.err = fmt.Errorf("a piece of %d bytes with %d: %w", p.Len, len(p.Data), chunk.ErrUnavailable)
			}
		}
	}
}

// call gives one answer.
func (s *Server) call(fn func(context.Context) ([]byte, error)) giver {
	return func(ctx context.Context, give func(got) bool, _ <-chan struct{}) {
		b, err := fn(ctx)
		if err != nil {
			give(got{err: noEnd(err)})
			return
		}
		give(got{t: wire.Answer, data: b})
	}
}

// noEnd keeps an error from passing for a clean end.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// answer sends what g gives as frames.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, a wire.Ask, g giver) {
	ctx, cancel := context.WithCancel(r.Context())
	out, used := make(chan got), make(chan struct{})
	go func() {
		defer close(out)
		g(ctx, func(v got) bool {
			select {
			case out <- v:
				return true
			case <-ctx.Done():
				return false
			}
		}, used)
	}()
	defer func() { // the giver ends before its request does
		cancel()
		for range out {
		}
	}()
	room := buffers.Get().(*[batch * wire.FrameBytes]byte)
	defer buffers.Put(room)
	f := &frames{s: s, w: w, rc: http.NewResponseController(w), buf: room[:0], pack: wire.Packer{On: a.Packed}}
	w.Header().Set("Content-Type", "application/octet-stream")
	if !s.send(ctx, f, a, out, used) {
		s.counts.gone.Add(1)
	}
}

// send says whether the asker got to hear the end.
func (s *Server) send(ctx context.Context, f *frames, a wire.Ask, out <-chan got, used chan<- struct{}) bool {
	beat := time.NewTimer(s.cfg.Beat)
	defer beat.Stop()
	for f.err == nil {
		v, ok := s.next(ctx, f, out, beat)
		switch {
		case !ok:
			return false
		case errors.Is(v.err, io.EOF):
			f.add(wire.End, nil, nil)
			return f.flush()
		case v.err != nil && ctx.Err() != nil:
			return false
		case v.err != nil:
			s.counts.failed.Add(1)
			s.cfg.Log.Debug("an ask ended with an error", slog.String("from", a.From), slog.Any("err", v.err))
			f.add(wire.Error, wire.EncodeError(v.err), nil)
			return f.flush()
		case v.t == wire.Answer:
			f.add(wire.Answer, nil, v.data)
			return f.flush()
		case v.t == wire.Piece:
			f.piece(ctx, v.p, used)
		default:
			f.add(v.t, v.head, nil)
		}
	}
	return false
}

// next waits for what there is to send, and lets the asker know that it waits.
func (s *Server) next(ctx context.Context, f *frames, out <-chan got, beat *time.Timer) (v got, ok bool) {
	select {
	case v, ok = <-out:
		return v, ok
	default:
	}
	for f.flush() {
		beat.Reset(s.cfg.Beat)
		select {
		case v, ok = <-out:
			return v, ok
		case <-ctx.Done():
			return got{}, false
		case <-beat.C:
			s.counts.waits.Add(1)
			f.add(wire.Waiting, nil, nil)
		}
	}
	return got{}, false
}

// frames writes them in batches. After an error it does nothing.
type frames struct {
	s     *Server
	w     http.ResponseWriter
	rc    *http.ResponseController
	buf   []byte
	pack  wire.Packer
	dirty bool // written, and not yet flushed
	err   error
}

func (f *frames) add(t wire.Type, head, data []byte) {
	f.room()
	f.buf = wire.Append(f.buf, t, head, data)
}

// piece copies all of p into frames, and lets go of it before the last of them are
// written, so that the stream can get on with the next.
func (f *frames) piece(ctx context.Context, p chunk.Piece, used chan<- struct{}) {
	if !p.Zero {
		f.s.counts.bytes.Add(p.Len)
	}
	for p.Len > 0 {
		f.room()
		f.buf, p = f.pack.Append(f.buf, p)
	}
	select {
	case used <- struct{}{}:
		f.write()
	case <-ctx.Done():
		f.err = ctx.Err()
	}
}

// room makes room for one more frame.
func (f *frames) room() {
	if cap(f.buf)-len(f.buf) < wire.FrameBytes {
		f.write()
	}
}

func (f *frames) write() {
	if f.err == nil && len(f.buf) > 0 {
		f.s.roll(f.w)
		_, f.err = f.w.Write(f.buf)
		f.dirty = true
	}
	f.buf = f.buf[:0]
}

// flush sends all that was added, and says whether that could be.
func (f *frames) flush() bool {
	f.write()
	if f.err == nil && f.dirty {
		f.err = f.rc.Flush()
		f.dirty = false
	}
	return f.err == nil
}
