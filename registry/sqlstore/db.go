package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"glimpse/registry"
)

// DB is a registry in an SQL database. Its methods may be called from many
// goroutines.
type DB struct {
	cfg  Config
	at   address
	d    dialect
	pool *sql.DB
	urls urls
}

var _ registry.Registry = (*DB)(nil)

// Open connects; it changes nothing in the database, see Sync. The error is
// Unavailable when the database doesn't answer.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	d, at, err := parse(cfg.URL)
	if err != nil {
		return nil, err
	}
	urls, err := newURLs(cfg.EncryptionKey)
	if err != nil {
		return nil, err
	}
	pool, err := d.open(at, false)
	if err != nil {
		return nil, err
	}
	db := &DB{cfg: cfg.withDefaults(), at: at, d: d, pool: pool, urls: urls}
	db.cfg.limit(pool)
	if err := db.Ping(ctx); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return db, nil
}

// Ping says whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	defer db.observe("ping")()
	var one int
	return db.wrap(ctx, "ping", db.pool.QueryRowContext(ctx, "SELECT 1").Scan(&one))
}

// Close closes the connections.
func (db *DB) Close() error { return db.pool.Close() }

// observe times an operation until the returned function is called.
func (db *DB) observe(op string) func() {
	start := time.Now()
	return func() { db.cfg.Observe(op, time.Since(start)) }
}

// patient opens a second pool for statements that may take long.
func (db *DB) patient() (*sql.DB, error) {
	pool, err := db.d.open(db.at, true)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(4)
	return pool, nil
}
