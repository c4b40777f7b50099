//go:build ceph

package rbd

import (
	"syscall"
	"time"

	ceph "github.com/ceph/go-ceph/rbd"
)

// remove removes an image with its snapshot, if it has that one. Who clones it
// meanwhile stops it at the snapshot.
func (h *handle) remove(p place) error {
	pool, err := h.pool.GetPoolName()
	if err != nil {
		return err
	}
	r, err := h.s.pool(h.c, h.c.removals, pool)
	if err != nil {
		return err
	}
	defer func() { _ = r.close() }()
	if p.snap != "" {
		if err := r.removeSnapshot(p); err != nil && code(err) != syscall.ENOENT {
			return err
		}
	}
	return ceph.RemoveImage(r.pool, p.image)
}

// settled is how long an image stays open at the least where librados has several
// threads: longer than one of them that is ready to run is kept waiting for it.
const settled = 300 * time.Millisecond

func (h *handle) removeSnapshot(p place) error {
	began := time.Now()
	if err := h.open(p.image, "", true); err != nil {
		return err
	}
	sn := h.img.GetSnapshot(p.snap)
	err := sn.Unprotect()
	if code(err) == syscall.EINVAL { // it is not protected
		err = nil
	}
	if err == nil {
		err = sn.Remove()
	}
	time.Sleep(time.Until(began.Add(settled)))
	if cerr := h.closeImage(); err == nil {
		err = cerr
	}
	return err
}
