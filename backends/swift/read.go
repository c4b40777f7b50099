package swift

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"glimpse/backends"
	"glimpse/backends/httpread"
)

// What our own objects say of themselves.
const (
	metaUpload = "X-Object-Meta-Glimpse-Upload"
	metaSize   = "X-Object-Meta-Glimpse-Size"
	headerDLO  = "X-Object-Manifest"
	headerSLO  = "X-Static-Large-Object"
)

// errListing: the server makes a large object out of a listing, which may lag.
var errListing = fmt.Errorf("swift: the server does not see all segments of the object: %w", backends.ErrUnavailable)

// info reads what the header of an answer says of an object that has size bytes.
func info(h http.Header, size int64) (backends.Info, error) {
	if want := h.Get(metaSize); want != "" && want != strconv.FormatInt(size, 10) {
		return backends.Info{}, errListing
	}
	tag := "e" + strings.Trim(h.Get("ETag"), `"`)
	if tag == "e" || size < 0 {
		tag = "t" + h.Get("X-Timestamp")
	}
	if tag == "t" || len(tag) > 200 {
		return backends.Info{Size: size}, nil
	}
	return backends.Info{Size: size, Validator: tag + " " + strconv.FormatInt(size, 10)}, nil
}

// Stat asks for the object's header.
func (s *Store) Stat(ctx context.Context, at backends.Locator) (backends.Info, error) {
	p, err := s.find(at)
	if err != nil {
		return backends.Info{}, err
	}
	_, i, err := s.head(ctx, p)
	return i, err
}

func (s *Store) head(ctx context.Context, p place) (http.Header, backends.Info, error) {
	h, err := s.ask(ctx, p, call{method: http.MethodHead, container: p.container, object: p.object})
	if err != nil {
		return nil, backends.Info{}, s.which(ctx, p, err)
	}
	size, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil || size < 0 {
		size = -1
	}
	i, err := info(h, size)
	return h, i, err
}

// which tells an object that is not there from a container that is not there: the
// latter is a matter of the configuration or of the account, and says nothing of
// the image. Containers of other tenants go with their image.
func (s *Store) which(ctx context.Context, p place, err error) error {
	if !errors.Is(err, backends.ErrNotFound) || p.storage != "" {
		return err
	}
	// Not by HEAD, to which Swift's answer has a body, left over on the connection.
	var page []entry
	cerr := s.fetch(ctx, p, call{method: http.MethodGet, container: p.container, query: url.Values{"format": {"json"}, "limit": {"1"}}}, pageBytes, &page)
	switch {
	case errors.Is(cerr, backends.ErrNotFound):
		return fmt.Errorf("swift: container %s does not exist: %w", p.container, backends.ErrUnavailable)
	case cerr != nil:
		return cerr
	}
	return err
}

// Open reads a range.
func (s *Store) Open(ctx context.Context, at backends.Locator, validator string, off, n int64) (io.ReadCloser, error) {
	p, err := s.find(at)
	if err != nil {
		return nil, err
	}
	same := func() error { return s.same(ctx, p, validator) }
	if n == 0 {
		return http.NoBody, same()
	}
	v := version{p, validator}
	if l := s.layout(v); l.has(off, n) {
		r, err := s.openSegments(ctx, v, l, off, n)
		if !errors.Is(err, backends.ErrChanged) && !errors.Is(err, backends.ErrNotFound) {
			return r, err
		}
		s.forget(v)
	}
	body, h, size, err := s.get(ctx, p, validator, off, n)
	if err != nil {
		return nil, err
	}
	if n > 0 {
		s.learn(ctx, v, h)
	}
	if n < 0 && size >= 0 {
		n = size - off
	}
	if n == 0 {
		body.Close()
		return http.NoBody, same()
	}
	if validator == "" {
		same = func() error { return nil }
	}
	return httpread.Check("swift", body, n, same), nil
}

// get begins to read a range, and returns the answer's header and the object's size,
// -1 where it is unknown.
func (s *Store) get(ctx context.Context, p place, validator string, off, n int64) (*httpread.Watched, http.Header, int64, error) {
	c := call{method: http.MethodGet, container: p.container, object: p.object, header: map[string]string{"Accept-Encoding": "identity"}}
	switch {
	case n > 0:
		c.header["Range"] = fmt.Sprintf("bytes=%d-%d", off, off+n-1)
	case off > 0:
		c.header["Range"] = fmt.Sprintf("bytes=%d-", off)
	}
	read, cancel := context.WithCancelCause(ctx)
	resp, err := s.send(read, p, c) //nolint:bodyclose // the reader closes it
	if err != nil {
		cancel(nil)
		return nil, nil, 0, err
	}
	body := httpread.Watch(read, cancel, resp.Body, s.c.Timeout, translate)
	size, err := begin(resp, validator, off, n)
	if err != nil {
		body.Close()
		return nil, nil, 0, s.which(ctx, p, err)
	}
	return body, resp.Header, size, nil
}

// same fails where the object is no longer the validator's.
func (s *Store) same(ctx context.Context, p place, validator string) error {
	_, i, err := s.head(ctx, p)
	if err == nil && validator != "" && i.Validator != validator {
		err = fmt.Errorf("swift: %w", backends.ErrChanged)
	}
	return err
}

// begin checks that the answer is the range that was asked for, of the validator's
// object, and returns the object's size, -1 where it is unknown.
func begin(resp *http.Response, validator string, off, n int64) (size int64, err error) {
	switch resp.StatusCode {
	case http.StatusOK:
		if off > 0 || n > 0 {
			return 0, fmt.Errorf("swift: %w", httpread.ErrRange)
		}
		size = resp.ContentLength
	case http.StatusPartialContent:
		var first int64
		first, size, err = httpread.ContentRange(resp.Header.Get("Content-Range"))
		if err != nil || first != off {
			return 0, fmt.Errorf("swift: %w", httpread.ErrRange)
		}
	case http.StatusRequestedRangeNotSatisfiable:
		if n < 0 && resp.Header.Get("Content-Range") == fmt.Sprintf("bytes */%d", off) {
			return off, nil // nothing follows
		}
		return 0, statusError(resp)
	default:
		if resp.StatusCode/100 == 2 {
			return 0, fmt.Errorf("swift: status %d", resp.StatusCode)
		}
		return 0, statusError(resp)
	}
	i, err := info(resp.Header, size)
	if err == nil && validator != "" && i.Validator != validator {
		err = fmt.Errorf("swift: %w", backends.ErrChanged)
	}
	return size, err
}
