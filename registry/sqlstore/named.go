package sqlstore

import (
	"context"
	"database/sql"

	"glimpse/registry"
	"glimpse/registry/image"
)

// Attempted says whether there is an attempt with this token.
func (db *DB) Attempted(ctx context.Context, token string) (is bool, err error) {
	err = db.write(ctx, "upload attempted", func(tx *sql.Tx) error {
		_, err := db.attempt(ctx, tx, token, false)
		if is = err == nil; image.KindOf(err) == image.Gone {
			return nil
		}
		return err
	})
	return is, err
}

// Uploader returns the node that gave an image its bytes.
func (db *DB) Uploader(ctx context.Context, imageID string) (node string, err error) {
	defer db.observe("uploader")()
	err = db.pool.QueryRowContext(ctx, "SELECT node FROM glimpse_uploads WHERE image_id = ? AND state = ? ORDER BY id LIMIT 1", imageID, string(registry.UploadDone)).Scan(&node)
	if err != nil {
		return "", db.absent(ctx, "uploader", err)
	}
	return node, nil
}

// Named says whether a location that still matters names the URL.
func (db *DB) Named(ctx context.Context, at image.Secret) (is bool, err error) {
	err = db.write(ctx, "location named", func(tx *sql.Tx) (err error) {
		is, err = db.named(ctx, tx, at)
		return err
	})
	return is, err
}

// NamedByOthers says whether a live location of an image that owner does not own
// names the URL.
func (db *DB) NamedByOthers(ctx context.Context, at image.Secret, owner string) (is bool, err error) {
	err = db.write(ctx, "location named by others", func(tx *sql.Tx) (err error) {
		is, err = db.names(ctx, tx, at, clause{"l.deleted = 0 AND i.deleted = 0 AND (i.owner IS NULL OR i.owner <> ?)", []any{owner}})
		return err
	})
	return is, err
}

// named says whether a location that still matters names the URL: a live one,
// or one whose bytes a scrubber is to delete later and may yet be asked to
// restore.
func (db *DB) named(ctx context.Context, tx *sql.Tx, url image.Secret) (bool, error) {
	return db.names(ctx, tx, url, clause{sql: "(l.deleted = 0 OR l.status = 'pending_delete')"})
}

// names says whether a location names the URL, of those that which describes.
func (db *DB) names(ctx context.Context, tx *sql.Tx, url image.Secret, which clause) (bool, error) {
	where := conditions{db.urls.named("l.value", url), which}.join()
	rows, err := tx.QueryContext(ctx, "SELECT l.value FROM image_locations l LEFT JOIN images i ON i.id = l.image_id WHERE "+where.sql, where.args...)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return false, err
		}
		if db.urls.open(text) == url {
			return true, nil
		}
	}
	return false, rows.Err()
}
