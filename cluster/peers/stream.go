package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
	"glimpse/cluster/wire"
)

// stream is one answer to an open.
type stream struct {
	*exchange
	track  wire.Track
	hot    bool
	packed bool                   // pieces may be
	room   *[wire.GroupBytes]byte // of the last packed piece; nil until there is one
	err    error                  // that Next has ended with

	mu struct {
		sync.Mutex
		reading, closed, done bool
	}
}

// OpenRange asks for a range.
func (p *Peers) OpenRange(ctx context.Context, n ring.Node, q cluster.Ask, off, length int64) (chunk.Stream, error) {
	at := p.of(n)
	places := at.zone
	switch {
	case q.ResidentOnly:
		places = at.resident
	case q.Level == cluster.Home:
		places = at.home
	}
	x, err := at.begin(ctx, places)
	if err != nil {
		return nil, err
	}
	a := wire.Ask{Ask: q, Off: off, N: length, Packed: p.cfg.Packs != nil && p.cfg.Packs(n)}
	hot, err := x.open(a)
	if err != nil {
		err = x.verdict(err)
		x.end()
		x.reuse()
		return nil, err
	}
	x.tell(nil)
	x.tell = at.later
	return &stream{exchange: x, track: wire.NewTrack(a), hot: hot, packed: a.Packed}, nil
}

// Hot says whether the owner said that several nodes ask for the extent.
func (s *stream) Hot() bool { return s.hot }

// Next returns the next piece: at most 64 KiB, or a mark of zeros.
func (s *stream) Next() (chunk.Piece, error) {
	if !s.enter() {
		return chunk.Piece{}, errClosed
	}
	defer s.leave()
	if s.err != nil {
		return chunk.Piece{}, s.err
	}
	s.watch.alive()
	p, err := s.next()
	s.watch.rest()
	switch {
	case err == nil:
		return p, nil
	case errors.Is(err, io.EOF):
		s.err = io.EOF
	default:
		s.err = s.verdict(err)
	}
	return chunk.Piece{}, s.err
}

func (s *stream) next() (chunk.Piece, error) {
	f, err := s.frame()
	if err != nil {
		return chunk.Piece{}, err
	}
	switch f.Type {
	case wire.Piece, wire.Zero:
		p, err := s.piece(f)
		if err == nil {
			err = s.track.Take(p)
		}
		if err != nil {
			return chunk.Piece{}, err
		}
		s.at.p.counts.bytes.Add(int64(len(p.Data)))
		return p, nil
	case wire.End:
		if err := s.track.Done(); err != nil {
			return chunk.Piece{}, err
		}
		return chunk.Piece{}, s.last(io.EOF)
	case wire.Error:
		return chunk.Piece{}, s.last(f.Err())
	default:
		return chunk.Piece{}, fmt.Errorf("%w: frame %d within a range", wire.ErrGarbage, f.Type)
	}
}

// piece returns what a frame holds, unpacked.
func (s *stream) piece(f wire.Frame) (chunk.Piece, error) {
	if !s.packed || !f.Packed() {
		return f.Piece()
	}
	if s.room == nil {
		s.room = rooms.Get().(*[wire.GroupBytes]byte)
	}
	p, err := f.Unpack(s.room[:])
	if err == nil {
		s.at.p.counts.saved.Add(p.Len - int64(len(f.Data())))
	}
	return p, err
}

// rooms are for what is unpacked.
var rooms = sync.Pool{New: func() any { return new([wire.GroupBytes]byte) }}

func (s *stream) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed || s.mu.reading {
		return false
	}
	s.mu.reading = true
	return true
}

func (s *stream) leave() {
	s.mu.Lock()
	s.mu.reading = false
	over := (s.mu.closed || s.err != nil) && !s.mu.done
	s.mu.done = s.mu.done || over
	s.mu.Unlock()
	if over {
		s.end()
		if s.err != nil {
			s.reuse() // the piece before is not valid any more
			if s.room != nil {
				rooms.Put(s.room)
				s.room = nil
			}
		}
	}
}

// Close ends a Next that is waiting. What the stream uses is given back by then at
// the latest, if not by the end of the answer. Its buffer is then left to the
// garbage collector, in case that somebody still copies from it.
func (s *stream) Close() error {
	s.mu.Lock()
	s.mu.closed = true
	over := !s.mu.reading && !s.mu.done
	s.mu.done = s.mu.done || over
	s.mu.Unlock()
	s.cancel(errClosed)
	if over {
		s.end()
	}
	return nil
}
