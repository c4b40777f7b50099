//go:build ceph

package rbd

import (
	"fmt"
	"strconv"
	"syscall"

	"glimpse/backends"

	ceph "github.com/ceph/go-ceph/rbd"
)

// create makes an image with the features that the cluster's configuration asks
// for, and where it asks for none, as in Glance, with the one that clones need.
func (h *handle) create(name string, size, order uint64) error {
	o := ceph.NewRbdImageOptions()
	defer o.Destroy()
	if err := o.SetUint64(ceph.ImageOptionOrder, order); err != nil {
		return err
	}
	text, err := h.c.conn.GetConfigOption("rbd_default_features")
	if err != nil {
		return err
	}
	if n, err := strconv.ParseUint(text, 10, 64); text == "" || err == nil && n == 0 {
		if err := o.SetUint64(ceph.ImageOptionFeatures, ceph.FeatureLayering); err != nil {
			return err
		}
	}
	return ceph.CreateImage(h.pool, name, size, o)
}

// rename gives an image another name, which must be free. librbd tells of no
// failure in the middle (it gives the result of watching the image again instead),
// so the names are looked at: the old one goes last.
func (h *handle) rename(from, to string) error {
	id, err := h.id(from)
	if err != nil {
		return err
	}
	if err := ceph.GetImage(h.pool, from).Rename(to); err != nil {
		return err
	}
	got, err := h.id(to)
	if err == nil && got != id {
		return fmt.Errorf("rbd: %w", backends.ErrExists)
	}
	if err == nil {
		if _, err = h.id(from); code(err) == syscall.ENOENT {
			return nil
		}
	}
	return fmt.Errorf("rbd: %w: an upload could not be given its name, code %d", backends.ErrUnavailable, int(code(err)))
}

// id returns what no other image of the pool has had or will have.
func (h *handle) id(name string) (string, error) {
	if err := h.open(name, "", false); err != nil {
		return "", err
	}
	info, err := h.img.Stat()
	if cerr := h.closeImage(); err == nil {
		err = cerr
	}
	if err != nil {
		return "", err
	}
	return info.Block_name_prefix, nil
}
