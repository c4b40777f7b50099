package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"glimpse/registry"
	"glimpse/registry/image"
)

// after is the condition that a row comes behind the marker. It is spelt out, as
// row values don't use the index on every engine:
// k1 > v1 OR k1 = v1 AND k2 > v2 OR ...
func (db *DB) after(ctx context.Context, q registry.Query, keys []registry.Sort) (clause, error) {
	values, err := db.marker(ctx, q, keys)
	if err != nil {
		return clause{}, err
	}
	var any conditions
	var equal conditions
	for i, key := range keys {
		if past, ok := past(key, values[i]); ok {
			any = append(any, append(equal[:len(equal):len(equal)], past).join())
		}
		equal = append(equal, at(key, values[i]))
	}
	terms := make([]string, len(any))
	var c clause
	for i, one := range any {
		terms[i] = "(" + one.sql + ")"
		c.args = append(c.args, one.args...)
	}
	c.sql = "(" + strings.Join(terms, " OR ") + ")"
	return withBound(keys[0], values[0], c), nil
}

// withBound adds what follows from the condition and lets every engine start
// at the right place of an index.
func withBound(key registry.Sort, v cell, c clause) clause {
	switch {
	case !v.Valid, key.Desc && nullable(key.Key):
		return c
	case key.Desc:
		return clause{"i." + key.Key + " <= ? AND " + c.sql, append([]any{argument(key.Key, v)}, c.args...)}
	}
	return clause{"i." + key.Key + " >= ? AND " + c.sql, append([]any{argument(key.Key, v)}, c.args...)}
}

// at is the condition that a key has the marker's value.
func at(key registry.Sort, v cell) clause {
	if !v.Valid {
		return clause{sql: "i." + key.Key + " IS NULL"}
	}
	return clause{"i." + key.Key + " = ?", []any{argument(key.Key, v)}}
}

// past is the condition that a key lies behind the marker's value, NULL being
// the least; ok=false where nothing does.
func past(key registry.Sort, v cell) (c clause, ok bool) {
	column := "i." + key.Key
	switch {
	case !v.Valid && key.Desc:
		return clause{}, false
	case !v.Valid:
		return clause{sql: column + " IS NOT NULL"}, true
	case key.Desc && nullable(key.Key):
		return clause{"(" + column + " < ? OR " + column + " IS NULL)", []any{argument(key.Key, v)}}, true
	case key.Desc:
		return clause{column + " < ?", []any{argument(key.Key, v)}}, true
	}
	return clause{column + " > ?", []any{argument(key.Key, v)}}, true
}

func nullable(key string) bool {
	switch key {
	case "id", "status", "created_at":
		return false
	}
	return true
}

// argument is the marker's value as its column compares it.
func argument(key string, v cell) any {
	if key == "size" {
		return v.int()
	}
	return v.String
}

// marker reads the keys of the marker image, in all the precision they are
// stored with.
func (db *DB) marker(ctx context.Context, q registry.Query, keys []registry.Sort) ([]cell, error) {
	refused := image.Errorf(image.Invalid, "Invalid marker. Image %s could not be found.", q.Marker)
	if registry.Text("id", q.Marker, idLength) != nil {
		return nil, refused
	}
	// The times' texts are what is compared, so no driver may parse them.
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = "CAST(" + key.Key + " AS CHAR)"
	}
	cells := make([]cell, len(keys)+2)
	row := db.pool.QueryRowContext(ctx, "SELECT owner, visibility, "+strings.Join(names, ", ")+" FROM images WHERE id = ? AND deleted = 0", q.Marker)
	to := make([]any, len(cells))
	for i := range cells {
		to[i] = &cells[i]
	}
	switch err := row.Scan(to...); {
	case errors.Is(err, sql.ErrNoRows):
		return nil, refused
	case err != nil:
		return nil, err
	}
	m := image.Image{Owner: cells[0].text(), Visibility: image.Visibility(cells[1].String)}
	visible := m.VisibleTo(q.Project, q.Admin, false)
	if !visible && q.Project != "" {
		_, err := member(ctx, db.pool, q.Marker, q.Project)
		if err != nil && image.KindOf(err) != image.NotFound {
			return nil, err
		}
		visible = m.VisibleTo(q.Project, q.Admin, err == nil)
	}
	if !visible {
		return nil, refused
	}
	return cells[2:], nil
}
