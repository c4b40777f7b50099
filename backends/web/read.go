package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"glimpse/backends"
)

// Open reads a range. From a server without ranges it reads all that comes
// before as well.
func (s *Store) Open(ctx context.Context, at backends.Locator, validator string, off, n int64) (io.ReadCloser, error) {
	if n == 0 {
		err := s.same(ctx, at, validator)
		return http.NoBody, err
	}
	h := http.Header{}
	if name, value := condition(validator); name != "" {
		h.Set(name, value)
	}
	switch {
	case n > 0:
		h.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	case off > 0:
		h.Set("Range", "bytes="+strconv.FormatInt(off, 10)+"-")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	resp, err := s.ask(ctx, http.MethodGet, at, h) //nolint:bodyclose // the reader closes it
	if err != nil {
		cancel(nil)
		return nil, err
	}
	r := &reader{s: s, ctx: ctx, cancel: cancel, body: resp.Body, at: at, validator: validator, left: n}
	if err := r.begin(resp, off); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	r.idle = time.AfterFunc(s.timeout, func() { cancel(errStalled) })
	if err := r.skip(resp, off); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

var errStalled = fmt.Errorf("http: the server has stopped sending: %w", backends.ErrUnavailable)

// same fails where the object is another version than the validator's.
func (s *Store) same(ctx context.Context, at backends.Locator, validator string) error {
	info, err := s.Stat(ctx, at)
	if err == nil && validator != "" && info.Validator != validator {
		err = fmt.Errorf("http: %w", backends.ErrChanged)
	}
	return err
}

// reader is one answer's body.
type reader struct {
	s         *Store
	ctx       context.Context
	cancel    context.CancelCauseFunc
	body      io.ReadCloser
	idle      *time.Timer
	at        backends.Locator
	validator string
	left      int64 // -1: to the end
	ended     error
}

// begin checks that the answer is the range, from the version asked for.
func (r *reader) begin(resp *http.Response, off int64) error {
	size := resp.ContentLength
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusPartialContent:
		first, total, err := contentRange(resp)
		if err != nil {
			return err
		}
		if first != off {
			return errRange
		}
		size = total
	default:
		return statusError(resp)
	}
	if v := versionOf(resp, size).String(); r.validator != "" && v != r.validator {
		return fmt.Errorf("http: %w", backends.ErrChanged)
	}
	return nil
}

// skip drops what a server without ranges sends before off.
func (r *reader) skip(resp *http.Response, off int64) error {
	if resp.StatusCode != http.StatusOK || off == 0 {
		return nil
	}
	left := r.left
	r.left = off
	_, err := io.Copy(io.Discard, readerOnly{r.more})
	r.left = left
	return err
}

type readerOnly struct{ read func([]byte) (int, error) }

func (r readerOnly) Read(p []byte) (int, error) { return r.read(p) }

// more reads up to left bytes; io.EOF comes only after all of them.
func (r *reader) more(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if r.left > 0 && int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.body.Read(p)
	r.idle.Reset(r.s.timeout)
	if r.left > 0 {
		r.left -= int64(n)
	}
	switch {
	case err == nil || errors.Is(err, io.EOF) && r.left <= 0:
		if r.left == 0 {
			err = nil // the next call says so
		}
		return n, err
	case errors.Is(err, io.EOF):
		return n, fmt.Errorf("http: %w", io.ErrUnexpectedEOF)
	}
	return n, translate(r.ctx, err)
}

// Read checks at the end that the object is still the same: a server that reads
// from a file sends the bytes that are there when their turn comes.
func (r *reader) Read(p []byte) (int, error) {
	if r.ended != nil {
		return 0, r.ended
	}
	n, err := r.more(p)
	if errors.Is(err, io.EOF) && r.validator != "" {
		r.idle.Stop()
		if serr := r.s.same(r.ctx, r.at, r.validator); serr != nil {
			err = serr
		}
	}
	if err != nil {
		r.ended = err
	}
	return n, err
}

// Close ends the answer.
func (r *reader) Close() error {
	if r.idle != nil {
		r.idle.Stop()
	}
	r.cancel(context.Canceled)
	return r.body.Close()
}
