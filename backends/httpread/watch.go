package httpread

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"glimpse/backends"
)

// ErrStalled is the cause with which a silent server's request is cancelled.
var ErrStalled = fmt.Errorf("the server has stopped sending: %w", backends.ErrUnavailable)

// Watched is a body whose server may not be silent for longer than limit while
// somebody waits for its bytes. How long its reader takes is another matter.
type Watched struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	body   io.ReadCloser
	limit  time.Duration
	fail   func(context.Context, error) error
	silent *time.Timer
}

// Watch watches the body of the request that ran under ctx, which cancel ends.
// fail makes the driver's error of one of the body.
func Watch(ctx context.Context, cancel context.CancelCauseFunc, body io.ReadCloser, limit time.Duration, fail func(context.Context, error) error) *Watched {
	w := &Watched{ctx: ctx, cancel: cancel, body: body, limit: limit, fail: fail}
	w.silent = time.AfterFunc(limit, func() { cancel(ErrStalled) })
	w.silent.Stop()
	return w
}

// Read ends with io.EOF only where the body is as long as its header said.
func (w *Watched) Read(p []byte) (int, error) {
	w.silent.Reset(w.limit)
	n, err := w.body.Read(p)
	w.silent.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		err = w.fail(w.ctx, err)
	}
	return n, err
}

// Close ends the answer.
func (w *Watched) Close() error {
	w.silent.Stop()
	w.cancel(context.Canceled)
	return w.body.Close()
}
