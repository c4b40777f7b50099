package sqlstore

import (
	"context"
	"database/sql"
	"maps"

	"glimpse/registry"
	"glimpse/registry/image"
)

// Activate moves the image from saving to active with all that a tells.
func (db *DB) Activate(ctx context.Context, token string, a registry.Activation) (image.Image, error) {
	if err := activatable(a); err != nil {
		return image.Image{}, err
	}
	var stored image.Image
	err := db.underLock(ctx, "activate", token, func(tx *sql.Tx, at attempt, old *record) error {
		if old == nil || at.State != registry.UploadLive || at.lapsed || !at.newest || old.Status != image.Saving {
			return errGone()
		}
		before := map[int64]bool{}
		for _, l := range old.Locations {
			before[l.ID] = true
		}
		var err error
		stored, err = db.change(ctx, tx, old, func(m *image.Image) error { return activate(m, a) })
		if err != nil {
			return err
		}
		for _, l := range stored.Locations {
			if !before[l.ID] {
				if err := db.putBytes(ctx, tx, l.ID, a); err != nil {
					return err
				}
			}
		}
		return db.setState(ctx, tx, at, registry.UploadDone)
	})
	return stored, err
}

// Adopt is Update for an attempt that is complete.
func (db *DB) Adopt(ctx context.Context, token, holder string, fn func(*image.Image) error) (image.Image, error) {
	if err := registry.Text("Node", holder, 255); err != nil {
		return image.Image{}, err
	}
	var stored image.Image
	err := db.underLock(ctx, "adopt", token, func(tx *sql.Tx, at attempt, old *record) (err error) {
		if old == nil || at.State != registry.UploadLive || at.lapsed {
			return errGone()
		}
		if stored, err = db.change(ctx, tx, old, fn); err != nil {
			return err
		}
		for _, l := range stored.Locations {
			if l.URL == at.Locator {
				if err := db.putHolder(ctx, tx, l.ID, holder); err != nil {
					return err
				}
			}
		}
		return db.setState(ctx, tx, at, registry.UploadDone)
	})
	return stored, err
}

// activatable says whether our own tables can hold what the upload found out.
func activatable(a registry.Activation) error {
	for _, c := range []struct {
		field, value string
		max          int
	}{
		{"Validator", a.Validator, 1024}, {"Node", a.Node, 255}, {"Key", a.Key, 255}, {"Hash", a.HashValue, 128}, {"Hash algorithm", a.HashAlgo, 64},
	} {
		if err := registry.Text(c.field, c.value, c.max); err != nil {
			return err
		}
	}
	return nil
}

func activate(m *image.Image, a registry.Activation) error {
	if err := m.SetStatus(image.Active); err != nil {
		return err
	}
	m.Size, m.VirtualSize = &a.Size, a.VirtualSize
	m.Checksum, m.HashAlgo, m.HashValue = &a.Checksum, &a.HashAlgo, &a.HashValue
	m.Locations = append(m.Locations, image.Location{URL: a.URL, Metadata: maps.Clone(a.Metadata), Status: string(image.Active)})
	return nil
}

// putBytes files what is known of the bytes behind a new location.
func (db *DB) putBytes(ctx context.Context, tx *sql.Tx, location int64, a registry.Activation) error {
	c := registry.Content{LocationID: location, Algo: a.HashAlgo, Hash: a.HashValue, Size: a.Size, Key: a.Key}
	if err := db.putContent(ctx, tx, c, a.Segments); err != nil {
		return err
	}
	if err := db.putPin(ctx, tx, registry.Pin{LocationID: location, Size: a.Size, Validator: a.Validator}); err != nil {
		return err
	}
	return db.putHolder(ctx, tx, location, a.Node)
}

func (db *DB) putHolder(ctx context.Context, tx *sql.Tx, location int64, node string) error {
	if node == "" {
		return nil
	}
	_, err := exec(ctx, tx, db.d.insertNew()+" glimpse_location_node (location_id, node) VALUES (?, ?)", location, node)
	return err
}
