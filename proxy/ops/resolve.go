package ops

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"glimpse/backends"
	"glimpse/cachestore/chunk"
	"glimpse/registry"
	"glimpse/registry/image"
)

// ErrNoData says that an image has no bytes to send.
var ErrNoData = errors.New("the image has no data")

// target is where an image's bytes are: their name in the cache, and their place
// at the origin.
type target struct {
	object   chunk.Object
	location int64 // row id
	store    *Store
	at       backends.Locator
	content  bool // the image's bytes were hashed by this service
}

// resolve finds an image's bytes at the first of some places where they can be
// had, and returns the places behind it. Of several each is asked once, and with
// its store's retries only when none of them answered.
func (s *Service) resolve(ctx context.Context, m image.Image, places []image.Location) (target, []image.Location, error) {
	rounds := []func(backends.Store) backends.Store{backends.Once, patient}
	if len(places) == 1 {
		rounds = rounds[1:]
	}
	var last error
	for _, reach := range rounds {
		last = ErrNoData
		away := false
		for i, l := range places {
			t, err := s.targetBy(ctx, m, l, reach)
			if err == nil {
				return t, places[i+1:], nil
			}
			last = graver(last, err)
			away = away || errors.Is(err, backends.ErrUnavailable)
		}
		if ctx.Err() != nil || !away {
			break
		}
	}
	return target{}, nil, last
}

// patient is a store with its retries.
func patient(s backends.Store) backends.Store { return s }

// graver returns what to tell when several places were tried: that there is
// nothing only where none of them had another reason.
func graver(last, err error) error {
	if missing(last) && !missing(err) {
		return err
	}
	return last
}

func missing(err error) bool {
	return errors.Is(err, ErrNoData) || errors.Is(err, backends.ErrNotFound)
}

// target resolves one location. While the registry is away, what was found
// before does: a location's bytes never change.
func (s *Service) target(ctx context.Context, m image.Image, l image.Location) (target, error) {
	return s.targetBy(ctx, m, l, patient)
}

// targetBy is target with a say in how the store is asked.
func (s *Service) targetBy(ctx context.Context, m image.Image, l image.Location, reach func(backends.Store) backends.Store) (target, error) {
	if t, ok := s.known.get(l.ID); ok {
		return t, nil
	}
	old, known := s.known.old(l.ID)
	soon := ctx
	if known {
		var cancel context.CancelFunc
		soon, cancel = context.WithTimeout(ctx, awayTime)
		defer cancel()
	}
	t, err := s.lookUp(soon, m, l, reach)
	if known && ctx.Err() == nil && (soon.Err() != nil || image.KindOf(err) == image.Unavailable) && !errors.Is(err, errBad) {
		s.known.put(l.ID, old) // nor will it answer at once the next time
		return old, nil
	}
	return t, err
}

// awayTime is how long a registry is waited for that doesn't have to answer.
const awayTime = 500 * time.Millisecond

// errBad marks bytes that were found not to be the image's.
var errBad = errors.New("bad bytes")

func (s *Service) lookUp(ctx context.Context, m image.Image, l image.Location, reach func(backends.Store) backends.Store) (target, error) {
	st := s.storeOf(l)
	if st == nil {
		return target{}, image.Errorf(image.Unavailable, "The image lies in a store that this service does not have.")
	}
	t := target{location: l.ID, store: st, at: backends.Locator(l.URL.Reveal())}
	seen, err := s.as(ctx, st, l)
	if err != nil {
		return target{}, err
	}
	pin, err := s.pin(ctx, m, l, st, reach(st.Backend), seen)
	if err != nil {
		return target{}, err
	}
	c, hashed, err := s.content(ctx, m, l, pin.Size)
	if err != nil {
		return target{}, err
	}
	t.content = hashed
	t.object = seen
	t.object.Size, t.object.Validator, t.object.Ref = pin.Size, pin.Validator, ref(m.ID, l.ID)
	switch {
	case hashed:
		t.object.Size = c.Size
		t.object.Key = s.contentKey(m, l, c, pin.Validator)
		t.object.Former = s.privateKey(m, l, pin.Size, pin.Validator)
	default:
		t.object.Key = s.privateKey(m, l, pin.Size, pin.Validator)
	}
	s.known.put(l.ID, t)
	return t, nil
}

// content returns what was hashed of a location's bytes, or else of another's of
// the same image: that manifest then proves, chunk by chunk, whether these are the
// same.
func (s *Service) content(ctx context.Context, m image.Image, l image.Location, size int64) (c registry.Content, ok bool, err error) {
	if c, ok, err = s.cfg.Registry.Content(ctx, l.ID); ok || err != nil {
		return c, ok, err
	}
	for _, o := range m.Locations {
		if o.ID == l.ID || !readable(o) {
			continue
		}
		if c, ok, err = s.cfg.Registry.Content(ctx, o.ID); err != nil || ok && c.Size == size {
			return c, ok, err
		}
	}
	return registry.Content{}, false, nil
}

// pin returns what was found at the first contact with a location's bytes, and
// has that contact made if there was none.
func (s *Service) pin(ctx context.Context, m image.Image, l image.Location, st *Store, b backends.Store, seen chunk.Object) (registry.Pin, error) {
	p, ok, err := s.cfg.Registry.Pinned(ctx, l.ID)
	if err == nil && !ok {
		p, err = s.contact(ctx, m, l, st, b, seen)
	}
	if err != nil {
		return p, err
	}
	if p.Bad {
		return p, image.Wrap(image.Unavailable, errBad, "The image's data does not match its hash.")
	}
	if m.Size != nil && p.Size != *m.Size {
		s.cfg.Log.Error("the bytes of an image are not as many as its record says", "image", m.ID, "location", l.ID, "bytes", p.Size, "record", *m.Size)
		return p, image.Wrap(image.Unavailable, errBad, "The image's data does not match its size.")
	}
	return p, nil
}

// notFoundOr keeps ErrNotFound and gives every other error a kind.
func notFoundOr(err error) error {
	if errors.Is(err, backends.ErrNotFound) {
		return err
	}
	return kinded(err)
}

// ref names an image's location for whoever can look it up; it holds no secret.
func ref(imageID string, location int64) string {
	return imageID + "/" + strconv.FormatInt(location, 10)
}

func parseRef(r string) (imageID string, location int64, err error) {
	imageID, num, ok := strings.Cut(r, "/")
	if location, err = strconv.ParseInt(num, 10, 64); !ok || err != nil || imageID == "" {
		return "", 0, fmt.Errorf("ops: %q is not a reference to a location", r)
	}
	return imageID, location, nil
}
