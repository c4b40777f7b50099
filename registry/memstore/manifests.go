package memstore

import (
	"bytes"
	"context"

	"glimpse/registry"
	"glimpse/registry/image"
)

// Content says whether Glimpse itself hashed the bytes behind a location.
func (s *Store) Content(ctx context.Context, locationID int64) (c registry.Content, ok bool, err error) {
	if err := ended(ctx); err != nil {
		return c, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok = s.contents[locationID]
	return c, ok, nil
}

// PutContent files what a fold of all bytes found.
func (s *Store) PutContent(ctx context.Context, c registry.Content, segments [][]byte) error {
	if err := ended(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putContentLocked(c, segments)
	return nil
}

func (s *Store) putContentLocked(c registry.Content, segments [][]byte) {
	s.contents[c.LocationID] = c
	if len(segments) == 0 {
		return
	}
	s.manifests[c.Key] = nil
	for _, b := range segments {
		s.manifests[c.Key] = append(s.manifests[c.Key], bytes.Clone(b))
	}
}

// Segment returns one segment of a manifest.
func (s *Store) Segment(ctx context.Context, key string, seg int) (b []byte, ok bool, err error) {
	if err := ended(ctx); err != nil {
		return nil, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if all := s.manifests[key]; seg >= 0 && seg < len(all) {
		return bytes.Clone(all[seg]), true, nil
	}
	return nil, false, nil
}

// Holder returns the node in whose folder alone a location's bytes are.
func (s *Store) Holder(ctx context.Context, locationID int64) (string, error) {
	if err := ended(ctx); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holders[locationID], nil
}

func (s *Store) putHolderLocked(locationID int64, node string) {
	if node != "" {
		s.holders[locationID] = node
	}
}

// Pinned returns what was found at the first contact.
func (s *Store) Pinned(ctx context.Context, locationID int64) (p registry.Pin, ok bool, err error) {
	if err := ended(ctx); err != nil {
		return p, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok = s.pins[locationID]
	return p, ok, nil
}

// Pin stores p unless the location is pinned already.
func (s *Store) Pin(ctx context.Context, p registry.Pin) (registry.Pin, error) {
	if err := ended(ctx); err != nil {
		return registry.Pin{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if stands, ok := s.pins[p.LocationID]; ok {
		return stands, nil
	}
	s.pins[p.LocationID] = p
	return p, nil
}

// MarkBad sets Bad; NotFound where the location isn't pinned.
func (s *Store) MarkBad(ctx context.Context, locationID int64) error {
	if err := ended(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.pins[locationID]
	if !ok {
		return image.Errorf(image.NotFound, "Location %d is not pinned.", locationID)
	}
	p.Bad = true
	s.pins[locationID] = p
	return nil
}

// Setting stores value under name unless there is one, and returns what stands.
func (s *Store) Setting(ctx context.Context, name, value string) (string, error) {
	if err := ended(ctx); err != nil {
		return "", err
	}
	if err := registry.Text("Setting", name, 255); err != nil {
		return "", err
	}
	if err := registry.Text("Setting", value, 65535); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if stands, ok := s.settings[name]; ok {
		return stands, nil
	}
	s.settings[name] = value
	return value, nil
}
