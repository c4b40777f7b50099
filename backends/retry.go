package backends

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Retries says how often a call that found the store away is tried again.
type Retries struct {
	Max     int           // further tries; 0: none
	Initial time.Duration // before the first of them; 0: 100 ms; growing each time, with jitter
	Within  time.Duration // no try begins later than this after the first one; 0: 1 min
}

// Retry tries Open, Stat and Delete again when they found the store away, and
// opens a broken read again at the byte where it stood, but only with a
// validator: without one the second half could be of another version. Create and
// what is written are the caller's to repeat: a Commit that seems to have failed
// may have been done. What a Breaker refuses is not tried again.
func Retry(s Store, r Retries) Store {
	if r.Max <= 0 {
		return s
	}
	if r.Initial <= 0 {
		r.Initial = 100 * time.Millisecond
	}
	if r.Within <= 0 {
		r.Within = time.Minute
	}
	return retried{s, r}
}

type retried struct {
	Store
	r Retries
}

func (s retried) Unwrap() Store { return s.Store }

// Once is s without its retries, for who has another store to ask: its limits,
// counters and breaker are the same. A read that breaks is not opened again.
func Once(s Store) Store {
	switch d := s.(type) {
	case retried:
		return d.Store
	case limited:
		d.Store = Once(d.Store)
		return d
	case observed:
		d.Store = Once(d.Store)
		return d
	}
	return s
}

// longestWait is how long a store that said when to come back is waited for at the
// most: whoever waits for the answer has clients of its own.
const longestWait = 30 * time.Second

// pace is the time between two tries.
type pace struct {
	*backoff.ExponentialBackOff
	ctx   context.Context
	asked time.Duration // by the last answer
}

// NextBackOff adds to what was asked for, so that those who were told the same
// time do not all come at once. A wait that ctx would cut short is none.
func (p *pace) NextBackOff() time.Duration {
	d := p.ExponentialBackOff.NextBackOff() + p.asked
	if end, ok := p.ctx.Deadline(); ok && time.Until(end) <= d {
		return backoff.Stop
	}
	return d
}

// try runs fn until it ends with something else than ErrUnavailable. A store that
// is busy is asked again when it said, or not at all where that is too late.
func try[T any](ctx context.Context, r Retries, fn func() (T, error)) (T, error) {
	p := &pace{ExponentialBackOff: backoff.NewExponentialBackOff(), ctx: ctx}
	p.InitialInterval = r.Initial
	return backoff.Retry(ctx, func() (T, error) {
		v, err := fn()
		p.asked = BusyFor(err)
		if err != nil && (!errors.Is(err, ErrUnavailable) || errors.Is(err, errAway) || p.asked > longestWait) {
			return v, backoff.Permanent(err)
		}
		return v, err
	}, backoff.WithBackOff(p), backoff.WithMaxTries(uint(r.Max)+1), backoff.WithMaxElapsedTime(r.Within))
}

func (s retried) Stat(ctx context.Context, at Locator) (Info, error) {
	return try(ctx, s.r, func() (Info, error) { return s.Store.Stat(ctx, at) })
}

func (s retried) Delete(ctx context.Context, at Locator) error {
	first := true
	_, err := try(ctx, s.r, func() (struct{}, error) {
		err := s.Store.Delete(ctx, at)
		if !first && errors.Is(err, ErrNotFound) {
			err = nil // an earlier try had done it although it seemed to fail
		}
		first = false
		return struct{}{}, err
	})
	return err
}

func (s retried) Open(ctx context.Context, at Locator, validator string, off, n int64) (io.ReadCloser, error) {
	open := func(off, n int64) (io.ReadCloser, error) {
		return try(ctx, s.r, func() (io.ReadCloser, error) { return s.Store.Open(ctx, at, validator, off, n) })
	}
	r, err := open(off, n)
	if err != nil || validator == "" || !s.Caps().Ranged {
		return r, err
	}
	return &resuming{ReadCloser: r, open: open, off: off, left: n, tries: s.r.Max}, nil
}

// resuming is a read that survives broken connections. left is -1 where all that
// follows was asked for.
type resuming struct {
	io.ReadCloser
	open      func(off, n int64) (io.ReadCloser, error)
	off, left int64
	tries     int
}

func (r *resuming) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.off += int64(n)
	if r.left >= 0 {
		r.left -= int64(n)
	}
	if err == nil || r.tries == 0 || !errors.Is(err, ErrUnavailable) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return n, err
	}
	r.tries--
	next, oerr := r.open(r.off, r.left)
	if oerr != nil {
		return n, err
	}
	r.ReadCloser.Close()
	r.ReadCloser = next
	return n, nil
}
