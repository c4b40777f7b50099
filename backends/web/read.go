package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"glimpse/backends"
	"glimpse/backends/httpread"
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
	body := httpread.Watch(ctx, cancel, resp.Body, s.timeout, translate)
	if err := begin(resp, body, validator, off); err != nil {
		return nil, errors.Join(err, body.Close())
	}
	return httpread.Check("http", body, n, func() error {
		if validator == "" {
			return nil
		}
		return s.same(ctx, at, validator)
	}), nil
}

// same fails where the object is another version than the validator's.
func (s *Store) same(ctx context.Context, at backends.Locator, validator string) error {
	info, err := s.Stat(ctx, at)
	if err == nil && validator != "" && info.Validator != validator {
		err = fmt.Errorf("http: %w", backends.ErrChanged)
	}
	return err
}

// begin checks that the answer is the range, from the version asked for, and
// drops from its body what a server without ranges sends before off.
func begin(resp *http.Response, body io.Reader, validator string, off int64) error {
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
	if v := versionOf(resp, size).String(); validator != "" && v != validator {
		return fmt.Errorf("http: %w", backends.ErrChanged)
	}
	_, err := io.CopyN(io.Discard, body, off-first)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("http: %w", io.ErrUnexpectedEOF)
	}
	return err
}
