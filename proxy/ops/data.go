package ops

import (
	"context"
	"errors"
	"io"
	"strconv"

	"glimpse/backends"
	"glimpse/cachestore/chunk"
	"glimpse/registry/image"
)

// Data is an image's bytes, found but not opened.
type Data struct {
	Size int64
	// ETag is a strong entity tag with its quotes; "" while no hash is known.
	ETag string

	s    *Service
	m    image.Image
	t    target
	rest []image.Location // where the bytes may be had else
}

// Data finds an image's bytes, in the heaviest store that has them, but first in
// the stores that are preferred, in their order. ErrNoData says that there are
// none to send: no location, or no store has them any more.
func (s *Service) Data(ctx context.Context, m image.Image, prefer ...string) (Data, error) {
	if m.Status != image.Active && m.Status != image.Deactivated || len(m.Locations) == 0 {
		return Data{}, ErrNoData
	}
	d := Data{s: s, m: m, ETag: etag(m)}
	if m.Size != nil && *m.Size == 0 {
		return d, nil
	}
	t, rest, err := s.resolve(ctx, m, s.places(m, prefer...))
	if errors.Is(err, backends.ErrNotFound) {
		return Data{}, ErrNoData
	}
	if err != nil {
		return Data{}, err
	}
	d.t, d.rest, d.Size = t, rest, t.object.Size
	return d, nil
}

// etag is the hash in the record, or else the checksum: the bytes of an active
// image never change under one of them.
func etag(m image.Image) string {
	switch {
	case m.HashValue != nil && *m.HashValue != "":
		return strconv.Quote(*m.HashValue)
	case m.Checksum != nil && *m.Checksum != "":
		return strconv.Quote(*m.Checksum)
	}
	return ""
}

// Open reads n bytes from off. As long as none was read, a location that can't
// give them is left for the next one.
func (d Data) Open(ctx context.Context, off, n int64) (chunk.Body, error) {
	if off < 0 || n < 0 || off+n > d.Size {
		return nil, kinded(chunk.ErrRange)
	}
	if n == 0 {
		return emptyBody{}, nil
	}
	t, rest := d.t, d.rest
	last := error(ErrNoData)
	for {
		// Chunks that were kept before a restart are folded too.
		d.s.Filled(t.object, d.s.cfg.Geometry.Count(d.Size)-1)
		b, err := d.s.cfg.Cache.Open(ctx, t.object, off, n)
		if err == nil {
			return b, nil
		}
		last = graver(last, err)
		if ctx.Err() != nil {
			return nil, noDataOr(last)
		}
		if t, rest, err = d.another(ctx, t, rest); err != nil {
			return nil, noDataOr(graver(last, err))
		}
	}
}

// another finds the next place that has as many bytes, under a name that was not
// tried yet.
func (d Data) another(ctx context.Context, t target, rest []image.Location) (target, []image.Location, error) {
	for {
		next, left, err := d.s.resolve(ctx, d.m, rest)
		if err != nil || next.object.Size == d.Size && next.object.Key != t.object.Key {
			return next, left, err
		}
		rest = left
	}
}

func noDataOr(err error) error {
	if missing(err) {
		return ErrNoData
	}
	return kinded(err)
}

type emptyBody struct{}

func (emptyBody) Read([]byte) (int, error)         { return 0, io.EOF }
func (emptyBody) WriteTo(io.Writer) (int64, error) { return 0, nil }
func (emptyBody) Close() error                     { return nil }
