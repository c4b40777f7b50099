package mem

import (
	"context"
	"fmt"

	"glimpse/backends"
)

// Parted is the twin of stores that take objects in parts.
type Parted struct {
	*Store
	part int64
}

// doubling is after how many parts of one size the next ones are twice as large.
const doubling = 4

// NewParted returns an empty store whose first parts have part bytes.
func NewParted(id string, part int64) *Parted { return &Parted{New(id), part} }

// Caps are a Store's, and the size of a part.
func (s *Parted) Caps() backends.Caps {
	c := s.Store.Caps()
	c.PartSize = s.part
	return c
}

// Create begins an object.
func (s *Parted) Create(ctx context.Context, key string, size int64) (backends.Writer, error) {
	w, err := s.Store.Create(ctx, key, size)
	if err != nil {
		return nil, err
	}
	return &partWriter{Writer: w, part: s.part}, nil
}

type partWriter struct {
	backends.Writer
	gather backends.Gather
	part   int64
	parts  int
	last   bool
}

func (w *partWriter) PartSize() int64 { return w.part }

func (w *partWriter) Write(p []byte) (int, error) {
	if _, err := w.Writer.Write(nil); err != nil { // it is under way from now on
		return 0, err
	}
	return w.gather.Write(w, p)
}

// WritePart takes a part, and refuses one that follows a short one.
func (w *partWriter) WritePart(bufs ...[]byte) error {
	if w.last {
		return fmt.Errorf("mem: a part after the last one")
	}
	var n int64
	for _, b := range bufs {
		if _, err := w.Writer.Write(b); err != nil {
			return err
		}
		n += int64(len(b))
	}
	if n > w.part {
		return fmt.Errorf("mem: a part of %d bytes, not %d", n, w.part)
	}
	w.last = n < w.part
	if w.parts++; w.parts%doubling == 0 {
		w.part *= 2
	}
	return nil
}

func (w *partWriter) Commit(ctx context.Context) (backends.Locator, error) {
	if err := w.gather.Flush(w); err != nil {
		return "", err
	}
	return w.Writer.Commit(ctx)
}
