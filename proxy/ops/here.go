package ops

import (
	"context"
	"errors"

	"glimpse/cachestore/chunk"
	"glimpse/registry/image"
)

// Here is an object that another node asks for as this node treats it: whether it
// is for the disk is said by this node's own stores. What can't be found out is
// left as it is.
func (s *Service) Here(ctx context.Context, o chunk.Object) chunk.Object {
	id, location, err := parseRef(o.Ref)
	if err != nil {
		return o
	}
	if t, ok := s.known.get(location); ok {
		return like(o, t.object)
	}
	m, err := s.cfg.Images.Get(ctx, id)
	if err != nil {
		return o
	}
	for _, l := range m.Locations {
		if st := s.storeOf(l); l.ID == location && st != nil {
			if seen, err := s.as(ctx, st, l); err == nil {
				return like(o, seen)
			}
		}
	}
	return o
}

// like gives an object what each node finds out itself.
func like(o, seen chunk.Object) chunk.Object {
	o.MemoryOnly, o.Zone, o.Node = seen.MemoryOnly, seen.Zone, seen.Node
	return o
}

// Current says whether an object is still asked for by its name. A private key is
// not when its image or location is gone, or its bytes have been hashed or found bad
// since. What can't be found out now is.
func (s *Service) Current(ctx context.Context, o chunk.Object) bool {
	if o.Key.Content() {
		return true
	}
	_, t, err := s.find(ctx, o)
	switch {
	case err == nil:
		return t.object.Key == o.Key
	case errors.Is(err, chunk.ErrChanged), errors.Is(err, chunk.ErrNotFound), errors.Is(err, errBad):
		return false
	}
	return image.KindOf(err) != image.NotFound
}
