//go:build !ceph

package open

import (
	"context"
	"errors"

	"glimpse/backends"
)

// Open says that there is no driver.
func (r *RBD) Open(context.Context, string, Common) (backends.Store, error) {
	return nil, errors.New("type rbd is not in this build, which has no librbd: `make build-ceph` makes one that has")
}
