package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"
	"time"

	"glimpse/registry/image"
)

// A record is loaded by one statement, so that it is one moment's truth without
// a transaction: the image and all its children are parts of one UNION ALL, whose
// columns mean what the part says.
const (
	partImage = iota
	partProperty
	partTag
	partLocation
	partVersion
)

// imageColumns are the columns of a record that can be written, in the order in
// which they are loaded.
var imageColumns = []string{
	"name", "status", "visibility", "owner", "size", "virtual_size", "disk_format", "container_format",
	"checksum", "os_hash_algo", "os_hash_value", "min_disk", "min_ram", "protected", "os_hidden",
}

// width is that of the union: part, image id, the columns, four more.
var width = 2 + len(imageColumns) + 4

// record is an image with what its row and its children's rows say besides.
type record struct {
	image.Image
	deleted bool
	tagRows []tagRow
}

type tagRow struct {
	id    int64
	value string
}

// queryer is a pool or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// loadQuery loads n images.
func loadQuery(n int) string {
	in := "IN (" + marks(n) + ")"
	pad := func(used int) string { return strings.Repeat(", NULL", width-used) }
	return "SELECT 0, id, " + strings.Join(imageColumns, ", ") + ", created_at, updated_at, deleted_at, deleted FROM images WHERE id " + in +
		" UNION ALL SELECT 1, image_id, id, name, value" + pad(5) + " FROM image_properties WHERE deleted = 0 AND image_id " + in +
		" UNION ALL SELECT 2, image_id, id, value" + pad(4) + " FROM image_tags WHERE deleted = 0 AND image_id " + in +
		" UNION ALL SELECT 3, image_id, id, value, meta_data, status" + pad(6) + " FROM image_locations WHERE deleted = 0 AND image_id " + in +
		" UNION ALL SELECT 4, image_id, version" + pad(3) + " FROM glimpse_image_version WHERE image_id " + in
}

// load returns the images among ids that there are, deleted ones too, in the
// order of ids.
func (db *DB) load(ctx context.Context, q queryer, ids ...string) ([]*record, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var args []any
	for range partVersion + 1 {
		for _, id := range ids {
			args = append(args, id)
		}
	}
	rows, err := q.QueryContext(ctx, loadQuery(len(ids)), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := make(map[string]*parts, len(ids))
	for rows.Next() {
		if err := db.collect(rows, found); err != nil {
			return nil, err
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return db.assemble(ids, found)
}

// parts are the rows of one image.
type parts [partVersion + 1][][]cell

func (db *DB) collect(rows *sql.Rows, to map[string]*parts) error {
	cells := make([]cell, width)
	if err := scan(rows, cells); err != nil {
		return err
	}
	id := db.d.fold(cells[1].String)
	if to[id] == nil {
		to[id] = &parts{}
	}
	part := cells[0].int()
	to[id][part] = append(to[id][part], cells)
	return nil
}

func (db *DB) assemble(ids []string, from map[string]*parts) ([]*record, error) {
	records := make([]*record, 0, len(ids))
	for _, id := range ids {
		p := from[db.d.fold(id)]
		if p == nil || len(p[partImage]) == 0 {
			continue
		}
		r, err := p.record(db.urls)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}

func (p *parts) record(u urls) (*record, error) {
	r, err := imageRow(p[partImage][0])
	if err != nil {
		return nil, err
	}
	for _, rows := range p[partProperty : partLocation+1] {
		slices.SortFunc(rows, func(a, b []cell) int { return cmp.Compare(a[2].int(), b[2].int()) })
	}
	for _, c := range p[partProperty] {
		r.Properties[c[3].String] = c[4].String // NULL reads as ""
	}
	for _, c := range p[partTag] {
		r.tagRows = append(r.tagRows, tagRow{c[2].int(), c[3].String})
		if !slices.Contains(r.Tags, c[3].String) {
			r.Tags = append(r.Tags, c[3].String)
		}
	}
	for _, c := range p[partLocation] {
		r.Locations = append(r.Locations, image.Location{
			ID: c[2].int(), URL: u.open(c[3].String), Metadata: decodeMetadata(c[4].String), Status: c[5].String,
		})
	}
	for _, c := range p[partVersion] {
		r.Version = c[2].int()
	}
	return r, nil
}

func imageRow(c []cell) (*record, error) {
	v := c[2:]
	r := &record{Image: image.Image{
		ID: c[1].String, Name: v[0].text(), Status: image.Status(v[1].String), Visibility: image.Visibility(v[2].String),
		Owner: v[3].text(), Size: v[4].number(), VirtualSize: v[5].number(), DiskFormat: v[6].text(), ContainerFormat: v[7].text(),
		Checksum: v[8].text(), HashAlgo: v[9].text(), HashValue: v[10].text(), MinDisk: v[11].int(), MinRAM: v[12].int(),
		Protected: v[13].bool(), Hidden: v[14].bool(), Properties: map[string]string{},
	}}
	created, err := v[15].time()
	if err != nil {
		return nil, err
	}
	updated, err := v[16].time()
	if err != nil {
		return nil, err
	}
	if r.DeletedAt, err = v[17].time(); err != nil {
		return nil, err
	}
	r.deleted = v[18].bool()
	if created != nil {
		r.CreatedAt, r.UpdatedAt = created.Truncate(time.Second), created.Truncate(time.Second)
	}
	if updated != nil {
		r.UpdatedAt = updated.Truncate(time.Second)
	}
	return r, nil
}

// values are the columns of imageColumns.
func values(m image.Image) []any {
	return []any{
		m.Name, string(m.Status), string(m.Visibility), m.Owner, m.Size, m.VirtualSize, m.DiskFormat, m.ContainerFormat,
		m.Checksum, m.HashAlgo, m.HashValue, m.MinDisk, m.MinRAM, m.Protected, m.Hidden,
	}
}

// properties returns names in a fixed order, so that two writers of the same
// rows lock them in the same order.
func properties(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
