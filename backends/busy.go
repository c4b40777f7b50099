package backends

import (
	"errors"
	"time"
)

// Busy says that a store is away, and when it wants to be asked again: what a
// server tells by Retry-After.
func Busy(after time.Duration, err error) error { return &busy{after, err} }

// BusyFor returns the time of the first Busy in err's chain, 0 where there is none.
func BusyFor(err error) time.Duration {
	var b *busy
	if errors.As(err, &b) {
		return b.after
	}
	return 0
}

type busy struct {
	after time.Duration
	err   error
}

func (b *busy) Error() string   { return b.err.Error() }
func (b *busy) Unwrap() []error { return []error{ErrUnavailable, b.err} }
