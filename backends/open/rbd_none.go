//go:build !ceph

package open

import (
	"context"
	"errors"

	"glimpse/backends"
)

// Open says that there is no driver.
func (r *RBD) Open(context.Context, string, Common) (backends.Store, error) {
	return nil, errors.New("type rbd: this binary was built without Ceph; make build-ceph builds one with it")
}
