package clustertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
	"glimpse/cluster/serve"
	"glimpse/cluster/wire"
)

// Stall is how long a silent peer is waited for, as on the real plane.
const Stall = time.Second

// Faults of the way from one node to another. The zero value has none.
type Faults struct {
	Down     bool          // no connection, and those there are break
	Silent   bool          // asks and bytes vanish, and nobody says so
	Delay    time.Duration // before each answer begins
	CutAfter int64         // bytes of each answer, after which its connection breaks; 0: never
	Flip     bool          // a bit of each answer
}

// Net is the peer plane of a cluster in one process.
type Net struct {
	geo chunk.Geometry

	mu struct {
		sync.Mutex
		nodes  map[string]serve.Local
		faults map[way]Faults
		open   map[*stream]struct{}
		sent   map[way]int64
	}
}

type way struct{ from, to string }

// NewNet returns a Net without nodes.
func NewNet(g chunk.Geometry) *Net {
	n := &Net{geo: g}
	n.mu.nodes = map[string]serve.Local{}
	n.mu.faults = map[way]Faults{}
	n.mu.open = map[*stream]struct{}{}
	n.mu.sent = map[way]int64{}
	return n
}

// Join starts a node, or replaces what it answers from.
func (n *Net) Join(id string, l serve.Local) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.nodes[id] = l
}

// Kill ends a node and breaks its answers off.
func (n *Net) Kill(id string) {
	n.mu.Lock()
	delete(n.mu.nodes, id)
	n.mu.Unlock()
	n.shake(func(w way) bool { return w.to == id || w.from == id }, errBroken, 0)
}

// Fault sets what is wrong on the way of asks from one node to another.
func (n *Net) Fault(from, to string, f Faults) {
	w := way{from, to}
	n.mu.Lock()
	n.mu.faults[w] = f
	n.mu.Unlock()
	is := func(x way) bool { return x == w }
	switch {
	case f.Down:
		n.shake(is, errBroken, 0)
	case f.Silent:
		n.shake(is, errSilent, Stall)
	}
}

// Sent returns how many bytes of chunks one node has got from another.
func (n *Net) Sent(from, to string) int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.sent[way{to, from}]
}

// shake ends the answers on some ways.
func (n *Net) shake(which func(way) bool, why error, after time.Duration) {
	n.mu.Lock()
	var hit []*stream
	for s := range n.mu.open {
		if which(s.way) {
			hit = append(hit, s)
		}
	}
	n.mu.Unlock()
	for _, s := range hit {
		if after > 0 {
			t := time.AfterFunc(after, func() { s.cancel(why) })
			context.AfterFunc(s.ctx, func() { t.Stop() })
			continue
		}
		s.cancel(why)
	}
}

var (
	errBroken  = errors.New("the connection broke")
	errSilent  = errors.New("neither bytes nor a sign of life")
	errClosed  = errors.New("the stream is closed")
	errDamaged = errors.New("wrong checksum")
)

// Peers returns the plane as one node sees it.
func (n *Net) Peers(self string) cluster.Peers { return &peers{n, self} }

type peers struct {
	n    *Net
	self string
}

func away(to string, why error) error {
	return fmt.Errorf("node %s: %w: %s", to, cluster.ErrAway, why.Error())
}

// reach returns the node at the end of a way, when an ask has got there.
func (n *Net) reach(ctx context.Context, w way) (serve.Local, error) {
	n.mu.Lock()
	l, f := n.mu.nodes[w.to], n.mu.faults[w]
	n.mu.Unlock()
	wait := f.Delay
	if f.Silent {
		wait = Stall
	}
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	switch {
	case f.Silent:
		return nil, away(w.to, errSilent)
	case l == nil || f.Down:
		return nil, away(w.to, errBroken)
	}
	return l, ctx.Err()
}

// crossed is an error as it is after it has crossed.
func crossed(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	return wire.DecodeError(wire.EncodeError(err))
}

