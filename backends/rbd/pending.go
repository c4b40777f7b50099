//go:build ceph

package rbd

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"time"

	"glimpse/backends"

	ceph "github.com/ceph/go-ceph/rbd"
)

// own is the locator of a key in the store's own pool.
func (s *Store) own(ctx context.Context, key string) (place, error) {
	c, err := s.acquire(ctx)
	if err != nil {
		return place{}, err
	}
	defer c.release()
	return place{c.fsid, s.cfg.Pool, key, snapshot}, nil
}

// uploads lists the images under way, towards one key or, with "", all.
func (s *Store) uploads(ctx context.Context, p place) ([]string, error) {
	return on(ctx, s, p.locator(), func(h *handle, _ place) ([]string, error) {
		names, err := ceph.GetImageNames(h.pool)
		return slices.DeleteFunc(names, func(n string) bool {
			key, ok := uploadKey(n)
			return !ok || p.image != anyKey && key != p.image
		}), err
	})
}

// anyKey is no key.
const anyKey = uploadPrefix

// Pending lists the images under way. Ceph notes the time of a write once a
// minute at most.
func (s *Store) Pending(ctx context.Context, fn func(backends.Locator, time.Time) error) error {
	p, err := s.own(ctx, anyKey)
	if err != nil {
		return err
	}
	names, err := s.uploads(ctx, p)
	if err != nil {
		return err
	}
	for _, name := range names {
		t, err := on(ctx, s, p.locator(), func(h *handle, _ place) (t ceph.Timespec, err error) {
			if err := h.open(name, "", false); err != nil {
				return t, err
			}
			return h.img.GetModifyTimestamp()
		})
		if errors.Is(err, backends.ErrNotFound) {
			continue // it has ended meanwhile
		}
		if err != nil {
			return err
		}
		p.image, _ = uploadKey(name)
		if err := fn(p.locator(), time.Unix(t.Sec, t.Nsec)); err != nil {
			return err
		}
	}
	return nil
}

// Abort removes the images under way towards a locator. One that another node
// is writing to is in use until that node has ended it, or is gone for half a
// minute.
func (s *Store) Abort(ctx context.Context, at backends.Locator) error {
	p, err := parse(at)
	if err != nil {
		return err
	}
	names, err := s.uploads(ctx, p)
	if err != nil {
		return err
	}
	for _, name := range names {
		s.mu.Lock()
		w := s.writers[name]
		s.mu.Unlock()
		if w != nil {
			if err := w.ask(ctx, w.up.stop); err != nil && !errors.Is(err, errEnded) {
				return err
			}
		}
		_, err := on(ctx, s, at, func(h *handle, p place) (struct{}, error) {
			err := h.remove(place{image: name, snap: snapshot})
			if code(err) == syscall.ENOENT {
				err = nil
			}
			return struct{}{}, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
