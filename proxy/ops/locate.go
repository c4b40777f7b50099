package ops

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"glimpse/backends"
	"glimpse/registry"
	"glimpse/registry/image"
)

// contactTime bounds the first contact with a place that a caller names.
const contactTime = 20 * time.Second

// restricted are schemes that no caller may name: they lead into this node's
// files, or to credentials of its configuration.
var restricted = []string{"file", "filesystem", "swift+config"}

// Place is where a caller wants an image's bytes to be read.
type Place struct {
	image.Location
	Anonymous bool // read without any credential of this service
	Size      int64
	Validator string
}

// badPlace tells the caller nothing more: who may name addresses must not learn
// what answers there.
func badPlace(err error) error { return image.Wrap(image.Invalid, err, "Invalid location") }

// Locate finds the store that reads a URL: the one that the metadata names, if
// its type has such URLs, else the one that owns it, else one whose type has such
// URLs. It contacts nobody.
func (s *Service) Locate(url string, metadata map[string]string) (Place, error) {
	scheme, _, ok := strings.Cut(url, "://")
	scheme = strings.ToLower(scheme)
	if !ok || slices.Contains(restricted, scheme) {
		return Place{}, badPlace(nil)
	}
	st := s.stores[metadata["store"]]
	if st == nil || !slices.Contains(st.Schemes, scheme) {
		st = s.storeOf(image.Location{URL: image.Secret(scheme + url[len(scheme):])})
	}
	if st == nil {
		return Place{}, badPlace(nil)
	}
	meta := maps.Clone(metadata)
	if meta == nil {
		meta = map[string]string{}
	}
	maps.Copy(meta, s.metadata(st, backends.Locator(url)))
	return Place{Location: image.Location{URL: image.Secret(url), Metadata: meta, Status: string(image.Active)}, Anonymous: st.Type == "http"}, nil
}

// Contact asks the place for its size. Where this service reads it with its own
// credentials, bytes that an image of another owner names are none of the
// caller's, unless it is trusted.
func (s *Service) Contact(ctx context.Context, p Place, owner *string, trusted bool) (Place, error) {
	if !trusted && !p.Anonymous {
		project := ""
		if owner != nil {
			project = *owner
		}
		others, err := s.cfg.Registry.NamedByOthers(ctx, p.URL, project)
		if err != nil {
			return p, err
		}
		if others {
			return p, badPlace(nil)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, contactTime)
	defer cancel()
	info, err := s.storeOf(p.Location).Backend.Stat(ctx, backends.Locator(p.URL.Reveal()))
	switch {
	case err != nil:
		return p, badPlace(err)
	case info.Size <= 0: // unknown, or nothing
		return p, badPlace(nil)
	case info.Size > s.cfg.Limits.SizeCap:
		return p, s.tooLarge()
	}
	p.Size, p.Validator = info.Size, info.Validator
	return p, nil
}

// Relocate changes an image's locations by fn, as Registry.Update does. What the
// contact with the places found is pinned to the locations that are new; the
// bytes of those that are gone are removed, where no other image names them.
// With hash, the bytes are hashed in the background.
func (s *Service) Relocate(ctx context.Context, id string, places []Place, hash bool, fn func(*image.Image) error) (image.Image, error) {
	var wish registry.Hashing
	if hash {
		var err error
		if wish, err = s.cfg.Registry.WishHash(ctx, id, s.hold()); err != nil {
			return image.Image{}, err
		}
	}
	var before []image.Location
	m, err := s.cfg.Registry.Update(ctx, id, func(m *image.Image) error {
		before = slices.Clone(m.Locations)
		return fn(m)
	})
	if err != nil {
		return m, err // a wish is found to be void
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	s.pinNew(after, m, before, places)
	for _, l := range before {
		if !slices.ContainsFunc(m.Locations, func(n image.Location) bool { return n.ID == l.ID }) {
			s.forget(after, m, l)
		}
	}
	if hash {
		if err := s.cfg.Registry.KeepHash(after, wish, 0); err != nil {
			s.cfg.Log.Warn("an image is hashed later", "image", m.ID, "error", err)
		}
		s.hasher.nudge()
	}
	return m, nil
}

// pinNew notes what the places are. What fails is found again when they are
// first read.
func (s *Service) pinNew(ctx context.Context, m image.Image, before []image.Location, places []Place) {
	for _, l := range m.Locations {
		old := slices.ContainsFunc(before, func(b image.Location) bool { return b.ID == l.ID })
		i := slices.IndexFunc(places, func(p Place) bool { return p.URL == l.URL })
		if old || i < 0 {
			continue
		}
		p := registry.Pin{LocationID: l.ID, Size: places[i].Size, Validator: places[i].Validator}
		if _, err := s.cfg.Registry.Pin(ctx, p); err != nil {
			s.cfg.Log.Warn("what was found at a location is not noted", "image", m.ID, "location", l.ID, "error", err)
		}
	}
}
