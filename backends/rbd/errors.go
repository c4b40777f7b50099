//go:build ceph

package rbd

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"glimpse/backends"
)

// code returns the errno of an error of librados or librbd, 0 where it has none.
func code(err error) syscall.Errno {
	var c interface{ ErrorCode() int }
	if !errors.As(err, &c) {
		return 0
	}
	n := c.ErrorCode()
	return syscall.Errno(max(n, -n))
}

// translate gives an error of the cluster the sentinel that callers test.
func translate(err error) error {
	if err == nil {
		return nil
	}
	for _, known := range []error{backends.ErrNotFound, backends.ErrExists, backends.ErrFull, backends.ErrInUse, backends.ErrUnavailable, backends.ErrChanged, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return err
		}
	}
	switch code(err) {
	case syscall.ENOENT:
		return fmt.Errorf("rbd: %w", backends.ErrNotFound)
	case syscall.EEXIST:
		return fmt.Errorf("rbd: %w", backends.ErrExists)
	case syscall.ENOSPC, syscall.EDQUOT:
		return fmt.Errorf("rbd: %w: %w", backends.ErrFull, err)
	case syscall.EBUSY, syscall.ENOTEMPTY: // it has watchers, children or snapshots
		return fmt.Errorf("rbd: %w: %w", backends.ErrInUse, err)
	case syscall.ETIMEDOUT, syscall.EIO, syscall.ENOTCONN, syscall.ESHUTDOWN, syscall.EAGAIN, syscall.EROFS:
		// A client that was blocklisted is told ESHUTDOWN; a writer that lost its
		// lock to another, EROFS.
		return fmt.Errorf("rbd: %w: %w", backends.ErrUnavailable, err)
	}
	return fmt.Errorf("rbd: %w", err)
}
