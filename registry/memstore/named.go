package memstore

import (
	"context"

	"glimpse/registry/image"
)

// Named says whether a location that still matters names the URL.
func (s *Store) Named(ctx context.Context, at image.Secret) (bool, error) {
	if err := ended(ctx); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.namedLocked(at), nil
}