func (p *peers) OpenRange(ctx context.Context, at ring.Node, q cluster.Ask, off, length int64) (chunk.Stream, error) {
	w := way{p.self, at.ID}
	l, err := p.n.reach(ctx, w)
	if err != nil {
		return nil, err
	}
	q.From = p.self
	q.Object.MemoryOnly, q.Object.Zone, q.Object.Node = false, "", ""
	a := wire.Ask{Ask: q, To: at.ID, Off: off, N: length}
	switch err := a.CheckOpen(p.n.geo); {
	case errors.Is(err, chunk.ErrRange):
		return nil, err
	case err != nil:
		return nil, away(at.ID, err)
	}
	s := &stream{p: p, way: w, caller: ctx, track: wire.NewTrack(a), from: off}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	p.n.mu.Lock()
	s.faults = p.n.mu.faults[w]
	p.n.mu.open[s] = struct{}{}
	p.n.mu.Unlock()
	s.in, err = l.OpenRange(s.ctx, q, off, length)
	if err != nil {
		s.leave()
		err = s.why(err)
		s.cancel(nil)
		return nil, err
	}
	return s, nil
}

func (p *peers) Stat(ctx context.Context, at ring.Node, o chunk.Object) (chunk.Object, error) {
	l, err := p.n.reach(ctx, way{p.self, at.ID})
	if err != nil {
		return chunk.Object{}, err
	}
	if err := wire.CheckObject(o); err != nil {
		return chunk.Object{}, away(at.ID, err)
	}
	kept := o
	o.MemoryOnly, o.Zone, o.Node = false, "", ""
	got, err := l.Stat(ctx, o)
	if err != nil {
		return chunk.Object{}, crossed(ctx, err)
	}
	got.MemoryOnly, got.Zone, got.Node = kept.MemoryOnly, kept.Zone, kept.Node
	return got, nil
}

func (p *peers) Drop(ctx context.Context, at ring.Node, imageID string) error {
	l, err := p.n.reach(ctx, way{p.self, at.ID})
	if err != nil {
		return err
	}
	return crossed(ctx, l.Drop(ctx, imageID))
}

// stream is one answer.
type stream struct {
	p      *peers
	way    way
	caller context.Context
	ctx    context.Context
	cancel context.CancelCauseFunc
	in     chunk.Stream
	track  wire.Track
	faults Faults
	from   int64
	err    error
}

// why returns what the asker gets to hear of an error.
func (s *stream) why(err error) error {
	switch cause := context.Cause(s.ctx); {
	case s.caller.Err() != nil:
		return s.caller.Err()
	case errors.Is(cause, errClosed):
		return errClosed
	case cause != nil:
		return away(s.way.to, cause)
	case errors.Is(err, errDamaged), errors.Is(err, errBroken), errors.Is(err, wire.ErrGarbage):
		return away(s.way.to, err)
	default:
		return crossed(s.caller, err)
	}
}

// Next returns the next piece.
func (s *stream) Next() (chunk.Piece, error) {
	if s.err != nil {
		return chunk.Piece{}, s.err
	}
	p, err := s.next()
	switch {
	case err == nil:
		return p, nil
	case errors.Is(err, io.EOF):
		s.err = io.EOF
	default:
		s.err = s.why(err)
	}
	s.leave()
	return chunk.Piece{}, s.err
}

func (s *stream) next() (chunk.Piece, error) {
	if s.ctx.Err() != nil {
		return chunk.Piece{}, s.ctx.Err()
	}
	p, err := s.in.Next()
	switch {
	case s.ctx.Err() != nil:
		return chunk.Piece{}, s.ctx.Err()
	case errors.Is(err, io.EOF):
		if bad := s.track.Done(); bad != nil {
			return chunk.Piece{}, bad
		}
		return chunk.Piece{}, err
	case err != nil:
		return chunk.Piece{}, err
	case s.faults.Flip:
		return chunk.Piece{}, errDamaged
	}
	if err := s.track.Take(p); err != nil {
		return chunk.Piece{}, err
	}
	left := int64(math.MaxInt64)
	if s.faults.CutAfter > 0 {
		left = s.from + s.faults.CutAfter - p.Off
	}
	if left <= 0 {
		return chunk.Piece{}, errBroken
	}
	if p.Len > left {
		p.Len = left
		if !p.Zero {
			p.Data = p.Data[:left]
		}
	}
	n := s.p.n
	n.mu.Lock()
	n.mu.sent[s.way] += int64(len(p.Data))
	n.mu.Unlock()
	return p, nil
}

// Hot says what the one who answers says.
func (s *stream) Hot() bool { return cluster.IsHot(s.in) }

func (s *stream) leave() {
	n := s.p.n
	n.mu.Lock()
	delete(n.mu.open, s)
	n.mu.Unlock()
}

// Close ends a Next that is waiting.
func (s *stream) Close() error {
	s.cancel(errClosed)
	s.leave()
	return s.in.Close()
}
