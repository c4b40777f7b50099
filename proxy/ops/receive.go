package ops

import (
	"context"
	"errors"
	"io"
	"time"

	"glimpse/cachestore/chunk"
	"glimpse/proxy/ops/inspect"
	"glimpse/registry/image"

	"golang.org/x/sync/errgroup"
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

// receive reads the body once. Each consumer has a goroutine of its own and reads
// the same buffers; when all have done with one it goes to the cache.
func (a *attempt) receive(ctx context.Context) (received, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := newPipeline(a, cancel)
	var g errgroup.Group
	for i, c := range p.consumers {
		g.Go(func() error { return c(p.in[i]) })
	}
	g.Go(func() error {
		err := p.read(ctx, a)
		p.end(err == nil)
		return err
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

// read takes the body chunk by chunk and sends it round.
func (p *pipeline) read(ctx context.Context, a *attempt) error {
	if p.parts != nil {
		return p.readParts(ctx, a)
	}
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
		b := &block{index: index, data: p.private[:n], last: end || left == 0, over: make(chan struct{})}
		p.send(b)
		<-b.over
	}
	return end, nil
}

// fill reads as much as fits. end: the body is over. Nothing but a bare io.EOF says
// so: a body that was cut ends with an error that holds io.ErrUnexpectedEOF, and
// io.ReadFull has the same for a short one.
func (p *pipeline) fill(ctx context.Context, a *attempt, to []byte) (n int, end bool, err error) {
	for n < len(to) && err == nil {
		var k int
		k, err = a.u.Body.Read(to[n:])
		n += k
	}
	if n == len(to) && !bare(err) {
		err = nil // the next read will say it
	}
	end = bare(err)
	if err != nil && !end {
		return n, end, bodyError(ctx, err)
	}
	p.size += int64(n)
	return n, end, a.fits(p.size)
}

// bare says whether err is io.EOF itself.
func bare(err error) bool {
	return err == io.EOF //nolint:errorlint // an error that wraps it is no end
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

// bodyError says why a body could not be read: where something else ended the
// context, that.
func bodyError(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	var known *image.Error
	if errors.As(err, &known) {
		return err
	}
	return image.Wrap(image.Invalid, err, "The body could not be read to its end.")
}
