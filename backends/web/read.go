package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

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
	r := &reader{s: s, at: at, validator: validator, left: n, body: newWatched(ctx, cancel, resp.Body, s.timeout)}
	if err := r.begin(resp, off); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

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
	at        backends.Locator
	validator string
	body      *watched
	left      int64 // -1: to the end
	ended     error
}

// begin checks that the answer is the range, from the version asked for, and
// drops what a server without ranges sends before off.
func (r *reader) begin(resp *http.Response, off int64) error {
	size, first := resp.ContentLength, int64(0)
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusPartialContent:
		var err error
		if first, size, err = contentRange(resp); err != nil {
			return err
		}
		if first != off {
			return errRange
		}
	default:
		return statusError(resp)
	}
	if v := versionOf(resp, size).String(); r.validator != "" && v != r.validator {
		return fmt.Errorf("http: %w", backends.ErrChanged)
	}
	if _, err := io.CopyN(io.Discard, r.body, off-first); err != nil {
		return short(err)
	}
	return nil
}

func short(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("http: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// Read checks before it gives the last bytes that the object is still the same: a
// server that reads from a file sends the bytes that are there when their turn
// comes. Callers who know how much there is never ask for the end itself.
func (r *reader) Read(p []byte) (int, error) {
	if r.ended != nil || len(p) == 0 {
		return 0, r.ended
	}
	if r.left > 0 && int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.body.Read(p)
	if r.left > 0 {
		r.left -= int64(n)
	}
	switch {
	case r.left == 0 || r.left < 0 && errors.Is(err, io.EOF):
		r.ended = io.EOF
		if serr := r.unchanged(); serr != nil {
			r.ended = serr
			return 0, serr
		}
		if n > 0 {
			return n, nil
		}
		return 0, io.EOF
	case err != nil:
		r.ended = short(err)
	}
	return n, r.ended
}

func (r *reader) unchanged() error {
	if r.validator == "" {
		return nil
	}
	return r.s.same(r.body.ctx, r.at, r.validator)
}

// Close ends the answer.
func (r *reader) Close() error { return r.body.Close() }
