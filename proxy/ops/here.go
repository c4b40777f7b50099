package ops

import (
	"context"

	"glimpse/cachestore/chunk"
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
		o.MemoryOnly = t.object.MemoryOnly
		return o
	}
	m, err := s.cfg.Images.Get(ctx, id)
	if err != nil {
		return o
	}
	for _, l := range m.Locations {
		if st := s.storeOf(l); l.ID == location && st != nil {
			o.MemoryOnly = st.MemoryOnly
		}
	}
	return o
}
