package registry

import (
	"context"
	"time"
)

type staleKey struct{}

// NoteStale returns a context under which a Get that answers with a record whose
// lease has run out, for the database is away, calls fn with the time since then.
// fn is called before Get returns, from the same goroutine.
func NoteStale(ctx context.Context, fn func(age time.Duration)) context.Context {
	return context.WithValue(ctx, staleKey{}, fn)
}

func noteStale(ctx context.Context, age time.Duration) {
	if fn, ok := ctx.Value(staleKey{}).(func(time.Duration)); ok {
		fn(age)
	}
}
