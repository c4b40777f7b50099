package ops

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"glimpse/backends"
	"glimpse/registry/image"
)

// storeKey is where a location's metadata names its store.
const storeKey = "store"

// storeOf finds the store of a location: by its metadata, else, as in records of
// an old Glance and in single-store mode, by its URL. nil: there is none here.
func (s *Service) storeOf(l image.Location) *Store {
	if id := l.Metadata[storeKey]; id != "" && !s.cfg.SingleStore {
		return s.stores[id]
	}
	url := l.URL.Reveal()
	for i := range s.cfg.Stores {
		if owns := s.cfg.Stores[i].Owns; owns != nil && owns(backends.Locator(url)) {
			return &s.cfg.Stores[i]
		}
	}
	scheme, _, _ := strings.Cut(url, ":")
	if d := s.stores[s.cfg.DefaultStore]; slices.Contains(d.Schemes, scheme) {
		return d
	}
	for i := range s.cfg.Stores {
		if slices.Contains(s.cfg.Stores[i].Schemes, scheme) {
			return &s.cfg.Stores[i]
		}
	}
	return nil
}

// metadata is what is filed with a location in the store: what the store has to
// say of the place, and the store's id.
func (s *Service) metadata(st *Store, at backends.Locator) map[string]string {
	m := map[string]string{}
	if st.Metadata != nil {
		maps.Copy(m, st.Metadata(at))
	}
	delete(m, storeKey)
	if !s.cfg.SingleStore {
		m[storeKey] = st.ID
	}
	return m
}

// Labelled returns the image with the store's id at every location, also at those
// that an old Glance has recorded without. Glance writes what it finds missing
// into the record, when somebody reads it; here a read writes nothing, so that
// nobody waits for a lock, nor undoes what another has written meanwhile.
func (s *Service) Labelled(m image.Image) image.Image {
	if s.cfg.SingleStore {
		return m
	}
	owned := false
	for i, l := range m.Locations {
		st := s.storeOf(l)
		if st == nil || l.Metadata[storeKey] != "" {
			continue
		}
		if !owned {
			m.Locations, owned = slices.Clone(m.Locations), true
		}
		labels := maps.Clone(l.Metadata)
		if labels == nil {
			labels = map[string]string{}
		}
		labels[storeKey] = st.ID
		m.Locations[i].Metadata = labels
	}
	return m
}

// Best returns the URL of the image's location in the heaviest store; "" where it
// has none.
func (s *Service) Best(m image.Image) image.Secret {
	if l := s.byWeight(m); len(l) > 0 {
		return l[0].URL
	}
	return ""
}

// byWeight returns the locations that bytes can be read from, those in heavier
// stores first, else in their own order.
func (s *Service) byWeight(m image.Image) []image.Location {
	list := make([]image.Location, 0, len(m.Locations))
	for _, l := range m.Locations {
		if readable(l) {
			list = append(list, l)
		}
	}
	slices.SortStableFunc(list, func(a, b image.Location) int { return cmp.Compare(s.weight(b), s.weight(a)) })
	return list
}

func readable(l image.Location) bool { return l.Status == "" || l.Status == string(image.Active) }

func (s *Service) weight(l image.Location) int {
	if st := s.storeOf(l); st != nil {
		return st.Weight
	}
	return 0
}

// places is the order in which locations are read: those in the preferred stores
// first, then by weight, but those that have just failed last.
func (s *Service) places(m image.Image, prefer ...string) []image.Location {
	list := s.byWeight(m)
	rank := func(l image.Location) int {
		if st := s.storeOf(l); st != nil {
			if i := slices.Index(prefer, st.ID); i >= 0 {
				return i
			}
		}
		return len(prefer)
	}
	slices.SortStableFunc(list, func(a, b image.Location) int { return cmp.Compare(rank(a), rank(b)) })
	var failed []image.Location
	list = slices.DeleteFunc(list, func(l image.Location) bool {
		if s.failed.is(l.ID) {
			failed = append(failed, l)
			return true
		}
		return false
	})
	return append(list, failed...)
}
