package ops

import (
	"context"
	"errors"
	"slices"

	"glimpse/registry/image"
)

// errMeanwhile says that a record is no longer the one whose bytes were hashed.
var errMeanwhile = errors.New("ops: the image changed while it was hashed")

// hashImage hashes what of an image's bytes was not hashed by this service, and
// finds out whether they are what the record claims.
func (s *Service) hashImage(ctx context.Context, id string) error {
	m, err := s.cfg.Registry.Get(ctx, id)
	if image.KindOf(err) == image.NotFound && err != nil {
		return nil // deleted
	}
	if err != nil || !awaitsHash(m) {
		return err
	}
	for _, l := range s.byWeight(m) {
		// Each look is at the record as the one before left it.
		if m, err = s.cfg.Registry.Get(ctx, id); err != nil {
			return err
		}
		if err := s.hashLocation(ctx, m, l); err != nil {
			return err
		}
	}
	return nil
}

// awaitsHash leaves alone what is no work of ours: an image that a Glance is
// importing bears its lock.
func awaitsHash(m image.Image) bool {
	_, locked := m.Properties["os_glance_import_task"]
	return m.Status == image.Active || m.Status == image.Deactivated || m.Status == image.Importing && !locked
}

// hashLocation reads all bytes once, through the cache: they are then there, and
// learned.
func (s *Service) hashLocation(ctx context.Context, m image.Image, l image.Location) error {
	t, err := s.target(ctx, m, l)
	if err != nil {
		return err
	}
	if t.content && m.Status != image.Importing && m.Checksum != nil && m.HashValue != nil {
		return nil
	}
	f := newFold(t.object, s.cfg.Geometry)
	f.record, f.location = m, l
	f.start(s)
	s.hasher.busy.Store(f.o.Key, true)
	defer s.hasher.busy.Delete(f.o.Key)
	body, err := s.cfg.Cache.Open(ctx, f.o, 0, f.o.Size)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := body.WriteTo(f.tally); err != nil {
		return err
	}
	if f.end(); f.size != f.o.Size {
		return errMeanwhile
	}
	if m.Status == image.Importing && !f.matches() {
		s.stats.mismatched.Add(1)
		s.cfg.Log.Error("the bytes at a location do not give the hash that was announced: the image is queued again", "image", m.ID, "location", l.ID)
		return s.requeue(ctx, f)
	}
	if err := f.conclude(ctx, s); err != nil || !f.matches() {
		return err
	}
	return s.fillIn(ctx, f)
}

// fillIn writes what was found into the record where it says nothing, and makes
// an image that waited for it active.
func (s *Service) fillIn(ctx context.Context, f *fold) error {
	_, err := s.cfg.Registry.Update(ctx, f.record.ID, func(m *image.Image) error {
		if !f.describes(*m) {
			return errMeanwhile
		}
		if m.Status == image.Importing {
			if err := m.SetStatus(image.Active); err != nil {
				return err
			}
		}
		if m.Checksum == nil || *m.Checksum == "" {
			sum := f.sum("md5")
			m.Checksum = &sum
		}
		if m.HashValue == nil || *m.HashValue == "" {
			algo, sum := s.cfg.HashAlgo, f.sum(s.cfg.HashAlgo)
			m.HashAlgo, m.HashValue = &algo, &sum
		}
		if m.Size == nil {
			m.Size = &f.o.Size
		}
		return nil
	})
	if image.KindOf(err) == image.NotFound && err != nil {
		return nil // deleted meanwhile
	}
	return err
}

// describes says that the record still is what the fold was compared with.
func (f *fold) describes(m image.Image) bool {
	r := f.record
	waits := func(s image.Status) bool { return s == image.Importing }
	return awaitsHash(m) && waits(m.Status) == waits(r.Status) && is(m.Size, r.Size) && is(m.Checksum, r.Checksum) && is(m.HashAlgo, r.HashAlgo) && is(m.HashValue, r.HashValue) &&
		slices.ContainsFunc(m.Locations, func(l image.Location) bool { return l.ID == f.location.ID && l.URL == f.location.URL })
}

func is[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

// requeue takes the location away from an image that waits for its bytes to be
// proved. The bytes stay where they are: it is not known whose they are.
func (s *Service) requeue(ctx context.Context, f *fold) error {
	_, err := s.cfg.Registry.Update(ctx, f.record.ID, func(m *image.Image) error {
		if !f.describes(*m) {
			return errMeanwhile
		}
		return unplace(m)
	})
	s.cfg.Cache.Drop(f.o.Key)
	s.known.forget(f.location.ID)
	if image.KindOf(err) == image.NotFound && err != nil {
		return nil
	}
	return err
}

func unplace(m *image.Image) error {
	m.Locations = nil
	return m.SetStatus(image.Queued)
}

// giveUp ends the waiting for bytes that can't be read: an image that waits for
// them is queued again, one that is active stays without hashes.
func (s *Service) giveUp(ctx context.Context, id string) error {
	_, err := s.cfg.Registry.Update(ctx, id, func(m *image.Image) error {
		if m.Status != image.Importing || !awaitsHash(*m) {
			return nil
		}
		return unplace(m)
	})
	if image.KindOf(err) == image.NotFound && err != nil {
		return nil
	}
	return err
}
