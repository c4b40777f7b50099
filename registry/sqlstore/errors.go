package sqlstore

import (
	"context"
	"errors"
	"fmt"

	"glimpse/registry/image"
)

// fnError carries an error of the caller's own function through a transaction,
// to be given back as it was.
type fnError struct{ error }

// wrap gives a driver's error its kind. Errors that have one already are kept.
func (db *DB) wrap(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	var ours *image.Error
	if errors.As(err, &ours) {
		return err
	}
	if cause := ctx.Err(); cause != nil {
		return image.Wrap(image.Unavailable, fmt.Errorf("sqlstore: %s: %w", op, cause), "The image registry did not answer in time.")
	}
	err = fmt.Errorf("sqlstore: %s: %w", op, err)
	switch db.d.class(err) {
	case transient, away:
		return image.Wrap(image.Unavailable, err, "The image registry is not available.")
	case taken:
		return image.Wrap(image.Conflict, err, "Another record has this name already.")
	case unfit:
		return image.Wrap(image.Invalid, err, "A value is not one that the image registry can hold.")
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return image.Wrap(image.Unavailable, err, "The image registry did not answer in time.")
	}
	return err
}

func notFound(id string) error {
	return image.Errorf(image.NotFound, "No image found with ID %s", id)
}
