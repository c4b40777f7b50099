//go:build ceph

package rbd

import (
	"context"
	"fmt"
	"sync"
	"syscall"

	"glimpse/backends"
)

// Store is a pool of a Ceph cluster.
type Store struct {
	cfg        Config
	calls      sync.WaitGroup // goroutines that are in librbd, or may be
	connecting chan struct{}  // holds one token while a connection is being made
	closing    chan struct{}

	mu      sync.Mutex
	closed  bool
	cluster *cluster                     // nil: none is made yet
	writers map[string]*writer           // by the names of their images
	sources map[backends.Locator]*source // images that are open to read, or were just now
}

var _ interface {
	backends.Store
	backends.Users
} = (*Store)(nil)

// Open reads the configuration. The cluster is spoken to when there is something
// to do.
func Open(c Config) (*Store, error) {
	c, err := c.Check()
	if err != nil {
		return nil, fmt.Errorf("rbd: %w", err)
	}
	if _, err := configure(c, oneThread); err != nil {
		return nil, err
	}
	return &Store{cfg: c, connecting: make(chan struct{}, 1), closing: make(chan struct{}), writers: map[string]*writer{}}, nil
}

// Caps are those of RBD.
func (s *Store) Caps() backends.Caps {
	return backends.Caps{Ranged: true, UnknownSize: true, Validators: true, NoReplace: true, Pending: true, InUse: true}
}

// Close waits for the calls under way, whose requests end by themselves after
// Config.OpTimeout. An upload that is not ended is left to the reaper.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	close(s.closing)
	s.calls.Wait()
	s.endSources()
	if s.cluster != nil {
		s.cluster.release()
		s.cluster = nil
	}
	return nil
}

// version tells one state of an image from every other one.
type version struct {
	id   string // of the image; no two in a pool have the same, ever
	snap uint64 // of the snapshot; 0: the image as it is now
	size int64
	time int64 // of the last change, where there is no snapshot, in nanoseconds
}

func (v version) String() string {
	if v.snap != 0 {
		return fmt.Sprintf("%s@%d-%d", v.id, v.snap, v.size)
	}
	return fmt.Sprintf("%s-%d-%d", v.id, v.time, v.size)
}

// version reads that of the open image.
func (h *handle) version(p place) (v version, err error) {
	info, err := h.img.Stat()
	if err != nil {
		return v, err
	}
	v.id, v.size = info.Block_name_prefix, int64(info.Size)
	if p.snap != "" {
		v.snap, err = h.img.GetSnapID(p.snap)
		return v, err
	}
	t, err := h.img.GetModifyTimestamp()
	v.time = t.Sec*1e9 + t.Nsec
	return v, err
}

// Stat opens the image.
func (s *Store) Stat(ctx context.Context, at backends.Locator) (backends.Info, error) {
	return on(ctx, s, at, func(h *handle, p place) (backends.Info, error) {
		if err := h.open(p.image, p.snap, false); err != nil {
			return backends.Info{}, err
		}
		v, err := h.version(p)
		return backends.Info{Size: v.size, Validator: v.String()}, err
	})
}

// InUse says whether volumes were cloned from the image, or somebody has it open
// to write to it.
func (s *Store) InUse(ctx context.Context, at backends.Locator) (bool, error) {
	return on(ctx, s, at, func(h *handle, p place) (bool, error) {
		if err := h.open(p.image, "", false); err != nil {
			return false, err
		}
		return h.inUse(p)
	})
}

// inUse looks for what would stop the removal of the open image in the middle:
// clones of either kind, those in the trash too, other snapshots, and watchers.
func (h *handle) inUse(p place) (bool, error) {
	snaps, err := h.img.GetSnapshotNames()
	if err != nil {
		return false, err
	}
	for _, sn := range snaps {
		if sn.Name != p.snap {
			return true, nil
		}
		if err := h.img.SetSnapshot(sn.Name); err != nil {
			return false, err
		}
		children, err := h.img.ListChildrenAttributes()
		if err != nil || len(children) > 0 {
			return err == nil, err
		}
	}
	watchers, err := h.img.ListWatchers()
	return len(watchers) > 0, err
}

// Delete removes the snapshot and the image. Where the image is in use it is left
// as it is.
func (s *Store) Delete(ctx context.Context, at backends.Locator) error {
	_, err := on(ctx, s, at, func(h *handle, p place) (struct{}, error) {
		err := h.open(p.image, "", false)
		if code(err) == syscall.ENOENT {
			// The name may be left of a rename or a removal that was cut off.
			return struct{}{}, h.remove(place{image: p.image})
		}
		if err != nil {
			return struct{}{}, err
		}
		used, err := h.inUse(p)
		if err == nil && used {
			err = fmt.Errorf("rbd: %w", backends.ErrInUse)
		}
		if err != nil {
			return struct{}{}, err
		}
		if err := h.closeImage(); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, h.remove(p)
	})
	return err
}
