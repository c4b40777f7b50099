//go:build ceph

package open

import (
	"context"

	"glimpse/backends"
	"glimpse/backends/rbd"
)

// Open makes the store.
func (r *RBD) Open(context.Context, string, Common) (backends.Store, error) {
	return rbd.Open(r.config())
}

// Owns tells the images of its pool.
func (r *RBD) Owns() func(backends.Locator) bool { return r.config().Owns() }
