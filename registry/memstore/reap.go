package memstore

import (
	"context"
	"time"

	"glimpse/registry"
	"glimpse/registry/image"
)

// Fail ends the attempt.
func (s *Store) Fail(ctx context.Context, token string, clean bool) error {
	if err := ended(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	up := s.uploadLocked(token)
	if up == nil {
		return nil
	}
	next := registry.UploadFailed
	if clean {
		next = registry.UploadClean
	}
	switch up.State {
	case registry.UploadLive:
		return s.endLocked(up, next)
	case registry.UploadFailed:
		up.State = next
	case registry.UploadDone:
		if clean && s.images[up.ImageID].DeletedAt != nil {
			up.State = next
		}
	}
	return nil
}

// endLocked makes a live attempt over, and the image queued again if it still
// waits for this attempt.
func (s *Store) endLocked(up *registry.Upload, next registry.UploadState) error {
	up.State = next
	r, err := s.liveLocked(up.ImageID)
	if err != nil || r.Status != image.Saving || s.newestLocked(up.ImageID) != up {
		return nil
	}
	_, err = s.changeLocked(r, func(m *image.Image) error { return m.SetStatus(image.Queued) })
	return err
}

// Retire makes done attempts at a locator failed.
func (s *Store) Retire(ctx context.Context, imageID string, at image.Secret) (found bool, err error) {
	if err := ended(ctx); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, up := range s.uploads {
		if up.ImageID == imageID && up.Locator == at && up.State == registry.UploadDone {
			up.State, found = registry.UploadFailed, true
		}
	}
	return found, nil
}

// Lapsed returns the attempts that a reaper should look at. The grace is one
// lease.
func (s *Store) Lapsed(ctx context.Context, n int, within registry.Reach) ([]registry.Upload, error) {
	if err := ended(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []registry.Upload
	for _, up := range s.uploads {
		if len(all) < n && s.lapsedLocked(up) && (up.State == registry.UploadLive || within.Has(*up)) {
			all = append(all, *up)
		}
	}
	return all, nil
}

func (s *Store) lapsedLocked(up *registry.Upload) bool {
	switch up.State {
	case registry.UploadLive:
		return up.LeaseUntil.Add(s.lease).Before(time.Now())
	case registry.UploadFailed:
		return true
	case registry.UploadDone:
		return s.images[up.ImageID].Status == image.Deleted
	}
	return false
}

// Reap decides about one attempt.
func (s *Store) Reap(ctx context.Context, token string) (deletable bool, err error) {
	if err := ended(ctx); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	up := s.uploadLocked(token)
	switch {
	case up == nil, up.State == registry.UploadClean,
		up.State == registry.UploadLive && !up.LeaseUntil.Before(time.Now()),
		up.State == registry.UploadDone && s.images[up.ImageID].Status != image.Deleted:
		return false, nil
	case up.State == registry.UploadLive:
		if err := s.endLocked(up, registry.UploadFailed); err != nil {
			return false, err
		}
	}
	if up.Locator == "" {
		up.State = registry.UploadClean
		return false, nil
	}
	return !s.namedLocked(up.Locator), nil
}

// namedLocked says whether a location that still matters names the URL.
func (s *Store) namedLocked(url image.Secret) bool {
	for _, r := range s.images {
		if r.Status == image.Deleted {
			continue
		}
		for _, l := range r.Locations {
			if l.URL == url {
				return true
			}
		}
	}
	return false
}

// Lapse ends every lease as if its node had died long ago, for tests.
func (s *Store) Lapse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, up := range s.uploads {
		up.LeaseUntil = time.Time{}
	}
}
