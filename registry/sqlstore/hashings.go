package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"glimpse/registry"
)

// WishHash notes the image. The wish takes the place of an earlier one.
func (db *DB) WishHash(ctx context.Context, imageID string, wait time.Duration) (registry.Hashing, error) {
	if err := registry.Text("id", imageID, idLength); err != nil {
		return registry.Hashing{}, err
	}
	token, err := newToken()
	if err != nil {
		return registry.Hashing{}, err
	}
	err = db.write(ctx, "wish hash", func(tx *sql.Tx) error {
		us := wait.Microseconds()
		_, err := exec(ctx, tx, "INSERT INTO glimpse_hashing (image_id, token, tries, due) VALUES (?, ?, 0, "+db.d.now()+" + ?)"+
			db.d.onTaken("image_id", "token = ?, tries = 0, due = "+db.d.now()+" + ?"), imageID, token, us, token, us)
		return err
	})
	return registry.Hashing{ImageID: imageID, Token: token}, err
}

// NextHash takes the image that has been due for longest.
func (db *DB) NextHash(ctx context.Context, hold time.Duration) (h registry.Hashing, ok bool, err error) {
	err = db.write(ctx, "next hash", func(tx *sql.Tx) error {
		h, ok = registry.Hashing{}, false
		err := tx.QueryRowContext(ctx, "SELECT image_id, token, tries FROM glimpse_hashing WHERE due <= "+db.d.now()+" ORDER BY due, image_id LIMIT 1"+
			db.d.forUpdate()).Scan(&h.ImageID, &h.Token, &h.Tries)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		ok = true
		_, err = exec(ctx, tx, "UPDATE glimpse_hashing SET due = "+db.d.now()+" + ? WHERE image_id = ?", hold.Microseconds(), h.ImageID)
		return err
	})
	return h, ok && err == nil, err
}

// KeepHash makes the image due after wait.
func (db *DB) KeepHash(ctx context.Context, h registry.Hashing, wait time.Duration) error {
	return db.write(ctx, "keep hash", func(tx *sql.Tx) error {
		_, err := exec(ctx, tx, "UPDATE glimpse_hashing SET tries = ?, due = "+db.d.now()+" + ? WHERE image_id = ? AND token = ?", h.Tries, wait.Microseconds(), h.ImageID, h.Token)
		return err
	})
}

// DoneHash forgets the image.
func (db *DB) DoneHash(ctx context.Context, h registry.Hashing) error {
	return db.write(ctx, "done hash", func(tx *sql.Tx) error {
		_, err := exec(ctx, tx, "DELETE FROM glimpse_hashing WHERE image_id = ? AND token = ?", h.ImageID, h.Token)
		return err
	})
}
