package ops

import (
	"context"
	"errors"
	"hash"
	"io"
	"sync"
	"time"

	"glimpse/cachestore/chunk"
	"glimpse/proxy/ops/inspect"
	"glimpse/registry/image"

	"golang.org/x/sync/errgroup"
	"lukechampine.com/blake3"
)

const (
	// ahead is how many chunks the body may be ahead of the slowest consumer.
	ahead = 2
	// patience is how long a chunk of an upload waits for a buffer of the cache. Then
	// it goes to the origin without one, and is not kept: others may hold the
	// buffers as long as their clients are slow.
	patience = 100 * time.Millisecond
	// privateBytes is what an upload without a buffer holds.
	privateBytes = 256 << 10
)

// received is what was learned about a body.
type received struct {
	size      int64
	md5, hash string
	manifest  [][]byte
	format    inspect.Result
	virtual   *int64
}

// block is one chunk, or a part of one, on its way through the consumers.
type block struct {
	index  int
	buf    chunk.Buffer // nil: a part of a chunk that is not kept
	data   []byte
	last   bool // of its chunk
	digest chunk.Digest
	zero   bool
	users  sync.WaitGroup // consumers that still read data
}

// receive reads the body once. Each consumer has a goroutine of its own and reads
// the same buffers; when all have done with one it goes to the cache.
func (a *attempt) receive(ctx context.Context) (received, error) {
	p := newPipeline(a)
	g, ctx := errgroup.WithContext(ctx)
	for i, c := range p.consumers {
		g.Go(func() error { return p.consume(p.in[i], c) })
	}
	g.Go(func() error { return p.finish(a.keep) })
	g.Go(func() error {
		defer p.end()
		return p.read(ctx, a)
	})
	err := g.Wait()
	if err == nil && a.u.Announced >= 0 && p.size != a.u.Announced {
		err = image.Errorf(image.Invalid, "The body has %d bytes, %d were announced.", p.size, a.u.Announced)
	}
	if err != nil {
		return received{}, err
	}
	return p.result(), nil
}

// pipeline is the consumers and the channels to them.
type pipeline struct {
	chunk     int64
	consumers []func(*block) error
	in        []chan *block
	done      chan *block // in order, to the one who waits for all consumers

	size     int64
	md5, sum hash.Hash
	manifest []chunk.Segment
	parts    parts // of the chunk that is read without a buffer
	inspect  *inspect.Inspector
	private  []byte
}

// parts gathers the digest of a chunk that comes in several blocks.
type parts struct {
	sum  *blake3.Hasher // nil between two chunks
	data bool           // not all were zeros
}

func newPipeline(a *attempt) *pipeline {
	p := &pipeline{
		chunk: a.s.cfg.Geometry.Chunk, md5: hashes["md5"](), sum: hashes[a.s.cfg.HashAlgo](), inspect: inspect.New(),
		done: make(chan *block, ahead),
	}
	p.consumers = []func(*block) error{
		func(b *block) error { _, err := p.md5.Write(b.data); return err },
		func(b *block) error { _, err := p.sum.Write(b.data); return err },
		func(b *block) error { p.digest(b); _, err := p.inspect.Write(b.data); return err },
		func(b *block) error {
			if _, err := a.out.Write(b.data); err != nil {
				return writeError(err)
			}
			return nil
		},
	}
	for range p.consumers {
		p.in = append(p.in, make(chan *block, ahead))
	}
	return p
}

// digest notes the chunk in the manifest.
func (p *pipeline) digest(b *block) {
	if b.last && p.parts.sum == nil {
		if b.zero = chunk.IsZero(b.data); !b.zero {
			b.digest = blake3.Sum256(b.data)
		}
		p.note(b)
		return
	}
	if p.parts.sum == nil {
		p.parts = parts{sum: blake3.New(len(b.digest), nil)}
	}
	_, _ = p.parts.sum.Write(b.data) // never fails
	p.parts.data = p.parts.data || !chunk.IsZero(b.data)
	if b.last {
		b.zero = !p.parts.data
		p.parts.sum.Sum(b.digest[:0])
		p.parts.sum = nil
		p.note(b)
	}
}

func (p *pipeline) note(b *block) {
	seg, i := b.index/chunk.SegmentChunks, b.index%chunk.SegmentChunks
	if seg == len(p.manifest) {
		p.manifest = append(p.manifest, chunk.NewSegment(chunk.SegmentChunks))
	}
	if b.zero {
		p.manifest[seg].SetZero(i)
		return
	}
	p.manifest[seg].Set(i, b.digest)
}

// consume runs one consumer over all blocks. After its error it goes on taking
// blocks, so that nobody waits for it.
func (p *pipeline) consume(in <-chan *block, fn func(*block) error) (err error) {
	for b := range in {
		if err == nil {
			err = fn(b)
		}
		b.users.Done()
	}
	return err
}

