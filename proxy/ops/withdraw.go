package ops

import (
	"context"
	"errors"
	"slices"

	"glimpse/backends"
	"glimpse/registry"
	"glimpse/registry/image"
)

// Withdraw removes an image's copy from one store: the location goes first, in a
// transaction that proves that another one stays, and then the bytes, so that no
// location ever names bytes that are gone. It refuses when no other copy can be
// had. The caller has checked who may.
func (s *Service) Withdraw(ctx context.Context, m image.Image, store string) error {
	st := s.stores[store]
	if st == nil {
		return image.Errorf(image.Conflict, "The selected store %.64s is not available on this node.", store)
	}
	m, err := s.cfg.Registry.Get(ctx, m.ID) // not the leased record: a copy may be new
	if err != nil {
		return err
	}
	l, err := s.withdrawable(m, st)
	if err != nil {
		return err
	}
	stays, err := s.otherCopy(ctx, m, l)
	if err != nil {
		return err
	}
	// A store that is away is found out before anything is changed.
	if _, err := st.Backend.Stat(ctx, backends.Locator(l.URL.Reveal())); err != nil && !errors.Is(err, backends.ErrNotFound) {
		return unavailable(err)
	}
	known := s.knowledge(ctx, l)
	m, err = s.cfg.Registry.Update(ctx, m.ID, func(m *image.Image) error { return unlist(m, l.ID, stays) })
	if err != nil {
		return err
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	err = s.erase(after, m, l)
	if errors.Is(err, backends.ErrInUse) {
		s.putBack(after, m, l, known)
		return image.Wrap(image.Conflict, err, "The image's data could not be deleted because it is in use.")
	}
	if err != nil { // as when an image is deleted
		s.cfg.Log.Error("the bytes of a location that was removed are left in their store", "image", m.ID, "store", st.ID, "error", err)
	}
	return nil
}

// withdrawable finds the location in the store, by Glance's rules and in its
// order.
func (s *Service) withdrawable(m image.Image, st *Store) (image.Location, error) {
	if m.Status != image.Active {
		return image.Location{}, image.Errorf(image.Conflict, "It's not allowed to remove image data from store if image status is not 'active'")
	}
	if len(m.Locations) < 2 {
		return image.Location{}, errLast
	}
	for _, l := range m.Locations {
		if readable(l) && s.storeOf(l) == st {
			return l, nil
		}
	}
	return image.Location{}, image.Errorf(image.NotFound, "Image %s is not stored in store %s.", m.ID, st.ID)
}

var errLast = image.Errorf(image.Forbidden, "Cannot delete image data from the only store containing it. Consider deleting the image instead.")

// otherCopy returns a location, other than l, whose bytes are there.
func (s *Service) otherCopy(ctx context.Context, m image.Image, l image.Location) (id int64, err error) {
	last := error(errLast)
	for _, o := range s.places(m) {
		if o.ID == l.ID || o.URL == l.URL {
			continue
		}
		t, err := s.target(ctx, m, o)
		if err == nil {
			var info backends.Info
			info, err = t.store.Backend.Stat(ctx, t.at)
			if err = s.missingHere(t.store, err); err == nil && (info.Size < 0 || info.Size == t.object.Size) {
				return o.ID, nil
			}
		}
		if err != nil && !missing(err) && !errors.Is(err, errBad) {
			last = unavailable(err)
		}
	}
	return 0, last
}

// unlist takes a location off a record, if the one that stays is still there.
func unlist(m *image.Image, location, stays int64) error {
	has := func(id int64) bool {
		return slices.ContainsFunc(m.Locations, func(l image.Location) bool { return l.ID == id && readable(l) })
	}
	if m.Status != image.Active || !has(location) || !has(stays) {
		return image.Errorf(image.Conflict, "The image has changed meanwhile: try again.")
	}
	m.Locations = slices.DeleteFunc(m.Locations, func(l image.Location) bool { return l.ID == location })
	return nil
}

// knowledge is what is filed about a location's bytes.
type knowledge struct {
	pin    registry.Pin
	pinned bool
	hash   registry.Content
	hashed bool
}

// knowledge that can't be had is found out again at the next contact.
func (s *Service) knowledge(ctx context.Context, l image.Location) (k knowledge) {
	k.pin, k.pinned, _ = s.cfg.Registry.Pinned(ctx, l.ID)
	k.hash, k.hashed, _ = s.cfg.Registry.Content(ctx, l.ID)
	return k
}

// putBack makes a location again whose bytes could not be removed. It is a new
// row, to which what was known of the old one is carried over.
func (s *Service) putBack(ctx context.Context, m image.Image, l image.Location, k knowledge) {
	back := l
	back.ID = 0
	m, err := s.cfg.Registry.Update(ctx, m.ID, func(m *image.Image) error {
		m.Locations = append(m.Locations, back)
		return nil
	})
	if err != nil {
		s.cfg.Log.Error("a location whose bytes are in use could not be put back", "image", m.ID, "store", l.Metadata[storeKey], "error", err)
		return
	}
	for _, n := range m.Locations {
		if n.URL != l.URL {
			continue
		}
		if k.pinned {
			k.pin.LocationID = n.ID
			_, err = s.cfg.Registry.Pin(ctx, k.pin)
		}
		if err == nil && k.hashed {
			k.hash.LocationID = n.ID
			err = s.cfg.Registry.PutContent(ctx, k.hash, nil)
		}
		if err != nil {
			s.cfg.Log.Warn("what was known of a location is to be found out again", "image", m.ID, "error", err)
		}
	}
}
