package backends

import (
	"context"
	"errors"
)

// Users is what a Store with the cap InUse is besides.
type Users interface {
	// InUse says whether Delete would refuse with ErrInUse now. Somebody may begin
	// to use the object right after.
	InUse(ctx context.Context, at Locator) (bool, error)
}

// InUse asks the store within the decorators of s. Of a store without the cap
// nothing is ever in use.
func InUse(ctx context.Context, s Store, at Locator) (bool, error) {
	if !s.Caps().InUse {
		return false, nil
	}
	u, ok := innermost[Users](s)
	if !ok {
		return false, errors.ErrUnsupported
	}
	return u.InUse(ctx, at)
}
