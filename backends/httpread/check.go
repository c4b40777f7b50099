package httpread

import (
	"errors"
	"fmt"
	"io"
)

// Checked is a body of which so many bytes are wanted, of one version.
type Checked struct {
	io.Closer
	driver string
	body   io.Reader
	left   int64 // -1: to the end
	same   func() error
	ended  error
}

// Check reads n bytes of body, -1 for all. A body that is short of them ends with
// io.ErrUnexpectedEOF under the driver's name. same says whether the object is
// still the one that was asked for.
func Check(driver string, body io.ReadCloser, n int64, same func() error) *Checked {
	return &Checked{Closer: body, driver: driver, body: body, left: n, same: same}
}

// Read asks same before it gives the last bytes: a server that reads from a file
// sends the bytes that are there when their turn comes. Callers who know how much
// there is never ask for the end itself.
func (r *Checked) Read(p []byte) (int, error) {
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
		if serr := r.same(); serr != nil {
			r.ended = serr
			return 0, serr
		}
		if n > 0 {
			return n, nil
		}
		return 0, io.EOF
	case errors.Is(err, io.EOF):
		r.ended = fmt.Errorf("%s: %w", r.driver, io.ErrUnexpectedEOF)
	case err != nil:
		r.ended = err
	}
	return n, r.ended
}
