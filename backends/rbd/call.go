//go:build ceph

package rbd

import (
	"context"
	"errors"

	"glimpse/backends"
)

var errClosed = errors.New("rbd: the store is closed")

// begin counts a call that Close waits for.
func (s *Store) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	s.calls.Add(1)
	return nil
}

// blocking runs fn, which blocks in librbd, on a goroutine of its own and returns
// when it has ended, or at once when ctx is done. What fn gives after that goes to
// late, unless it is an error.
func blocking[T any](ctx context.Context, s *Store, fn func() (T, error), late func(T)) (T, error) {
	type result struct {
		v   T
		err error
	}
	var none T
	if err := ctx.Err(); err != nil {
		return none, context.Cause(ctx)
	}
	if err := s.begin(); err != nil {
		return none, err
	}
	done := make(chan result)
	go func() {
		defer s.calls.Done()
		v, err := fn()
		select {
		case done <- result{v, translate(err)}:
		case <-ctx.Done():
			if err == nil && late != nil {
				late(v)
			}
		}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}

// on is blocking for a call on the pool of a locator, which is closed afterwards.
func on[T any](ctx context.Context, s *Store, at backends.Locator, fn func(*handle, place) (T, error)) (T, error) {
	return blocking(ctx, s, func() (v T, err error) {
		h, p, err := s.reach(ctx, at)
		if err != nil {
			return v, err
		}
		defer func() { _ = h.close() }() // nothing is written that it could tell of
		v, err = fn(h, p)
		s.noteFailure(h.c, err)
		return v, err
	}, nil)
}
