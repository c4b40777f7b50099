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

	s *Service
	t target
}

// Data finds an image's bytes. ErrNoData says that there are none to send: no
// location, or the store no longer has them.
func (s *Service) Data(ctx context.Context, m image.Image) (Data, error) {
	if m.Status != image.Active && m.Status != image.Deactivated || len(m.Locations) == 0 {
		return Data{}, ErrNoData
	}
	d := Data{s: s, ETag: etag(m)}
	if m.Size != nil && *m.Size == 0 {
		return d, nil
	}
	t, err := s.resolve(ctx, m)
	if errors.Is(err, backends.ErrNotFound) {
		return Data{}, ErrNoData
	}
	if err != nil {
		return Data{}, err
	}
	d.t, d.Size = t, t.object.Size
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

// Open reads n bytes from off.
func (d Data) Open(ctx context.Context, off, n int64) (chunk.Body, error) {
	if off < 0 || n < 0 || off+n > d.Size {
		return nil, kinded(chunk.ErrRange)
	}
	if n == 0 {
		return emptyBody{}, nil
	}
	// Chunks that were kept before a restart are folded too.
	d.s.Filled(d.t.object, d.s.cfg.Geometry.Count(d.Size)-1)
	b, err := d.s.cfg.Cache.Open(ctx, d.t.object, off, n)
	if errors.Is(err, backends.ErrNotFound) {
		return nil, ErrNoData
	}
	return b, kinded(err)
}

type emptyBody struct{}

func (emptyBody) Read([]byte) (int, error)         { return 0, io.EOF }
func (emptyBody) WriteTo(io.Writer) (int64, error) { return 0, nil }
func (emptyBody) Close() error                     { return nil }
