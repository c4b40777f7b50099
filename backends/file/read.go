package file

import (
	"context"
	"fmt"
	"io"
	"os"

	"glimpse/backends"
)

// Open reads from the file and, with a validator, checks at the start and at the
// end that it is still the version that was pinned.
func (s *Store) Open(ctx context.Context, at backends.Locator, want string, off, n int64) (io.ReadCloser, error) {
	d, name, err := s.find(at)
	if err != nil {
		return nil, err
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, d.translate(err)
	}
	r, err := newReader(ctx, f, want, off, n)
	if err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

func newReader(ctx context.Context, f *os.File, want string, off, n int64) (*reader, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, translate(err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("file: not a regular file: %w", backends.ErrNotFound)
	}
	if want != "" && validator(st) != want {
		return nil, fmt.Errorf("file: %w", backends.ErrChanged)
	}
	if n < 0 {
		n = max(0, st.Size()-off)
	}
	return &reader{ctx: ctx, f: f, want: want, off: off, left: n}, nil
}

// reader reads by offset. A read that blocks in the kernel can't be ended; ctx
// is looked at between reads.
type reader struct {
	ctx  context.Context
	f    *os.File
	want string
	off  int64
	left int64
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.left == 0 {
		return 0, io.EOF
	}
	k, err := r.f.ReadAt(p[:min(int64(len(p)), r.left)], r.off)
	r.off += int64(k)
	r.left -= int64(k)
	if r.left == 0 || err != nil {
		if cerr := r.unchanged(); cerr != nil {
			return 0, cerr
		}
	}
	if err == io.EOF && r.left > 0 {
		return k, io.ErrUnexpectedEOF
	}
	if err == io.EOF {
		err = nil
	}
	return k, translate(err)
}

// unchanged says whether the file is still the version that was pinned. The
// bytes of the last read are not given out before it says so.
func (r *reader) unchanged() error {
	if r.want == "" {
		return nil
	}
	st, err := r.f.Stat()
	if err != nil {
		return translate(err)
	}
	if validator(st) != r.want {
		return fmt.Errorf("file: %w", backends.ErrChanged)
	}
	return nil
}

func (r *reader) Close() error { return r.f.Close() }
