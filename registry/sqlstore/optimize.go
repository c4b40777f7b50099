package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
)

// index is one that Glance doesn't have. Each serves the order of the default
// list for one rule of visibility.
type index struct{ name, table, columns string }

var indexes = []index{
	{prefix + "images_created", "images", "deleted, created_at, id"},
	{prefix + "images_owner", "images", "owner, deleted, created_at, id"},
	{prefix + "images_visibility", "images", "visibility, deleted, created_at, id"},
	{prefix + "members_member", "image_members", "member, deleted, status, image_id"},
}

// Optimize adds the indexes that the lists want to Glance's tables, where they
// are missing, and returns their names. Glance runs on beside them.
func (db *DB) Optimize(ctx context.Context) (added []string, err error) {
	err = db.alone(ctx, "optimize", func(pool *sql.DB) error {
		added, err = db.optimize(ctx, pool)
		return err
	})
	return added, err
}

func (db *DB) optimize(ctx context.Context, pool *sql.DB) ([]string, error) {
	have, err := db.indexes(ctx, pool)
	if err != nil {
		return nil, err
	}
	var added []string
	for _, x := range indexes {
		if slices.ContainsFunc(have, func(h index) bool { return h.name == x.name }) {
			continue
		}
		if _, err := pool.ExecContext(ctx, "CREATE INDEX "+x.name+" ON "+x.table+" ("+x.columns+")"); err != nil {
			return added, err
		}
		added = append(added, x.name)
	}
	return added, nil
}

func (db *DB) indexes(ctx context.Context, q queryer) ([]index, error) {
	rows, err := q.QueryContext(ctx, db.d.indexes())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []index
	for rows.Next() {
		var x index
		if err := rows.Scan(&x.table, &x.name); err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, rows.Err()
}

// Remove drops all that is Glimpse's: its indexes on Glance's tables and its own
// tables. What they know of images' bytes is lost; Glance's records stay, and a
// Glance runs on. The registry can't be used after it until Sync.
func (db *DB) Remove(ctx context.Context) error {
	err := db.alone(ctx, "remove", func(pool *sql.DB) error {
		have, err := db.indexes(ctx, pool)
		if err != nil {
			return err
		}
		for _, x := range have {
			if strings.HasPrefix(x.name, prefix) && !strings.HasPrefix(x.table, prefix) {
				if _, err := pool.ExecContext(ctx, db.d.dropIndex(x.table, x.name)); err != nil {
					return err
				}
			}
		}
		names, err := db.tables(ctx, pool)
		if err != nil {
			return err
		}
		return drop(ctx, pool, names, func(name string) bool { return name != lockTable })
	})
	if err != nil {
		return err
	}
	// The lock's own table goes last, when the lock is no longer held.
	pool, err := db.patient()
	if err != nil {
		return err
	}
	return db.wrap(ctx, "remove", errors.Join(drop(ctx, pool, []string{lockTable}, func(string) bool { return true }), pool.Close()))
}

func drop(ctx context.Context, pool *sql.DB, names []string, which func(string) bool) error {
	for _, name := range names {
		if strings.HasPrefix(name, prefix) && which(name) {
			if _, err := pool.ExecContext(ctx, "DROP TABLE IF EXISTS "+name); err != nil {
				return err
			}
		}
	}
	return nil
}
