package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"glimpse/registry"
	"glimpse/registry/image"
)

// Content says whether Glimpse itself hashed the bytes behind a location.
func (db *DB) Content(ctx context.Context, locationID int64) (c registry.Content, ok bool, err error) {
	defer db.observe("content")()
	c.LocationID = locationID
	err = db.pool.QueryRowContext(ctx, "SELECT algo, hash, size, content_key FROM glimpse_content WHERE location_id = ?", locationID).Scan(&c.Algo, &c.Hash, &c.Size, &c.Key)
	if err != nil {
		return registry.Content{}, false, db.absent(ctx, "content", err)
	}
	return c, true, nil
}

// absent turns a missing row into no error.
func (db *DB) absent(ctx context.Context, op string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return db.wrap(ctx, op, err)
}

// PutContent files what a fold of all bytes found.
func (db *DB) PutContent(ctx context.Context, c registry.Content, segments [][]byte) error {
	if err := activatable(registry.Activation{HashAlgo: c.Algo, HashValue: c.Hash, Key: c.Key}); err != nil {
		return err
	}
	return db.write(ctx, "put content", func(tx *sql.Tx) error { return db.putContent(ctx, tx, c, segments) })
}

// putContent replaces segments that are filed already: a key stands for bytes that
// never change, so they are the same unless the old ones were damaged.
func (db *DB) putContent(ctx context.Context, tx *sql.Tx, c registry.Content, segments [][]byte) error {
	if _, err := exec(ctx, tx, "INSERT INTO glimpse_content (location_id, algo, hash, size, content_key) VALUES (?, ?, ?, ?, ?)"+
		db.d.onTaken("location_id", "algo = ?, hash = ?, size = ?, content_key = ?"),
		c.LocationID, c.Algo, c.Hash, c.Size, c.Key, c.Algo, c.Hash, c.Size, c.Key); err != nil {
		return err
	}
	for i, b := range segments {
		if _, err := exec(ctx, tx, "INSERT INTO glimpse_manifest (content_key, segment, data) VALUES (?, ?, ?)"+
			db.d.onTaken("content_key, segment", "data = ?"), c.Key, i, b, b); err != nil {
			return err
		}
	}
	return nil
}

// Segment returns one segment of a manifest.
func (db *DB) Segment(ctx context.Context, key string, seg int) (b []byte, ok bool, err error) {
	defer db.observe("segment")()
	err = db.pool.QueryRowContext(ctx, "SELECT data FROM glimpse_manifest WHERE content_key = ? AND segment = ?", key, seg).Scan(&b)
	if err != nil {
		return nil, false, db.absent(ctx, "segment", err)
	}
	return b, true, nil
}

// Holder returns the node in whose folder alone a location's bytes are.
func (db *DB) Holder(ctx context.Context, locationID int64) (node string, err error) {
	defer db.observe("holder")()
	err = db.pool.QueryRowContext(ctx, "SELECT node FROM glimpse_location_node WHERE location_id = ?", locationID).Scan(&node)
	if err != nil {
		return "", db.absent(ctx, "holder", err)
	}
	return node, nil
}

// Pinned returns what was found at the first contact.
func (db *DB) Pinned(ctx context.Context, locationID int64) (p registry.Pin, ok bool, err error) {
	defer db.observe("pinned")()
	p, err = pinned(ctx, db.pool, locationID)
	if err != nil {
		return registry.Pin{}, false, db.absent(ctx, "pinned", err)
	}
	return p, true, nil
}

func pinned(ctx context.Context, q queryer, locationID int64) (registry.Pin, error) {
	p := registry.Pin{LocationID: locationID}
	err := q.QueryRowContext(ctx, "SELECT size, validator, bad FROM glimpse_location WHERE location_id = ?", locationID).Scan(&p.Size, &p.Validator, &p.Bad)
	return p, err
}

// Pin stores p unless the location is pinned already.
func (db *DB) Pin(ctx context.Context, p registry.Pin) (stands registry.Pin, err error) {
	if err := registry.Text("Validator", p.Validator, 1024); err != nil {
		return registry.Pin{}, err
	}
	err = db.write(ctx, "pin", func(tx *sql.Tx) error {
		if err := db.putPin(ctx, tx, p); err != nil {
			return err
		}
		stands, err = pinned(ctx, tx, p.LocationID)
		return err
	})
	return stands, err
}

func (db *DB) putPin(ctx context.Context, tx *sql.Tx, p registry.Pin) error {
	_, err := exec(ctx, tx, db.d.insertNew()+" glimpse_location (location_id, size, validator, bad) VALUES (?, ?, ?, ?)", p.LocationID, p.Size, p.Validator, p.Bad)
	return err
}

// MarkBad sets Bad; NotFound where the location isn't pinned.
func (db *DB) MarkBad(ctx context.Context, locationID int64) error {
	return db.write(ctx, "mark bad", func(tx *sql.Tx) error {
		n, err := exec(ctx, tx, "UPDATE glimpse_location SET bad = ? WHERE location_id = ?", true, locationID)
		if err == nil && n == 0 {
			return image.Errorf(image.NotFound, "Location %d is not pinned.", locationID)
		}
		return err
	})
}

// Setting stores value under name unless there is one, and returns what stands.
func (db *DB) Setting(ctx context.Context, name, value string) (stands string, err error) {
	if err := registry.Text("Setting", name, 255); err != nil {
		return "", err
	}
	if err := registry.Text("Setting", value, 65535); err != nil {
		return "", err
	}
	err = db.write(ctx, "setting", func(tx *sql.Tx) error {
		if _, err := exec(ctx, tx, db.d.insertNew()+" glimpse_setting (name, value) VALUES (?, ?)", name, value); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, "SELECT value FROM glimpse_setting WHERE name = ?", name).Scan(&stands)
	})
	return stands, err
}
