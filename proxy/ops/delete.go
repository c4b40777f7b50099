package ops

import (
	"context"
	"errors"
	"fmt"

	"glimpse/backends"
	"glimpse/registry/image"
)

// Delete removes the record, then the bytes. The caller has checked who may. An
// upload under way finds its image gone and cleans up after itself. Bytes that
// can't be removed now are found by the reaper where an upload of ours made them;
// of others the log tells: so of those that came into use, as the parent of a
// volume, after they were asked about.
func (s *Service) Delete(ctx context.Context, m image.Image) error {
	if !m.Protected {
		for _, l := range m.Locations {
			if err := s.unused(ctx, m, l); err != nil {
				return err
			}
		}
	}
	gone, err := s.cfg.Registry.Update(ctx, m.ID, func(m *image.Image) error {
		if m.Protected {
			return image.Errorf(image.Forbidden, "Image %s is protected and cannot be deleted.", m.ID)
		}
		return m.SetStatus(image.Deleted)
	})
	if err != nil {
		return err
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	for _, l := range gone.Locations {
		s.forget(after, gone, l)
	}
	return nil
}

// unused refuses where the store would not remove what a location names. Where
// the store is away that can't be known; any other trouble with the location is no
// reason to keep the image.
func (s *Service) unused(ctx context.Context, m image.Image, l image.Location) error {
	st := s.storeOf(l)
	if st == nil || st.ReadOnly || !st.Backend.Caps().InUse {
		return nil
	}
	used, err := backends.InUse(ctx, st.Backend, backends.Locator(l.URL.Reveal()))
	switch {
	case used:
		return image.Errorf(image.Conflict, "Image %s could not be deleted because it is in use: its store has something that was made from it.", m.ID)
	case errors.Is(err, backends.ErrUnavailable), ctx.Err() != nil:
		return unavailable(err)
	}
	return nil
}

// forget removes what a deleted image's location holds, unless another image
// names the same bytes.
func (s *Service) forget(ctx context.Context, m image.Image, l image.Location) {
	if err := s.erase(ctx, m, l); err != nil {
		s.cfg.Log.Error("the bytes of a deleted image could not be removed", "image", m.ID, "location", l.ID, "error", err)
	}
}

// erase is forget for those who do something about an error.
func (s *Service) erase(ctx context.Context, m image.Image, l image.Location) error {
	if t, err := s.target(ctx, m, l); err == nil && !t.object.Key.Content() {
		s.cfg.Cache.Drop(t.object.Key) // content keys may be shared: they age
	}
	s.known.forget(l.ID)
	st := s.storeOf(l)
	if st != nil && st.Backend.Caps().ReadOnly {
		return nil
	}
	if named, err := s.cfg.Registry.Named(ctx, l.URL); err != nil || named {
		return err
	}
	ours := st != nil && !st.ReadOnly && s.near(st)
	if ours {
		other, err := s.elsewhere(ctx, st, l)
		if err != nil {
			return err
		}
		ours = !other
	}
	if !ours { // the reaper of a node that may remove it finds it
		left, err := s.cfg.Registry.Retire(ctx, m.ID, l.URL)
		if err != nil || left || st == nil || st.ReadOnly {
			return err
		}
	}
	return s.remove(ctx, st, backends.Locator(l.URL.Reveal()))
}

// remove deletes an object; one that is not there is no error.
func (s *Service) remove(ctx context.Context, st *Store, at backends.Locator) error {
	if err := st.Backend.Delete(ctx, at); err != nil && !errors.Is(err, backends.ErrNotFound) {
		return err
	}
	return nil
}

// DeleteLocator removes the bytes at a locator that the reaper found unused, and
// those on their way there.
func (s *Service) DeleteLocator(ctx context.Context, store string, at image.Secret) error {
	st := s.stores[store]
	if st == nil || st.ReadOnly {
		return fmt.Errorf("ops: there is no store %q that may be written to", store)
	}
	// What is half done first: afterwards nobody can commit it any more.
	if st.Backend.Caps().Pending {
		if err := st.Backend.Abort(ctx, backends.Locator(at.Reveal())); err != nil {
			return err
		}
	}
	return s.remove(ctx, st, backends.Locator(at.Reveal()))
}
