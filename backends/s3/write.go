package s3

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"glimpse/backends"
)

// Create prepares an upload; the server hears of it with the first Write.
func (s *Store) Create(ctx context.Context, key string, size int64) (backends.Writer, error) {
	if key == "" || len(key) > 200 || strings.HasPrefix(key, ".") || strings.ContainsFunc(key, func(r rune) bool {
		return !strings.ContainsRune("-_.", r) && (r|0x20 < 'a' || r|0x20 > 'z') && (r < '0' || r > '9')
	}) {
		return nil, errors.New("s3: not a key")
	}
	return &writer{s: s, ctx: ctx, key: key, size: size, plan: planFor(s.c.PartSize, size)}, nil
}

var _ backends.PartWriter = (*writer)(nil)

type writer struct {
	s      *Store
	ctx    context.Context // of the Writes
	key    string
	size   int64
	n      int64 // bytes in parts
	held   int64 // bytes in gather
	plan   plan
	gather backends.Gather
	up     *upload // nil before the first Write
	last   bool    // a part was short
	done   bool
	failed error
}

// start begins the upload, if that is still to be done. A key that is taken is
// found here, before any byte is sent.
func (w *writer) start(ctx context.Context) error {
	if w.done && w.failed == nil {
		return errors.New("s3: already ended")
	}
	if w.up != nil || w.failed != nil {
		return w.failed
	}
	w.failed = w.s.again(ctx, func() error {
		_, err := w.s.head(ctx, w.s.own(w.key))
		switch {
		case err == nil:
			return fmt.Errorf("s3: %w", backends.ErrExists)
		case errors.Is(err, backends.ErrNotFound):
			return nil
		}
		return err
	})
	if w.failed == nil {
		var up *upload
		if up, w.failed = w.s.begin(ctx, w.key); up.id != "" {
			w.up = up
		}
	}
	return w.failed
}

// PartSize is the next part's.
func (w *writer) PartSize() int64 {
	n := 0
	if w.up != nil {
		n = len(w.up.done)
	}
	return w.plan.part(n)
}

// Write gathers parts.
func (w *writer) Write(p []byte) (int, error) {
	if err := w.start(w.ctx); err != nil {
		return 0, err
	}
	if err := w.room(w.held + int64(len(p))); err != nil {
		return 0, err
	}
	before := w.n
	n, err := w.gather.Write(w, p)
	w.held += int64(n) - (w.n - before)
	return n, err
}

// room fails where more bytes come than were announced.
func (w *writer) room(more int64) error {
	if w.size >= 0 && w.n+more > w.size {
		w.failed = fmt.Errorf("s3: more than the %d bytes announced", w.size)
	}
	return w.failed
}

// WritePart sends one part.
func (w *writer) WritePart(bufs ...[]byte) error { return w.part(w.ctx, bufs) }

func (w *writer) part(ctx context.Context, bufs [][]byte) error {
	if err := w.start(ctx); err != nil {
		return err
	}
	var n int64
	for _, b := range bufs {
		n += int64(len(b))
	}
	if n == 0 {
		return nil
	}
	if err := w.room(n); err != nil {
		return err
	}
	switch size := w.PartSize(); {
	case w.last:
		w.failed = errors.New("s3: a part after the last one")
	case n > size:
		w.failed = fmt.Errorf("s3: a part of %d bytes where %d are wanted", n, size)
	default:
		w.last = n < size
		if w.failed = w.up.part(ctx, bufs); w.failed == nil {
			w.n += n
		}
	}
	return w.failed
}

// flushing is a writer whose parts are bounded by Commit's context.
type flushing struct {
	*writer
	ctx context.Context
}

func (f flushing) WritePart(bufs ...[]byte) error { return f.part(f.ctx, bufs) }

// Locator is where the object will be.
func (w *writer) Locator() backends.Locator { return w.s.locator(w.key) }

// Commit has the object made of its parts.
func (w *writer) Commit(ctx context.Context) (backends.Locator, error) {
	switch {
	case w.failed != nil:
		return "", w.failed
	case w.done:
		return "", errors.New("s3: already ended")
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	}
	if err := w.start(ctx); err != nil {
		return "", err
	}
	if err := w.gather.Flush(flushing{w, ctx}); err != nil {
		return "", err
	}
	if w.size >= 0 && w.n != w.size {
		return "", fmt.Errorf("s3: %d bytes written, %d announced", w.n, w.size)
	}
	end := w.up.finish
	if len(w.up.done) == 0 {
		end = w.up.empty
	}
	if err := end(ctx); err != nil {
		return "", err
	}
	w.done = true
	return w.Locator(), nil
}

// Cancel ends the upload, under a context of its own: the Writes' may be over.
func (w *writer) Cancel() error {
	if w.done {
		return nil
	}
	w.done = true
	if w.failed == nil {
		w.failed = errors.New("s3: already ended")
	}
	w.gather = backends.Gather{}
	if w.up == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), abortTimeout)
	defer cancel()
	if err := w.s.abort(ctx, w.key, w.up.id); err != nil && !errors.Is(err, errGone) {
		return err
	}
	return nil
}
