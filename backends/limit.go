package backends

import (
	"context"
	"io"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
)

// Limits bound what is asked of a store at once. Zero is no limit.
type Limits struct {
	Rate    int64 // bytes read per second, over all readers
	Streams int64 // readers at once
}

// burst is how much of the rate may come at once: a quarter of a second's worth,
// and at least what one Read asks for.
func (l Limits) burst() int { return int(max(l.Rate/4, 64<<10)) }

// Limit bounds the reading of s. A reader over the number waits its turn in
// order, within its context.
func Limit(s Store, l Limits) Store {
	if l.Rate <= 0 && l.Streams <= 0 {
		return s
	}
	d := limited{Store: s}
	if l.Rate > 0 {
		d.rate = rate.NewLimiter(rate.Limit(l.Rate), l.burst())
	}
	if l.Streams > 0 {
		d.streams = semaphore.NewWeighted(l.Streams)
	}
	return d
}

type limited struct {
	Store
	rate    *rate.Limiter
	streams *semaphore.Weighted
}

func (s limited) Unwrap() Store { return s.Store }

func (s limited) Open(ctx context.Context, at Locator, validator string, off, n int64) (io.ReadCloser, error) {
	if s.streams != nil {
		if err := s.streams.Acquire(ctx, 1); err != nil {
			return nil, err
		}
	}
	r, err := s.Store.Open(ctx, at, validator, off, n)
	if err != nil {
		s.release()
		return nil, err
	}
	return &limitedReader{ReadCloser: r, ctx: ctx, s: s}, nil
}

func (s limited) release() {
	if s.streams != nil {
		s.streams.Release(1)
	}
}

type limitedReader struct {
	io.ReadCloser
	ctx    context.Context
	s      limited
	closed bool
}

func (r *limitedReader) Read(p []byte) (int, error) {
	if r.s.rate == nil {
		return r.ReadCloser.Read(p)
	}
	n, err := r.ReadCloser.Read(p[:min(len(p), r.s.rate.Burst())])
	if n > 0 {
		if werr := r.s.rate.WaitN(r.ctx, n); werr != nil {
			return 0, werr
		}
	}
	return n, err
}

func (r *limitedReader) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	defer r.s.release()
	return r.ReadCloser.Close()
}
