package ops

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"glimpse/backends"
	"glimpse/registry/image"
)

// ErrHasIt says that the store has the image already.
var ErrHasIt = errors.New("the store has the image already")

// Copy reads an active image from the heaviest of its stores, proves the bytes on
// their way, writes them to another store and adds the new place to the record.
// Only proven bytes are committed. Whatever fails leaves the record as it was and
// nothing in the store, unless it is not known whether the record names the copy.
// A crash leaves half-done work for Sweep; between the commit and the record's it
// leaves an object that nothing names.
func (s *Service) Copy(ctx context.Context, m image.Image, store string, progress func(bytes int)) error {
	st := s.stores[store]
	switch {
	case st == nil:
		return image.Errorf(image.Invalid, "Store %.64q is not configured.", store)
	case st.ReadOnly || st.Backend.Caps().ReadOnly:
		return image.Errorf(image.Invalid, "Store %q takes no images.", store)
	case m.Status != image.Active:
		return image.Errorf(image.Conflict, "Image %s is in status '%s', not active.", m.ID, m.Status)
	case len(s.In(m, store)) > 0:
		return ErrHasIt
	}
	t, _, err := s.resolve(ctx, m, s.places(m))
	if err != nil {
		return err
	}
	w, err := st.Backend.Create(ctx, copyKey(m.ID), t.object.Size)
	if err != nil {
		return writeError(err)
	}
	at, err := s.transfer(ctx, m, t, w, progress)
	if err != nil {
		return errors.Join(err, w.Cancel(), s.withdraw(ctx, st, w.Locator()))
	}
	// A copy that is complete is not given up for a caller who leaves now.
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	m, err = s.adopt(after, m.ID, st, at)
	if err != nil {
		return err
	}
	return s.credit(after, m, t, at)
}

// copyKey names an object as every attempt but the first upload's is named: by
// the image and a token of its own.
func copyKey(imageID string) string {
	var token [16]byte
	_, _ = rand.Read(token[:]) // never fails
	return imageID + "-" + hex.EncodeToString(token[:])
}

// transfer writes the bytes and commits them when they are proven.
func (s *Service) transfer(ctx context.Context, m image.Image, t target, w backends.Writer, progress func(int)) (backends.Locator, error) {
	if _, err := w.Write(nil); err != nil {
		return "", writeError(err)
	}
	p := s.newProof(m, t)
	if _, err := s.readAll(ctx, t, io.MultiWriter(p, refusing{w}, told(progress))); err != nil {
		return "", err
	}
	v, err := p.conclude(ctx)
	if err != nil {
		return "", err
	}
	if !v.Good() {
		return "", image.Wrap(image.Unavailable, errBad, "The image's data is damaged: it is not copied.")
	}
	at, err := w.Commit(ctx)
	return at, writeError(err)
}

// refusing gives the errors of a Writer their kind: reading and writing are one
// loop here, and it must show which of the two stores it was.
type refusing struct{ backends.Writer }

func (r refusing) Write(b []byte) (int, error) {
	n, err := r.Writer.Write(b)
	return n, writeError(err)
}

// withdraw removes a copy that no record names: its key is of this copy alone, and
// a commit that seems to have failed may have been done.
func (s *Service) withdraw(ctx context.Context, st *Store, at backends.Locator) error {
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if err := s.DeleteLocator(after, st.ID, image.Secret(at.Reveal())); err != nil {
		return fmt.Errorf("store %s may keep a part of the copy: %w", st.ID, err)
	}
	return nil
}

// adopt adds a place to the record. Where it can't, the object goes again, unless
// it is not known whether the record names it.
func (s *Service) adopt(ctx context.Context, id string, st *Store, at backends.Locator) (image.Image, error) {
	m, err := s.cfg.Registry.Update(ctx, id, func(m *image.Image) error {
		switch limit := s.cfg.Limits.Locations; {
		case m.Status != image.Active:
			return image.Errorf(image.Conflict, "Image %s is in status '%s', not active.", m.ID, m.Status)
		case len(s.In(*m, st.ID)) > 0: // another copy was faster
			return image.Wrap(image.Conflict, ErrHasIt, "Another copy was faster.")
		case limit >= 0 && len(m.Locations) >= limit:
			return image.Errorf(image.TooLarge, "Image %s has %d locations, no more are allowed.", m.ID, len(m.Locations))
		}
		m.Locations = append(m.Locations, image.Location{
			URL: image.Secret(at.Reveal()), Metadata: s.metadata(st, at), Status: string(image.Active),
		})
		return nil
	})
	switch k := image.KindOf(err); {
	case err == nil:
		return m, nil
	case k != image.Unavailable && k != image.Internal:
		return m, errors.Join(err, s.withdraw(ctx, st, at))
	}
	if m, gerr := s.cfg.Registry.Get(ctx, id); gerr == nil && names(m, at) {
		return m, nil
	}
	return m, fmt.Errorf("store %s may keep a copy that no image names: %w", st.ID, err)
}

// credit files that the bytes at a new place are those that were proven. Without
// it they are learned again when they are read.
func (s *Service) credit(ctx context.Context, m image.Image, t target, at backends.Locator) error {
	_, from, err := parseRef(t.object.Ref)
	if err != nil || !t.content {
		return err
	}
	c, ok, err := s.cfg.Registry.Content(ctx, from)
	if err != nil || !ok {
		return err
	}
	for _, l := range m.Locations {
		if l.URL.Reveal() == at.Reveal() {
			c.LocationID = l.ID
			return s.cfg.Registry.PutContent(ctx, c, nil)
		}
	}
	return nil
}
