package clustertest

import (
	"context"
	"crypto/sha256"
	"io"
	"sync"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
)

// Local is what a node answers from, made up: the funcs that are set answer, the
// others say that there is no such object.
type Local struct {
	Open   func(ctx context.Context, q cluster.Ask, off, n int64) (chunk.Stream, error)
	Stats  func(ctx context.Context, o chunk.Object) (chunk.Object, error)
	Forget func(ctx context.Context, imageID string) error
}

// OpenRange calls Open.
func (l *Local) OpenRange(ctx context.Context, q cluster.Ask, off, n int64) (chunk.Stream, error) {
	if l.Open == nil {
		return nil, chunk.ErrNotFound
	}
	return l.Open(ctx, q, off, n)
}

// Stat calls Stats.
func (l *Local) Stat(ctx context.Context, o chunk.Object) (chunk.Object, error) {
	if l.Stats == nil {
		return chunk.Object{}, chunk.ErrNotFound
	}
	return l.Stats(ctx, o)
}

// Drop calls Forget.
func (l *Local) Drop(ctx context.Context, imageID string) error {
	if l.Forget == nil {
		return chunk.ErrNotFound
	}
	return l.Forget(ctx, imageID)
}

// Script is a stream that gives what it is told to.
type Script struct {
	Steps []Step
	Ctx   context.Context // that it was opened with

	once   sync.Once
	closed chan struct{}
	at     int
}

// Step is a piece, an error, or a wait for either.
type Step struct {
	Wait  <-chan struct{}
	Piece chunk.Piece
	Err   error
}

// NewScript returns a stream of steps. After the last of them there is io.EOF.
func NewScript(ctx context.Context, steps ...Step) *Script {
	return &Script{Steps: steps, Ctx: ctx, closed: make(chan struct{})}
}

// Next gives the next step, unless its context ends or it is closed.
func (s *Script) Next() (chunk.Piece, error) {
	if s.at == len(s.Steps) {
		return chunk.Piece{}, io.EOF
	}
	step := s.Steps[s.at]
	if step.Wait != nil {
		select {
		case <-step.Wait:
		case <-s.closed:
			return chunk.Piece{}, errClosed
		case <-s.Ctx.Done():
			return chunk.Piece{}, s.Ctx.Err()
		}
	}
	s.at++
	return step.Piece, step.Err
}

// Close ends a Next that waits.
func (s *Script) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// Bytes are an object whose chunk number 1 is zeros, and whose chunks of even
// number have a digest (of another hash than real ones).
type Bytes struct {
	Data []byte
	Geo  chunk.Geometry
	// Run is the most bytes of a piece.
	Run int64

	digests []chunk.Digest
}

// NewBytes makes up n bytes.
func NewBytes(g chunk.Geometry, n int64) *Bytes {
	b := &Bytes{Data: make([]byte, n), Geo: g, Run: 256 << 10}
	x := uint32(1)
	for i := range b.Data {
		x = x*1664525 + 1013904223
		b.Data[i] = byte(x >> 24)
	}
	if n > g.Chunk {
		clear(b.Data[g.Chunk:min(n, 2*g.Chunk)])
	}
	for i := range g.Count(n) {
		d := chunk.Digest{}
		if i%2 == 0 {
			d = sha256.Sum256(b.Data[g.Off(i) : g.Off(i)+g.Len(i, n)])
		}
		b.digests = append(b.digests, d)
	}
	return b
}

// Digest returns what is known of a chunk.
func (b *Bytes) Digest(i int) chunk.Digest { return b.digests[i] }

// Steps are the pieces of a range; n is -1 for all that follow.
func (b *Bytes) Steps(off, n int64) (steps []Step) {
	end := off + n
	if n < 0 {
		end = int64(len(b.Data))
	}
	for off < end {
		i := b.Geo.Index(off)
		p := chunk.Piece{Index: i, Off: off, Len: min(end, b.Geo.Off(i+1)) - off, Zero: i == 1}
		if !p.Zero {
			p.Len = min(p.Len, b.Run)
			p.Data, p.Digest = b.Data[off:off+p.Len], b.Digest(i)
		}
		steps = append(steps, Step{Piece: p})
		off += p.Len
	}
	return steps
}

// Open serves a range; it fits Local.
func (b *Bytes) Open(ctx context.Context, _ cluster.Ask, off, n int64) (chunk.Stream, error) {
	return NewScript(ctx, b.Steps(off, n)...), nil
}
