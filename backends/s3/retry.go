package s3

import (
	"context"
	"errors"
	"time"

	"glimpse/backends"

	"github.com/cenkalti/backoff/v5"
)

// maxPatience is how long an upload waits because the server asked for it.
const maxPatience = time.Minute

// again makes a request of an upload until it ends with something else than
// ErrUnavailable, as often as the configuration says.
func (s *Store) again(ctx context.Context, request func() error) error {
	var last error
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		last = request()
		after := backends.BusyFor(last)
		switch {
		case last == nil:
			return struct{}{}, nil
		case !errors.Is(last, backends.ErrUnavailable) || errors.Is(last, errNoBucket) || after > maxPatience:
			return struct{}{}, backoff.Permanent(last)
		case after > 0:
			return struct{}{}, &backoff.RetryAfterError{Duration: after}
		}
		return struct{}{}, last
	}, backoff.WithMaxTries(uint(max(s.c.Retries, 0))+1), backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: 100 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: 10 * time.Second,
	}))
	switch {
	case err == nil:
		return nil
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	}
	return last
}
