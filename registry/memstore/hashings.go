package memstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"glimpse/registry"
)

// hashing is an image that waits to be hashed.
type hashing struct {
	registry.Hashing
	due time.Time
}

// WishHash notes the image.
func (s *Store) WishHash(ctx context.Context, imageID string, wait time.Duration) (registry.Hashing, error) {
	if err := ended(ctx); err != nil {
		return registry.Hashing{}, err
	}
	if err := registry.Text("id", imageID, 36); err != nil {
		return registry.Hashing{}, err
	}
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return registry.Hashing{}, err
	}
	h := registry.Hashing{ImageID: imageID, Token: hex.EncodeToString(b[:])}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hashings[imageID] = &hashing{h, time.Now().Add(wait)}
	return h, nil
}

// NextHash takes the image that has been due for longest.
func (s *Store) NextHash(ctx context.Context, hold time.Duration) (h registry.Hashing, ok bool, err error) {
	if err := ended(ctx); err != nil {
		return h, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var next *hashing
	for _, one := range s.hashings {
		if !one.due.After(time.Now()) && (next == nil || one.due.Before(next.due)) {
			next = one
		}
	}
	if next == nil {
		return h, false, nil
	}
	next.due = time.Now().Add(hold)
	return next.Hashing, true, nil
}

// KeepHash makes the image due after wait.
func (s *Store) KeepHash(ctx context.Context, h registry.Hashing, wait time.Duration) error {
	return s.hashing(ctx, h, func(one *hashing) { one.Tries, one.due = h.Tries, time.Now().Add(wait) })
}

// DoneHash forgets the image.
func (s *Store) DoneHash(ctx context.Context, h registry.Hashing) error {
	return s.hashing(ctx, h, func(*hashing) { delete(s.hashings, h.ImageID) })
}

// hashing calls fn with what is stored of h, if that is still it.
func (s *Store) hashing(ctx context.Context, h registry.Hashing, fn func(*hashing)) error {
	if err := ended(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.hashings[h.ImageID]; one != nil && one.Token == h.Token {
		fn(one)
	}
	return nil
}
