package backends

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Breaking says when a store counts as away.
type Breaking struct {
	After  uint32          // failures in a row; 0: 8
	Rest   time.Duration   // until it is asked again; 0: 3 s
	Change func(away bool) // may be nil
}

const (
	defaultAfter = 8 // two calls with three retries each
	defaultRest  = 3 * time.Second
)

// errOpen is what a store that is away says without being asked.
var errOpen = fmt.Errorf("it has failed again and again and is left alone for a while: %w", ErrUnavailable)

// Breaker leaves a store alone for a while when its calls have failed with
// ErrUnavailable again and again; then one call finds out whether it is back. So
// requests for what lies there are refused at once, or go to another store, and
// do not pile up (circuit breaker; Nygard, Release It!).
func Breaker(s Store, b Breaking) Store {
	if b.After == 0 {
		b.After = defaultAfter
	}
	if b.Rest <= 0 {
		b.Rest = defaultRest
	}
	st := gobreaker.Settings{
		Timeout:      b.Rest,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= b.After },
		IsSuccessful: func(err error) bool { return !errors.Is(err, ErrUnavailable) },
		IsExcluded: func(err error) bool {
			return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
		},
	}
	if b.Change != nil {
		st.OnStateChange = func(_ string, _, to gobreaker.State) { b.Change(to != gobreaker.StateClosed) }
	}
	return broken{s, gobreaker.NewTwoStepCircuitBreaker[struct{}](st)}
}

type broken struct {
	Store
	cb *gobreaker.TwoStepCircuitBreaker[struct{}]
}

func (b broken) Unwrap() Store { return b.Store }

// guarded runs a call unless the store is away.
func guarded[T any](b broken, fn func() (T, error)) (T, error) {
	done, err := b.cb.Allow()
	if err != nil {
		var none T
		return none, errOpen
	}
	v, err := fn()
	done(err)
	return v, err
}

func (b broken) Stat(ctx context.Context, at Locator) (Info, error) {
	return guarded(b, func() (Info, error) { return b.Store.Stat(ctx, at) })
}

func (b broken) Delete(ctx context.Context, at Locator) error {
	_, err := guarded(b, func() (struct{}, error) { return struct{}{}, b.Store.Delete(ctx, at) })
	return err
}

func (b broken) Create(ctx context.Context, key string, size int64) (Writer, error) {
	return guarded(b, func() (Writer, error) { return b.Store.Create(ctx, key, size) })
}

// Open counts when the reading is over: a store that stops in the middle has
// failed as well.
func (b broken) Open(ctx context.Context, at Locator, validator string, off, n int64) (io.ReadCloser, error) {
	done, err := b.cb.Allow()
	if err != nil {
		return nil, errOpen
	}
	r, err := b.Store.Open(ctx, at, validator, off, n)
	if err != nil {
		done(err)
		return nil, err
	}
	return &brokenReader{ReadCloser: r, done: done}, nil
}

// brokenReader tells the breaker how a read went, once. Read and Close may be
// called at the same time.
type brokenReader struct {
	io.ReadCloser
	told atomic.Bool
	done func(error)
}

func (r *brokenReader) tell(err error) {
	if r.told.CompareAndSwap(false, true) {
		r.done(err)
	}
}

func (r *brokenReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	switch {
	case errors.Is(err, ErrUnavailable):
		r.tell(err)
	case err != nil:
		r.tell(nil)
	}
	return n, err
}

func (r *brokenReader) Close() error {
	r.tell(nil)
	return r.ReadCloser.Close()
}
