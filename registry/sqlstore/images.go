package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"glimpse/registry"
	"glimpse/registry/image"
)

// idLength is that of an id's column.
const idLength = 36

// Get returns the live image.
func (db *DB) Get(ctx context.Context, id string) (image.Image, error) {
	defer db.observe("get")()
	if registry.Text("id", id, idLength) != nil {
		return image.Image{}, notFound(id)
	}
	found, err := db.load(ctx, db.pool, id)
	if err != nil {
		return image.Image{}, db.wrap(ctx, "get", err)
	}
	if len(found) == 0 || found[0].deleted {
		return image.Image{}, notFound(id)
	}
	return found[0].Image, nil
}

// Create stores m; Conflict where its id is taken.
func (db *DB) Create(ctx context.Context, m image.Image) (image.Image, error) {
	if err := registry.Storable(m); err != nil {
		return image.Image{}, err
	}
	var stored image.Image
	err := db.write(ctx, "create", func(tx *sql.Tx) error {
		w := db.writer(ctx, tx)
		if err := w.insertImage(m); err != nil {
			return err
		}
		empty := &record{Image: image.Image{ID: m.ID}}
		if err := w.children(empty, m); err != nil {
			return err
		}
		if err := w.bump(m.ID); err != nil {
			return err
		}
		found, err := db.load(ctx, tx, m.ID)
		if err != nil {
			return err
		}
		stored = found[0].Image
		return nil
	})
	return stored, err
}

// Update runs fn on the live record and writes what it changed. A record that fn
// deletes is returned as it was, with DeletedAt and the new status.
func (db *DB) Update(ctx context.Context, id string, fn func(*image.Image) error) (image.Image, error) {
	var stored image.Image
	err := db.write(ctx, "update", func(tx *sql.Tx) error {
		old, err := db.locked(ctx, tx, id)
		if err != nil {
			return err
		}
		stored, err = db.change(ctx, tx, old, fn)
		return err
	})
	return stored, err
}

// locked takes the image's row lock, which comes before every other lock, and
// loads the live record.
func (db *DB) locked(ctx context.Context, tx *sql.Tx, id string) (*record, error) {
	if registry.Text("id", id, idLength) != nil {
		return nil, notFound(id)
	}
	var deleted bool
	err := tx.QueryRowContext(ctx, "SELECT id, deleted FROM images WHERE id = ?"+db.d.forUpdate(), id).Scan(&id, &deleted)
	if errors.Is(err, sql.ErrNoRows) || err == nil && deleted {
		return nil, notFound(id)
	}
	if err != nil {
		return nil, err
	}
	found, err := db.load(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, notFound(id)
	}
	return found[0], nil
}

// change runs fn on a copy of the locked record and writes the difference.
func (db *DB) change(ctx context.Context, tx *sql.Tx, old *record, fn func(*image.Image) error) (image.Image, error) {
	m := old.Clone()
	if err := fn(&m); err != nil {
		return image.Image{}, fnError{err}
	}
	m.ID, m.CreatedAt, m.UpdatedAt, m.DeletedAt, m.Version = old.ID, old.CreatedAt, old.UpdatedAt, nil, old.Version
	if same(old.Image, m) {
		return old.Image, nil
	}
	// What a Glance wrote into tables that hold more than ours may stay.
	if err := registry.Storable(m); err != nil && registry.Storable(old.Image) == nil {
		return image.Image{}, err
	}
	w := db.writer(ctx, tx)
	if m.Status == image.Deleted || m.Status == image.PendingDelete {
		return w.remove(old, m)
	}
	if err := w.updateImage(old, m); err != nil {
		return image.Image{}, err
	}
	if err := w.children(old, m); err != nil {
		return image.Image{}, err
	}
	if err := w.bump(m.ID); err != nil {
		return image.Image{}, err
	}
	found, err := db.load(ctx, tx, m.ID)
	if err != nil {
		return image.Image{}, err
	}
	return found[0].Image, nil
}

// writer writes one image's rows inside a transaction, at one moment.
type writer struct {
	db  *DB
	ctx context.Context // of the transaction, whose life the writer shares
	tx  *sql.Tx
	at  time.Time
	now string // at, as the columns hold it
}

func (db *DB) writer(ctx context.Context, tx *sql.Tx) *writer {
	at := now()
	return &writer{db: db, ctx: ctx, tx: tx, at: at, now: db.d.timeText(at)}
}

func (w *writer) exec(query string, args ...any) (int64, error) {
	return exec(w.ctx, w.tx, query, args...)
}

func (w *writer) insertImage(m image.Image) error {
	args := append([]any{m.ID}, values(m)...)
	args = append(args, w.now, w.now)
	_, err := w.exec("INSERT INTO images (id, "+strings.Join(imageColumns, ", ")+", created_at, updated_at, deleted) VALUES ("+marks(len(args))+", 0)", args...)
	if err != nil && w.db.d.class(err) == taken {
		return image.Wrap(image.Conflict, err, "Image ID "+m.ID+" already exists!")
	}
	return err
}

// updateImage writes the columns that differ, if the status is still what it was.
func (w *writer) updateImage(old *record, m image.Image) error {
	set, args := []string{"updated_at = ?"}, []any{w.now}
	before, after := values(old.Image), values(m)
	for i, column := range imageColumns {
		if !equal(before[i], after[i]) {
			set, args = append(set, column+" = ?"), append(args, after[i])
		}
	}
	n, err := w.exec("UPDATE images SET "+strings.Join(set, ", ")+" WHERE id = ? AND deleted = 0 AND status = ?", append(args, m.ID, string(old.Status))...)
	if err == nil && n != 1 {
		return image.Errorf(image.Conflict, "The image changed meanwhile.")
	}
	return err
}

// bump counts the write.
func (w *writer) bump(id string) error {
	_, err := w.exec("INSERT INTO glimpse_image_version (image_id, version) VALUES (?, 1)"+
		w.db.d.onTaken("image_id", "version = glimpse_image_version.version + 1"), id)
	return err
}

// remove soft-deletes the image with its children, as Glance does.
func (w *writer) remove(old *record, m image.Image) (image.Image, error) {
	n, err := w.exec("UPDATE images SET status = ?, updated_at = ?, deleted_at = ?, deleted = 1 WHERE id = ? AND deleted = 0 AND status = ?",
		string(m.Status), w.now, w.now, m.ID, string(old.Status))
	if err != nil {
		return image.Image{}, err
	}
	if n != 1 {
		return image.Image{}, image.Errorf(image.Conflict, "The image changed meanwhile.")
	}
	for _, table := range []string{"image_properties", "image_tags", "image_members"} {
		if _, err := w.exec("UPDATE "+table+" SET deleted = 1, deleted_at = ?, updated_at = ? WHERE image_id = ? AND deleted = 0", w.now, w.now, m.ID); err != nil {
			return image.Image{}, err
		}
	}
	if _, err := w.exec("UPDATE image_locations SET deleted = 1, deleted_at = ?, updated_at = ?, status = ? WHERE image_id = ? AND deleted = 0",
		w.now, w.now, string(m.Status), m.ID); err != nil {
		return image.Image{}, err
	}
	if err := w.bump(m.ID); err != nil {
		return image.Image{}, err
	}
	gone := old.Clone()
	gone.Status, gone.UpdatedAt, gone.DeletedAt, gone.Version = m.Status, w.at, &w.at, old.Version+1
	return gone, nil
}
