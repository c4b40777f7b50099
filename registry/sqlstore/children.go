package sqlstore

import (
	"maps"
	"slices"
	"strings"

	"glimpse/registry/image"
)

// same says that no column and no child differs.
func same(a, b image.Image) bool {
	return slices.EqualFunc(values(a), values(b), equal) && maps.Equal(a.Properties, b.Properties) &&
		slices.Equal(a.Tags, b.Tags) && slices.EqualFunc(a.Locations, b.Locations, sameLocation)
}

func sameLocation(a, b image.Location) bool {
	return a.ID == b.ID && a.URL == b.URL && a.Status == b.Status && maps.Equal(a.Metadata, b.Metadata)
}

// equal compares two column values, of which some are pointers.
func equal(a, b any) bool {
	switch x := a.(type) {
	case *string:
		y := b.(*string)
		return x == y || x != nil && y != nil && *x == *y
	case *int64:
		y := b.(*int64)
		return x == y || x != nil && y != nil && *x == *y
	}
	return a == b
}

// children writes what differs among the properties, tags and locations.
func (w *writer) children(old *record, m image.Image) error {
	if err := w.properties(old, m); err != nil {
		return err
	}
	if err := w.tags(old, m); err != nil {
		return err
	}
	return w.locations(old, m)
}

func (w *writer) properties(old *record, m image.Image) error {
	for _, name := range properties(old.Properties) {
		if _, keep := m.Properties[name]; keep {
			continue
		}
		if _, err := w.exec("UPDATE image_properties SET deleted = 1, deleted_at = ?, updated_at = ? WHERE image_id = ? AND name = ? AND deleted = 0",
			w.now, w.now, m.ID, name); err != nil {
			return err
		}
	}
	for _, name := range properties(m.Properties) {
		before, had := old.Properties[name]
		value := m.Properties[name]
		var err error
		switch {
		case !had:
			err = w.addProperty(m.ID, name, value, len(old.Properties) > 0 || old.Status != "")
		case before != value:
			_, err = w.exec("UPDATE image_properties SET value = ?, updated_at = ? WHERE image_id = ? AND name = ? AND deleted = 0", value, w.now, m.ID, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addProperty revives the deleted row of that name, if the image isn't new and
// there is one: the name is unique among live and deleted rows.
func (w *writer) addProperty(id, name, value string, revive bool) error {
	if revive {
		n, err := w.exec("UPDATE image_properties SET name = ?, value = ?, deleted = 0, deleted_at = NULL, updated_at = ? WHERE image_id = ? AND name = ? AND deleted = 1",
			name, value, w.now, id, name)
		if err != nil || n > 0 {
			return err
		}
	}
	_, err := w.exec("INSERT INTO image_properties (image_id, name, value, created_at, updated_at, deleted) VALUES (?, ?, ?, ?, ?, 0)", id, name, value, w.now, w.now)
	if err != nil && w.db.d.class(err) == taken {
		return image.Wrap(image.Conflict, err, "The image has a property whose name differs from "+name+" in letter case only.")
	}
	return err
}

func (w *writer) tags(old *record, m image.Image) error {
	for _, row := range old.tagRows {
		if slices.Contains(m.Tags, row.value) {
			continue
		}
		if _, err := w.exec("UPDATE image_tags SET deleted = 1, deleted_at = ?, updated_at = ? WHERE id = ?", w.now, w.now, row.id); err != nil {
			return err
		}
	}
	added := slices.Clone(old.Tags)
	for _, tag := range m.Tags {
		if slices.Contains(added, tag) {
			continue
		}
		if _, err := w.exec("INSERT INTO image_tags (image_id, value, created_at, updated_at, deleted) VALUES (?, ?, ?, ?, 0)", m.ID, tag, w.now, w.now); err != nil {
			return err
		}
		added = append(added, tag)
	}
	return nil
}

func (w *writer) locations(old *record, m image.Image) error {
	for _, l := range old.Locations {
		if slices.ContainsFunc(m.Locations, func(n image.Location) bool { return n.ID == l.ID }) {
			continue
		}
		l.Status = string(image.Deleted)
		if err := w.updateLocation(m.ID, l); err != nil {
			return err
		}
	}
	for _, l := range m.Locations {
		i := slices.IndexFunc(old.Locations, func(n image.Location) bool { return n.ID == l.ID })
		var err error
		switch {
		case l.ID == 0:
			_, err = w.addLocation(m.ID, l)
		case i < 0:
			err = image.Errorf(image.NotFound, "No location found with ID %d from image %s", l.ID, m.ID)
		case !sameLocation(old.Locations[i], l):
			err = w.updateLocation(m.ID, l)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addLocation returns the new row's id.
func (w *writer) addLocation(id string, l image.Location) (int64, error) {
	if l.Status == "" {
		l.Status = string(image.Active)
	}
	url, err := w.db.urls.seal(l.URL)
	if err != nil {
		return 0, err
	}
	res, err := w.tx.ExecContext(w.ctx, "INSERT INTO image_locations (image_id, value, meta_data, status, created_at, updated_at, deleted) VALUES (?, ?, ?, ?, ?, ?, 0)",
		id, url, encodeMetadata(l.Metadata), l.Status, w.now, w.now)
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

// updateLocation writes a location's row; its status says whether it is deleted.
func (w *writer) updateLocation(id string, l image.Location) error {
	url, err := w.db.urls.seal(l.URL)
	if err != nil {
		return err
	}
	set, args := []string{"value = ?", "meta_data = ?", "status = ?", "updated_at = ?"}, []any{url, encodeMetadata(l.Metadata), l.Status, w.now}
	if l.Status == string(image.Deleted) || l.Status == string(image.PendingDelete) {
		set, args = append(set, "deleted = 1", "deleted_at = ?"), append(args, w.now)
	}
	_, err = w.exec("UPDATE image_locations SET "+strings.Join(set, ", ")+" WHERE id = ? AND image_id = ?", append(args, l.ID, id)...)
	return err
}
