package backends

import (
	"context"
	"io"
)

// Observer hears of what a store gives. Its fields may be nil; they are called
// from many goroutines.
type Observer struct {
	Opened func()                     // a read was opened
	Read   func(bytes int, p Purpose) // bytes came
	Failed func(op string, err error)
}

// Purpose says what a read is for.
type Purpose string

// The purposes.
const (
	ForFill  Purpose = "fill"
	ForAudit Purpose = "audit"
)

type purposeKey struct{}

// WithPurpose marks the reads made under ctx; unmarked ones are fills.
func WithPurpose(ctx context.Context, p Purpose) context.Context {
	return context.WithValue(ctx, purposeKey{}, p)
}

// Observe counts what s gives.
func Observe(s Store, o Observer) Store { return observed{s, o} }

type observed struct {
	Store
	o Observer
}

func (s observed) Unwrap() Store { return s.Store }

func (s observed) Open(ctx context.Context, at Locator, validator string, off, n int64) (io.ReadCloser, error) {
	r, err := s.Store.Open(ctx, at, validator, off, n)
	if err != nil {
		s.failed("open", err)
		return nil, err
	}
	if s.o.Opened != nil {
		s.o.Opened()
	}
	if s.o.Read == nil {
		return r, nil
	}
	p, ok := ctx.Value(purposeKey{}).(Purpose)
	if !ok {
		p = ForFill
	}
	return countedReader{r, s.o.Read, p}, nil
}

func (s observed) failed(op string, err error) {
	if s.o.Failed != nil {
		s.o.Failed(op, err)
	}
}

type countedReader struct {
	io.ReadCloser
	count   func(int, Purpose)
	purpose Purpose
}

func (r countedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if n > 0 {
		r.count(n, r.purpose)
	}
	return n, err
}
