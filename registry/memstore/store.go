package memstore

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"glimpse/registry"
	"glimpse/registry/image"
)

// Store is a registry in memory. Its methods may be called from many goroutines.
type Store struct {
	lease time.Duration

	mu        sync.Mutex
	lastID    int64 // of locations and members
	images    map[string]*row
	uploads   []*registry.Upload // oldest first
	contents  map[int64]registry.Content
	pins      map[int64]registry.Pin
	holders   map[int64]string
	manifests map[string][][]byte
	settings  map[string]string
	hashings  map[string]*hashing // by image
	nodes     map[string]node
}

var _ registry.Registry = (*Store)(nil)

// row is an image with what it keeps besides.
type row struct {
	image.Image
	members []member
}

type member struct {
	image.Member
	deleted bool
}

// New makes an empty store. uploadLease is how long an attempt lives without
// Renew; 0: one minute.
func New(uploadLease time.Duration) *Store {
	return &Store{
		lease:     cmp.Or(uploadLease, time.Minute),
		images:    map[string]*row{},
		contents:  map[int64]registry.Content{},
		pins:      map[int64]registry.Pin{},
		holders:   map[int64]string{},
		manifests: map[string][][]byte{},
		settings:  map[string]string{},
		hashings:  map[string]*hashing{},
		nodes:     map[string]node{},
	}
}

// Ping fails only where ctx has ended.
func (s *Store) Ping(ctx context.Context) error { return ended(ctx) }

// Close does nothing.
func (s *Store) Close() error { return nil }

// ended is Unavailable where ctx has ended.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return image.Wrap(image.Unavailable, err, "The image registry did not answer in time.")
	}
	return nil
}

func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

func notFound(id string) error {
	return image.Errorf(image.NotFound, "No image found with ID %s", id)
}

// liveLocked returns the live image.
func (s *Store) liveLocked(id string) (*row, error) {
	r := s.images[id]
	if r == nil || r.DeletedAt != nil {
		return nil, notFound(id)
	}
	return r, nil
}

// Get returns the live image.
func (s *Store) Get(ctx context.Context, id string) (image.Image, error) {
	if err := ended(ctx); err != nil {
		return image.Image{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.liveLocked(id)
	if err != nil {
		return image.Image{}, err
	}
	return r.Clone(), nil
}

// Create stores m; Conflict where its id is taken.
func (s *Store) Create(ctx context.Context, m image.Image) (image.Image, error) {
	if err := ended(ctx); err != nil {
		return image.Image{}, err
	}
	if err := registry.Storable(m); err != nil {
		return image.Image{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.images[m.ID] != nil {
		return image.Image{}, image.Errorf(image.Conflict, "Image ID %s already exists!", m.ID)
	}
	m = m.Clone()
	m.CreatedAt, m.DeletedAt, m.Version = now(), nil, 0
	r := &row{}
	if err := s.putLocked(r, m); err != nil {
		return image.Image{}, err
	}
	s.images[m.ID] = r
	return r.Clone(), nil
}

// Update runs fn on a copy of the live record and stores what it made of it.
func (s *Store) Update(ctx context.Context, id string, fn func(*image.Image) error) (image.Image, error) {
	if err := ended(ctx); err != nil {
		return image.Image{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.liveLocked(id)
	if err != nil {
		return image.Image{}, err
	}
	return s.changeLocked(r, fn)
}

func (s *Store) changeLocked(r *row, fn func(*image.Image) error) (image.Image, error) {
	m := r.Clone()
	if err := fn(&m); err != nil {
		return image.Image{}, err
	}
	m.ID, m.CreatedAt, m.UpdatedAt, m.DeletedAt, m.Version = r.ID, r.CreatedAt, r.UpdatedAt, nil, r.Version
	if same(r.Image, m) {
		return r.Clone(), nil
	}
	if err := registry.Storable(m); err != nil {
		return image.Image{}, err
	}
	if m.Status == image.Deleted || m.Status == image.PendingDelete {
		return s.removeLocked(r, m.Status), nil
	}
	if err := s.putLocked(r, m); err != nil {
		return image.Image{}, err
	}
	return r.Clone(), nil
}

// putLocked makes m the record, with the ids and the order that a table would
// give its children.
func (s *Store) putLocked(r *row, m image.Image) error {
	next := m.Clone()
	next.UpdatedAt, next.Version = now(), m.Version+1
	next.Tags = order(r.Tags, m.Tags)
	next.Locations = nil
	if next.Properties == nil {
		next.Properties = map[string]string{}
	}
	for _, l := range m.Locations {
		if l.ID != 0 && !slices.ContainsFunc(r.Locations, func(o image.Location) bool { return o.ID == l.ID }) {
			return image.Errorf(image.NotFound, "No location found with ID %d from image %s", l.ID, m.ID)
		}
		if l.Status == string(image.Deleted) || l.Status == string(image.PendingDelete) {
			continue
		}
		if l.ID == 0 {
			s.lastID++
			l.ID = s.lastID
		}
		l.Status = cmp.Or(l.Status, string(image.Active))
		if l.Metadata == nil {
			l.Metadata = map[string]string{}
		}
		next.Locations = append(next.Locations, l)
	}
	slices.SortFunc(next.Locations, func(a, b image.Location) int { return cmp.Compare(a.ID, b.ID) })
	r.Image = next.Clone()
	return nil
}

// order keeps the tags that stay where they are and puts new ones behind them.
func order(old, tags []string) []string {
	var all []string
	for _, tag := range slices.Concat(old, tags) {
		if slices.Contains(tags, tag) && !slices.Contains(all, tag) {
			all = append(all, tag)
		}
	}
	return all
}

// removeLocked keeps the record as it was, deleted, so that its id stays taken.
func (s *Store) removeLocked(r *row, status image.Status) image.Image {
	at := now()
	r.Status, r.UpdatedAt, r.DeletedAt = status, at, &at
	r.Version++
	for i := range r.members {
		r.members[i].deleted = true
	}
	return r.Clone()
}
