package sqlstore

import (
	"context"
	"database/sql"

	"glimpse/registry/image"
)

// Named says whether a location that still matters names the URL.
func (db *DB) Named(ctx context.Context, at image.Secret) (is bool, err error) {
	err = db.write(ctx, "location named", func(tx *sql.Tx) (err error) {
		is, err = named(ctx, tx, at)
		return err
	})
	return is, err
}
