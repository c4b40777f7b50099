package memstore

import (
	"context"
	"slices"

	"glimpse/registry"
	"glimpse/registry/image"
)

// Attempted says whether there is an attempt with this token.
func (s *Store) Attempted(ctx context.Context, token string) (bool, error) {
	if err := ended(ctx); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.uploadLocked(token) != nil, nil
}

// Uploader returns the node that gave an image its bytes.
func (s *Store) Uploader(ctx context.Context, imageID string) (string, error) {
	if err := ended(ctx); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, up := range s.uploads {
		if up.ImageID == imageID && up.State == registry.UploadDone {
			return up.Node, nil
		}
	}
	return "", nil
}

// Named says whether a location that still matters names the URL.
func (s *Store) Named(ctx context.Context, at image.Secret) (bool, error) {
	if err := ended(ctx); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.namedLocked(at), nil
}

// NamedByOthers says whether a live location of an image that owner does not own
// names the URL.
func (s *Store) NamedByOthers(ctx context.Context, at image.Secret, owner string) (bool, error) {
	if err := ended(ctx); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.images {
		if r.DeletedAt != nil || r.Owner != nil && *r.Owner == owner {
			continue
		}
		if slices.ContainsFunc(r.Locations, func(l image.Location) bool { return l.URL == at }) {
			return true, nil
		}
	}
	return false, nil
}
