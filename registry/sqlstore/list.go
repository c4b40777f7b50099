package sqlstore

import (
	"context"
	"strings"

	"glimpse/registry"
	"glimpse/registry/image"
)

// clause is a piece of SQL with its arguments.
type clause struct {
	sql  string
	args []any
}

// conditions are joined by AND.
type conditions []clause

func (c *conditions) add(sql string, args ...any) { *c = append(*c, clause{sql, args}) }

func (c conditions) join() clause {
	var all clause
	for i, one := range c {
		if i > 0 {
			all.sql += " AND "
		}
		all.sql += one.sql
		all.args = append(all.args, one.args...)
	}
	return all
}

// List returns one page: a query for the ids, then one for the records.
func (db *DB) List(ctx context.Context, q registry.Query) ([]image.Image, error) {
	defer db.observe("list")()
	if err := q.Check(); err != nil {
		return nil, err
	}
	if q.Limit <= 0 {
		return []image.Image{}, nil
	}
	page, err := db.page(ctx, q)
	return page, db.wrap(ctx, "list", err)
}

func (db *DB) page(ctx context.Context, q registry.Query) ([]image.Image, error) {
	query, ok, err := db.pageQuery(ctx, q)
	if err != nil || !ok {
		return []image.Image{}, err
	}
	ids, err := db.ids(ctx, query)
	if err != nil {
		return nil, err
	}
	records, err := db.load(ctx, db.pool, ids...)
	if err != nil {
		return nil, err
	}
	// A record deleted since is still given: a page that is short means the end.
	page := make([]image.Image, len(records))
	for i, r := range records {
		page[i] = r.Image
	}
	return page, nil
}

func (db *DB) ids(ctx context.Context, query clause) ([]string, error) {
	rows, err := db.pool.QueryContext(ctx, query.sql, query.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// pageQuery builds the query for the ids; ok=false where no rule of visibility
// can hold.
func (db *DB) pageQuery(ctx context.Context, q registry.Query) (query clause, ok bool, err error) {
	common, err := db.filters(q)
	if err != nil {
		return clause{}, false, err
	}
	keys := q.Keys()
	if keys[0].Key == "created_at" {
		// Always true. MariaDB takes an index in order for a range, and else may
		// intersect two that have none.
		common.add("i.created_at >= '1000-01-01 00:00:00'")
	}
	if q.Marker != "" {
		after, err := db.after(ctx, q, keys)
		if err != nil {
			return clause{}, false, err
		}
		common = append(common, after)
	}
	branches := branches(q)
	if len(branches) == 0 {
		return clause{}, false, nil
	}
	return union(branches, common, keys, q.Limit), true, nil
}

// union gives each branch its own order and limit, so that each is served by
// its own index, and merges the few rows that are left. Rows that more than one
// branch found come once.
func union(branches []clause, common conditions, keys []registry.Sort, limit int) clause {
	order := orderBy(keys)
	parts := make([]string, len(branches))
	var all clause
	for i, branch := range branches {
		where := append(conditions{branch}, common...).join()
		parts[i] = "SELECT " + columns(keys) + " FROM images i WHERE " + where.sql + " ORDER BY " + order + " LIMIT ?"
		all.args = append(append(all.args, where.args...), limit)
	}
	if len(parts) == 1 {
		all.sql = parts[0]
		all.sql = "SELECT id FROM (" + all.sql + ") page ORDER BY " + order
		return all
	}
	all.sql = "SELECT id FROM (SELECT * FROM (" + strings.Join(parts, ") b UNION SELECT * FROM (") + ") b) page ORDER BY " + order + " LIMIT ?"
	all.args = append(all.args, limit)
	return all
}

// columns are the sort keys, id among them.
func columns(keys []registry.Sort) string {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = key.Key
	}
	return strings.Join(names, ", ")
}

func orderBy(keys []registry.Sort) string {
	terms := make([]string, len(keys))
	for i, key := range keys {
		terms[i] = key.Key
		if key.Desc {
			terms[i] += " DESC"
		}
	}
	return strings.Join(terms, ", ")
}
