package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"glimpse/backends"
)

var errStalled = fmt.Errorf("http: the server has stopped sending: %w", backends.ErrUnavailable)

// watched is a body whose server may not be silent for longer than limit while
// somebody waits for its bytes. How long its reader takes is another matter.
type watched struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	body   io.ReadCloser
	limit  time.Duration
	silent *time.Timer
}

func newWatched(ctx context.Context, cancel context.CancelCauseFunc, body io.ReadCloser, limit time.Duration) *watched {
	w := &watched{ctx: ctx, cancel: cancel, body: body, limit: limit}
	w.silent = time.AfterFunc(limit, func() { cancel(errStalled) })
	w.silent.Stop()
	return w
}

// Read ends with io.EOF only where the body is as long as its header said.
func (w *watched) Read(p []byte) (int, error) {
	w.silent.Reset(w.limit)
	n, err := w.body.Read(p)
	w.silent.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		err = translate(w.ctx, err)
	}
	return n, err
}

// Close ends the answer.
func (w *watched) Close() error {
	w.silent.Stop()
	w.cancel(context.Canceled)
	return w.body.Close()
}
