package ops

import (
	"context"
	"errors"
	"io"

	"glimpse/backends"
	"glimpse/registry/image"
)

// ErrHasIt says that the store has the image already.
var ErrHasIt = errors.New("the store has the image already")

// Copy reads an active image from the heaviest of its stores, proves the bytes on
// their way, writes them to another store and adds the new place to the record.
// Only proven bytes are committed. Whatever fails leaves the record as it was; what
// was written is removed, now or by the reaper.
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
	up, err := s.cfg.Registry.BeginCopy(ctx, m.ID, st.ID, s.cfg.NodeID)
	if err != nil {
		return err
	}
	up.First = false // the bare id is an upload's: other stores than this may take it for one's object
	a := &attempt{s: s, u: Upload{Image: m, Announced: t.object.Size}, st: st, up: up}
	if err := a.copy(ctx, t, progress); err != nil {
		a.abandon(ctx)
		return err
	}
	return nil
}

// copy does a copy under a lease that is renewed until it ends.
func (a *attempt) copy(parent context.Context, t target, progress func(int)) error {
	ctx, cancel := context.WithCancelCause(parent)
	lease := a.renew(ctx, cancel)
	defer func() { cancel(nil); <-lease }()
	at, err := a.transfer(ctx, t, progress)
	if err != nil {
		if cause := context.Cause(ctx); image.KindOf(cause) == image.Gone {
			return cause // ended from outside: that says more than what broke
		}
		return err
	}
	// A copy that is complete is not given up for a caller who leaves now.
	after, stop := context.WithTimeout(context.WithoutCancel(parent), cleanupTime)
	defer stop()
	m, err := a.adopt(after, at)
	if err != nil {
		return err
	}
	if err := a.s.credit(after, m, t, at); err != nil {
		a.s.cfg.Log.Warn("what is known of the bytes of a copy will be learned again", "image", m.ID, "error", err)
	}
	return nil
}

// transfer writes the bytes and commits them when they are proven.
func (a *attempt) transfer(ctx context.Context, t target, progress func(int)) (backends.Locator, error) {
	if err := a.create(ctx); err != nil {
		return "", err
	}
	s, m := a.s, a.u.Image
	p := s.newProof(m, t)
	if _, err := s.readAll(ctx, t, io.MultiWriter(p, refusing{a.out}, told(progress))); err != nil {
		return "", err
	}
	v, err := p.conclude(ctx)
	if err != nil {
		return "", err
	}
	if !v.Good() {
		return "", image.Wrap(image.Unavailable, errBad, "The image's data is damaged: it is not copied.")
	}
	at, err := a.out.Commit(ctx)
	a.committed = !errors.Is(err, backends.ErrExists) // after any other error it may be there all the same
	return at, writeError(err)
}

// refusing gives the errors of a Writer their kind: reading and writing are one
// loop here, and it must show which of the two stores it was.
type refusing struct{ backends.Writer }

func (r refusing) Write(b []byte) (int, error) {
	n, err := r.Writer.Write(b)
	return n, writeError(err)
}

// adopt adds a place to the record. When the registry's answer is lost the record
// is read again; if that can't be had either, nothing is touched.
func (a *attempt) adopt(ctx context.Context, at backends.Locator) (image.Image, error) {
	s, st := a.s, a.st
	a.unknown = true
	m, err := s.cfg.Registry.Adopt(ctx, a.up.Token, a.holder(), func(m *image.Image) error {
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
		a.unknown = false // refused
		return m, err
	}
	if m, gerr := s.cfg.Registry.Get(ctx, a.u.Image.ID); gerr == nil && names(m, at) {
		return m, nil
	}
	return m, err
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
