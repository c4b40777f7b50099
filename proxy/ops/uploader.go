package ops

import (
	"context"

	"glimpse/cachestore/chunk"
)

// Uploader returns the node through which an object's image got its bytes; ""
// where it got them otherwise.
func (s *Service) Uploader(ctx context.Context, o chunk.Object) (node string, err error) {
	id, _, err := parseRef(o.Ref)
	if err != nil {
		return "", err
	}
	return s.cfg.Registry.Uploader(ctx, id)
}

// Fresh is an image's bytes as caches know them; ErrNoData where there are none.
func (s *Service) Fresh(ctx context.Context, imageID string) (chunk.Object, error) {
	m, err := s.cfg.Images.Get(ctx, imageID)
	if err != nil {
		return chunk.Object{}, err
	}
	d, err := s.Data(ctx, m)
	switch {
	case err != nil:
		return chunk.Object{}, err
	case d.Size <= 0:
		return chunk.Object{}, ErrNoData
	}
	return d.t.object, nil
}
