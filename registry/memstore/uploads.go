package memstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"glimpse/registry"
	"glimpse/registry/image"
)

func errGone() error { return image.Errorf(image.Gone, "The upload is over.") }

// Begin moves the image from queued to saving and notes the attempt.
func (s *Store) Begin(ctx context.Context, imageID, store, node string) (registry.Upload, error) {
	return s.begin(ctx, imageID, store, node, func(r *row) error {
		_, err := s.changeLocked(r, func(m *image.Image) error { return m.SetStatus(image.Saving) })
		return err
	})
}

// BeginCopy notes an attempt to give an active image another place.
func (s *Store) BeginCopy(ctx context.Context, imageID, store, node string) (registry.Upload, error) {
	return s.begin(ctx, imageID, store, node, func(r *row) error { return registry.Copyable(r.Image) })
}

func (s *Store) begin(ctx context.Context, imageID, store, node string, toward func(*row) error) (registry.Upload, error) {
	if err := ended(ctx); err != nil {
		return registry.Upload{}, err
	}
	for field, v := range map[string]string{"Store": store, "Node": node} {
		if err := registry.Text(field, v, 255); err != nil {
			return registry.Upload{}, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.liveLocked(imageID)
	if err != nil {
		return registry.Upload{}, err
	}
	if err := toward(r); err != nil {
		return registry.Upload{}, err
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	up := &registry.Upload{
		ImageID: imageID, Token: hex.EncodeToString(b[:]), Store: store, Node: node,
		First: s.newestLocked(imageID) == nil, State: registry.UploadLive, LeaseUntil: time.Now().Add(s.lease).UTC(),
	}
	s.uploads = append(s.uploads, up)
	return *up, nil
}

func (s *Store) newestLocked(imageID string) *registry.Upload {
	for _, up := range slices.Backward(s.uploads) {
		if up.ImageID == imageID {
			return up
		}
	}
	return nil
}

func (s *Store) uploadLocked(token string) *registry.Upload {
	i := slices.IndexFunc(s.uploads, func(up *registry.Upload) bool { return up.Token == token })
	if i < 0 {
		return nil
	}
	return s.uploads[i]
}

// Adopt is Update for an attempt that is complete.
func (s *Store) Adopt(ctx context.Context, token, holder string, fn func(*image.Image) error) (image.Image, error) {
	if err := ended(ctx); err != nil {
		return image.Image{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	up := s.uploadLocked(token)
	if up == nil || up.State != registry.UploadLive || up.LeaseUntil.Before(time.Now()) {
		return image.Image{}, errGone()
	}
	r, err := s.liveLocked(up.ImageID)
	if err != nil {
		return image.Image{}, errGone()
	}
	stored, err := s.changeLocked(r, fn)
	if err != nil {
		return stored, err
	}
	for _, l := range stored.Locations {
		if l.URL == up.Locator {
			s.putHolderLocked(l.ID, holder)
		}
	}
	up.State = registry.UploadDone
	return stored, nil
}

// Note stores where the bytes go.
func (s *Store) Note(ctx context.Context, token string, at image.Secret) error {
	if err := registry.Text("Location", at.Reveal(), 65535); err != nil {
		return err
	}
	return s.keep(ctx, token, func(up *registry.Upload) { up.Locator = at })
}

// Renew makes the lease as long as at Begin.
func (s *Store) Renew(ctx context.Context, token string) error {
	return s.keep(ctx, token, func(up *registry.Upload) { up.LeaseUntil = time.Now().Add(s.lease).UTC() })
}

func (s *Store) keep(ctx context.Context, token string, fn func(*registry.Upload)) error {
	if err := ended(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	up := s.uploadLocked(token)
	if up == nil || up.State != registry.UploadLive || s.images[up.ImageID].DeletedAt != nil {
		return errGone()
	}
	fn(up)
	return nil
}

// Activate moves the image from saving to active with all that a tells.
func (s *Store) Activate(ctx context.Context, token string, a registry.Activation) (image.Image, error) {
	if err := ended(ctx); err != nil {
		return image.Image{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	up := s.uploadLocked(token)
	if up == nil || up.State != registry.UploadLive || up.LeaseUntil.Before(time.Now()) || s.newestLocked(up.ImageID) != up {
		return image.Image{}, errGone()
	}
	r, err := s.liveLocked(up.ImageID)
	if err != nil || r.Status != image.Saving {
		return image.Image{}, errGone()
	}
	stored, err := s.changeLocked(r, func(m *image.Image) error { return activate(m, a) })
	if err != nil {
		return image.Image{}, err
	}
	id := stored.Locations[len(stored.Locations)-1].ID
	s.putContentLocked(registry.Content{LocationID: id, Algo: a.HashAlgo, Hash: a.HashValue, Size: a.Size, Key: a.Key}, a.Segments)
	s.pins[id] = registry.Pin{LocationID: id, Size: a.Size, Validator: a.Validator}
	s.putHolderLocked(id, a.Node)
	up.State = registry.UploadDone
	return stored, nil
}

func activate(m *image.Image, a registry.Activation) error {
	if err := m.SetStatus(image.Active); err != nil {
		return err
	}
	m.Size, m.VirtualSize = &a.Size, a.VirtualSize
	m.Checksum, m.HashAlgo, m.HashValue = &a.Checksum, &a.HashAlgo, &a.HashValue
	m.Locations = append(m.Locations, image.Location{URL: a.URL, Metadata: maps.Clone(a.Metadata), Status: string(image.Active)})
	return nil
}