// finish hands each block to the cache when the consumers are through with it.
func (p *pipeline) finish(keep chunk.Writer) error {
	for b := range p.done {
		b.users.Wait()
		if b.buf == nil {
			continue
		}
		keep.Keep(b.index, b.buf, len(b.data), b.digest, b.zero)
	}
	return nil
}

// end tells everybody that no more blocks come.
func (p *pipeline) end() {
	for _, c := range p.in {
		close(c)
	}
	close(p.done)
}

// read takes the body chunk by chunk and sends it round.
func (p *pipeline) read(ctx context.Context, a *attempt) error {
	for index := 0; ; index++ {
		buf, err := a.buffer(ctx)
		if err != nil {
			return bodyError(ctx, err)
		}
		take := p.readPrivately
		if buf != nil {
			take = func(ctx context.Context, a *attempt, index int) (bool, error) { return p.readInto(ctx, a, index, buf) }
		}
		if end, err := take(ctx, a, index); end || err != nil {
			return err
		}
		if ctx.Err() != nil {
			return bodyError(ctx, ctx.Err())
		}
	}
}

var errImpatient = errors.New("no buffer came in time")

// buffer returns nil when the cache has none to give soon.
func (a *attempt) buffer(ctx context.Context) (chunk.Buffer, error) {
	soon, cancel := context.WithTimeoutCause(ctx, patience, errImpatient)
	defer cancel()
	bufs, err := a.keep.Buffers(soon, 1)
	switch {
	case err == nil:
		return bufs[0], nil
	case errors.Is(err, errImpatient) && ctx.Err() == nil:
		return nil, nil
	}
	return nil, err
}

// readInto reads a chunk into a buffer of the cache.
func (p *pipeline) readInto(ctx context.Context, a *attempt, index int, buf chunk.Buffer) (end bool, err error) {
	n, end, err := p.fill(ctx, a, buf.Bytes()[:p.chunk])
	if err != nil || n == 0 {
		buf.Release()
		return end, err
	}
	p.send(&block{index: index, buf: buf, data: buf.Bytes()[:n], last: true})
	return end, nil
}

// readPrivately reads a chunk in parts, through memory of the upload's own.
func (p *pipeline) readPrivately(ctx context.Context, a *attempt, index int) (end bool, err error) {
	if p.private == nil {
		p.private = make([]byte, min(privateBytes, p.chunk))
	}
	for left := p.chunk; left > 0 && !end; {
		var n int
		if n, end, err = p.fill(ctx, a, p.private[:min(left, int64(len(p.private)))]); err != nil {
			return end, err
		}
		left -= int64(n)
		if n == 0 && left == p.chunk {
			return end, nil // the chunk before was the last one
		}
		b := &block{index: index, data: p.private[:n], last: end || left == 0}
		p.send(b)
		b.users.Wait()
	}
	return end, nil
}

// fill reads as much as fits. end: the body is over.
func (p *pipeline) fill(ctx context.Context, a *attempt, to []byte) (n int, end bool, err error) {
	n, err = io.ReadFull(a.u.Body, to)
	end = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if err != nil && !end {
		return n, end, bodyError(ctx, err)
	}
	p.size += int64(n)
	return n, end, a.fits(p.size)
}

// fits refuses a body that is larger than allowed, or than announced.
func (a *attempt) fits(size int64) error {
	if size > a.s.cfg.Limits.SizeCap {
		return a.s.tooLarge()
	}
	if a.u.Announced >= 0 && size > a.u.Announced {
		return image.Errorf(image.Invalid, "The body has more than the %d bytes that were announced.", a.u.Announced)
	}
	return nil
}

// send never waits for ever: consumers take every block, in error too.
func (p *pipeline) send(b *block) {
	b.users.Add(len(p.in))
	for _, c := range p.in {
		c <- b
	}
	p.done <- b
}

// bodyError says why a body could not be read. An error of a consumer, which
// ended the context, says more: errgroup keeps the first one.
func bodyError(ctx context.Context, err error) error {
	var known *image.Error
	if errors.As(err, &known) {
		return err
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return image.Wrap(image.Invalid, err, "The body could not be read to its end.")
}

func (p *pipeline) result() received {
	r := received{size: p.size, md5: hexSum(p.md5), hash: hexSum(p.sum), format: p.inspect.Finish()}
	count := int((p.size + p.chunk - 1) / p.chunk)
	for i, seg := range p.manifest {
		n := min(chunk.SegmentChunks, count-i*chunk.SegmentChunks)
		r.manifest = append(r.manifest, seg[:n*len(chunk.Digest{})].Seal())
	}
	return r
}
