package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	_ "github.com/go-sql-driver/mysql" // the registries that are filled
	_ "modernc.org/sqlite"
)

// registry is a node's database, filled behind its back as a Glance would.
type registry struct{ *sql.DB }

// openRegistry takes what registry.url takes.
func openRegistry(url string) (registry, error) {
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		db, err := sql.Open("sqlite", path)
		return registry{db}, err
	}
	rest := strings.TrimPrefix(url, "mysql://")
	account, place, _ := strings.Cut(rest, "@")
	host, name, _ := strings.Cut(place, "/")
	name, _, _ = strings.Cut(name, "?")
	db, err := sql.Open("mysql", fmt.Sprintf("%s@tcp(%s)/%s", account, host, name))
	return registry{db}, err
}

const imageColumns = "(id, name, size, virtual_size, status, visibility, owner, disk_format, container_format, min_disk, min_ram, protected, os_hidden, deleted, created_at, updated_at)"

// insert adds an active image.
func (r registry) insert(ctx context.Context, id, name, owner, visibility string, size int64) error {
	_, err := r.ExecContext(ctx, "INSERT INTO images "+imageColumns+" VALUES (?, ?, ?, ?, 'active', ?, ?, 'raw', 'bare', 0, 0, 0, 0, 0, ?, ?)",
		id, name, size, size, visibility, owner, stamp(0), stamp(0))
	return err
}

func (r registry) locate(ctx context.Context, id, store, url string) error {
	_, err := r.ExecContext(ctx, "INSERT INTO image_locations (image_id, value, meta_data, status, deleted, created_at, updated_at) VALUES (?, ?, ?, 'active', 0, ?, ?)",
		id, url, fmt.Sprintf("{\"store\": %q}", store), stamp(0), stamp(0))
	return err
}

// location is the URL of an image that has one.
func (r registry) location(ctx context.Context, id string) (url string, err error) {
	err = r.QueryRowContext(ctx, "SELECT value FROM image_locations WHERE image_id = ?", id).Scan(&url)
	return url, err
}

// fill adds n images of 1,000 projects, a tenth of them public, a tenth community,
// the others shared or private in turn.
func (r registry) fill(ctx context.Context, n int) error {
	const batch = 500
	visibility := []string{"public", "community", "shared", "private", "shared", "private", "shared", "private", "shared", "private"}
	tx, err := r.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing after Commit
	for from := 0; from < n; from += batch {
		rows := make([]string, 0, batch)
		args := make([]any, 0, batch*6)
		for i := from; i < min(n, from+batch); i++ {
			rows = append(rows, "(?, ?, 1, 1, 'active', ?, ?, 'raw', 'bare', 0, 0, 0, 0, 0, ?, ?)")
			args = append(args, fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(i)*2654435761, i), fmt.Sprint("image ", i), visibility[i%len(visibility)], fmt.Sprint("project-", i%1000), stamp(i), stamp(i))
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO images "+imageColumns+" VALUES "+strings.Join(rows, ", "), args...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// stamp is a time of the last year, some images to a second.
func stamp(i int) string {
	return time.Date(2026, 1, 1, 0, 0, i%10_000_000/3, 0, time.UTC).Format("2006-01-02 15:04:05")
}
