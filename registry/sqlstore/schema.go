package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pressly/goose/v3"
)

// Names of tables that this package knows besides those of the migrations. All
// that is Glimpse's begins with prefix.
const (
	prefix        = "glimpse_"
	lockTable     = prefix + "schema_lock"
	versionTable  = prefix + "schema_version"
	creatingTable = prefix + "creating" // there while Glance's tables are being created
)

// Sync brings the schema up to date: on an empty database Glance's tables with
// the indexes of Optimize, then Glimpse's own. Several nodes may call it at
// once; one works and the others wait.
func (db *DB) Sync(ctx context.Context) error {
	return db.alone(ctx, "sync", func(pool *sql.DB) error {
		heads, err := db.heads(ctx, pool)
		if err != nil {
			return err
		}
		fresh := len(heads) == 0
		if fresh {
			if err := db.createGlance(ctx, pool); err != nil {
				return err
			}
		} else if err := db.accept(heads); err != nil {
			return err
		}
		p, err := db.provider(pool)
		if err != nil {
			return err
		}
		if _, err := p.Up(ctx); err != nil {
			return err
		}
		if fresh {
			_, err = db.optimize(ctx, pool)
		}
		return err
	})
}

// alone runs fn with a patient pool under the schema's lock.
func (db *DB) alone(ctx context.Context, op string, fn func(pool *sql.DB) error) (err error) {
	defer db.observe(op)()
	pool, err := db.patient()
	if err != nil {
		return err
	}
	defer func() { err = db.wrap(ctx, op, errors.Join(err, pool.Close())) }()
	unlock, err := db.d.lock(ctx, pool, db.at)
	if err != nil {
		return err
	}
	return errors.Join(fn(pool), unlock())
}

func (db *DB) accept(heads []string) error {
	warnings, err := judge(heads, db.cfg.AcceptSchema)
	for _, head := range warnings {
		db.cfg.Log.Warn("the database has a newer Glance schema than this version knows", "head", head)
	}
	return err
}

// createGlance makes Glance's tables. MySQL has no transactions for that, so a
// marker says that it was begun, and the head is stamped last.
func (db *DB) createGlance(ctx context.Context, pool *sql.DB) error {
	names, err := db.tables(ctx, pool)
	if err != nil {
		return err
	}
	if !slices.Contains(names, creatingTable) && (slices.Contains(names, "images") || slices.Contains(names, "migrate_version")) {
		return errors.New("sqlstore: the database holds images but no alembic_version: bring it forward with glance-manage db sync first")
	}
	steps := []string{"CREATE TABLE IF NOT EXISTS " + creatingTable + " (id int)"}
	steps = append(steps, statements(db.d.glanceSchema())...)
	steps = append(steps, "INSERT INTO alembic_version (version_num) VALUES ('"+freshHead+"')", "DROP TABLE "+creatingTable)
	return run(ctx, pool, steps)
}

func run(ctx context.Context, pool *sql.DB, steps []string) error {
	for _, step := range steps {
		if _, err := pool.ExecContext(ctx, step); err != nil {
			return fmt.Errorf("%.60s: %w", step, err)
		}
	}
	return nil
}

// statements splits a script; none of ours has a semicolon inside a statement.
func statements(script string) []string {
	var all []string
	for s := range strings.SplitSeq(script, ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			all = append(all, s)
		}
	}
	return all
}

func (db *DB) provider(pool *sql.DB) (*goose.Provider, error) {
	files, err := db.d.migrations()
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(db.d.goose(), pool, files, goose.WithTableName(versionTable),
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
}

// Version returns Glance's alembic heads and the version of Glimpse's own
// tables; none and 0 where there are no such tables. It changes nothing.
func (db *DB) Version(ctx context.Context) (glanceHeads []string, glimpse int64, err error) {
	defer db.observe("version")()
	if glanceHeads, err = db.heads(ctx, db.pool); err != nil {
		return nil, 0, db.wrap(ctx, "version", err)
	}
	names, err := db.tables(ctx, db.pool)
	if err != nil || !slices.Contains(names, versionTable) {
		return glanceHeads, 0, db.wrap(ctx, "version", err)
	}
	err = db.pool.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM "+versionTable+" WHERE is_applied = 1").Scan(&glimpse)
	return glanceHeads, glimpse, db.wrap(ctx, "version", err)
}

func (db *DB) heads(ctx context.Context, q queryer) ([]string, error) {
	names, err := db.tables(ctx, q)
	if err != nil || !slices.Contains(names, "alembic_version") {
		return nil, err
	}
	return column(ctx, q, "SELECT version_num FROM alembic_version ORDER BY version_num")
}

func (db *DB) tables(ctx context.Context, q queryer) ([]string, error) {
	return column(ctx, q, db.d.tables())
}

func column(ctx context.Context, q queryer, query string, args ...any) ([]string, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}
