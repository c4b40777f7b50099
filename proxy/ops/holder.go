package ops

import (
	"context"
	"errors"
	"io"

	"glimpse/backends"
	"glimpse/cachestore/chunk"
	"glimpse/registry"
	"glimpse/registry/image"
)

// A file store that is not shared is a folder of one node alone, under the same id
// on each of them. Who has an image's file is noted when it is written. It is asked
// for the bytes, and removes them.

// clustered says whether there are other nodes.
func (s *Service) clustered() bool { return s.cfg.Clustered }

// as is how this node treats what lies at a location of a store: whether it is for
// the disk, and who reads it. Another node's file is worth room on this one's disk.
func (s *Service) as(ctx context.Context, st *Store, l image.Location) (chunk.Object, error) {
	o := chunk.Object{MemoryOnly: st.MemoryOnly, Zone: st.Zone}
	at, err := s.holder(ctx, st, l)
	if err == nil && at != "" {
		o.Node = at
		o.MemoryOnly = st.Off || st.MemoryOnly && at == s.cfg.NodeID
	}
	return o, err
}

// holder returns the node that alone has a location's file; "" where all reach it,
// or nobody knows.
func (s *Service) holder(ctx context.Context, st *Store, l image.Location) (string, error) {
	if !st.Unshared || !s.clustered() {
		return "", nil
	}
	return s.cfg.Registry.Holder(ctx, l.ID)
}

// elsewhere says whether a location's file is another node's.
func (s *Service) elsewhere(ctx context.Context, st *Store, l image.Location) (bool, error) {
	at, err := s.holder(ctx, st, l)
	return at != "" && at != s.cfg.NodeID, err
}

// errElsewhere: it must not pass for an image without data.
var errElsewhere = image.Wrap(image.Unavailable, chunk.ErrUnresolved, "The image's file is not in this node's folder; it may be in another node's.")

// openHere opens a place, unless only another node can.
func (s *Service) openHere(ctx context.Context, p origin, o chunk.Object, off, n int64) (io.ReadCloser, error) {
	if p.object.Node != "" && p.object.Node != s.cfg.NodeID {
		return nil, errElsewhere
	}
	r, err := p.open(ctx, o, off, n)
	return r, s.missingHere(p.store, err)
}

// Elsewhere says whether the file at a location is in another node's folder, out of
// reach of this one.
func (s *Service) Elsewhere(ctx context.Context, l image.Location) (bool, error) {
	st := s.storeOf(l)
	if st == nil {
		return false, nil
	}
	return s.elsewhere(ctx, st, l)
}

// Reach tells a reaper which attempts' bytes this node can remove: those in stores
// that it may write to, and that are not for the nodes of another zone.
func (s *Service) Reach() registry.Reach {
	r := registry.Reach{Node: s.cfg.NodeID, Stores: []string{}}
	for _, st := range s.cfg.Stores {
		if st.ReadOnly || !s.near(&st) {
			continue
		}
		r.Stores = append(r.Stores, st.ID)
		if st.Unshared && s.clustered() {
			r.Own = append(r.Own, st.ID)
		}
	}
	return r
}

// near says whether this node is one of those that reach a store.
func (s *Service) near(st *Store) bool {
	if st.Unshared || s.cfg.Near == nil {
		return true
	}
	return s.cfg.Near(st.Zone)
}

// missingHere says of a file that is not in this node's folder that another node
// may have it.
func (s *Service) missingHere(st *Store, err error) error {
	if st.Unshared && s.clustered() && errors.Is(err, backends.ErrNotFound) {
		return errElsewhere
	}
	return err
}
