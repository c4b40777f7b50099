package ops

import (
	"context"
	"errors"
	"fmt"
	"io"

	"glimpse/backends"
	"glimpse/registry/image"
)

// Verdict is what reading all bytes of an image at one of its places has shown.
type Verdict struct {
	Missing     bool  // the store does not have it
	Bad         []int // chunks that are not those of the manifest
	HashDiffers bool  // the bytes do not give the hash in the record
	Unproven    bool  // nothing is known to compare them with
	Bytes       int64 // read
}

// Good says that all bytes are there and none is wrong.
func (v Verdict) Good() bool { return !v.Missing && len(v.Bad) == 0 && !v.HashDiffers }

// Verify reads an image from one of its locations and compares it with its
// digests. The reading counts as an audit. progress hears of every step; it may
// be nil. The error says that the bytes could not be read, not that they are bad.
func (s *Service) Verify(ctx context.Context, m image.Image, l image.Location, progress func(bytes int)) (Verdict, error) {
	t, err := s.lookUp(ctx, m, l, patient)
	if errors.Is(err, backends.ErrNotFound) {
		return Verdict{Missing: true}, nil
	}
	if errors.Is(err, errBad) {
		return Verdict{HashDiffers: true}, nil
	}
	if err != nil {
		return Verdict{}, err
	}
	p := s.newProof(m, t)
	n, err := s.readAll(ctx, t, io.MultiWriter(p, told(progress)))
	switch {
	case errors.Is(err, backends.ErrNotFound):
		return Verdict{Missing: true, Bytes: n}, nil
	case err != nil: // the hash of a part says nothing
		return Verdict{Bytes: n}, err
	}
	return p.conclude(ctx)
}

// told is a writer that only counts.
type told func(int)

func (f told) Write(b []byte) (int, error) {
	if f != nil {
		f(len(b))
	}
	return len(b), nil
}

// readAll copies all bytes from the origin to w.
func (s *Service) readAll(ctx context.Context, t target, w io.Writer) (int64, error) {
	ctx = backends.WithPurpose(ctx, backends.ForAudit)
	from := origin{target: t, validator: t.object.Validator}
	r, err := from.open(ctx, t.object, 0, t.object.Size)
	if errors.Is(err, backends.ErrChanged) && t.content { // its digests tell more than its time
		from.unpinned = true
		r, err = from.open(ctx, t.object, 0, t.object.Size)
	}
	if err != nil {
		return 0, fmt.Errorf("origin %s: %w", t.store.ID, err)
	}
	defer r.Close()
	buf := pieces.Get().(*[]byte)
	defer pieces.Put(buf)
	n, err := io.CopyBuffer(w, struct{ io.Reader }{io.LimitReader(r, t.object.Size)}, *buf)
	if err == nil && n != t.object.Size {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// In returns the locations of an image that lie in a store.
func (s *Service) In(m image.Image, store string) (list []image.Location) {
	for _, l := range m.Locations {
		if st := s.storeOf(l); st != nil && st.ID == store && readable(l) {
			list = append(list, l)
		}
	}
	return list
}
