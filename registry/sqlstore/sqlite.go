package sqlstore

import (
	"context"
	"database/sql"
	_ "embed" // the schema
	"errors"
	"io/fs"
	"net/url"
	"time"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"
	driver "modernc.org/sqlite"
	code "modernc.org/sqlite/lib"
)

//go:embed glance/sqlite.sql
var sqliteGlance string

// sqlite is the embedded engine. Its transactions take the write lock when they
// begin, which does for SELECT ... FOR UPDATE.
type sqlite struct{}

func (sqlite) open(a address, _ bool) (*sql.DB, error) {
	q := url.Values{
		"_txlock": {"immediate"},
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"},
	}
	return sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: a.path}).EscapedPath(), RawQuery: q.Encode()}).String())
}

func (sqlite) write() *sql.TxOptions { return nil }

func (sqlite) forUpdate() string { return "" }

func (sqlite) now() string { return "CAST(unixepoch('subsec') * 1000000 AS INTEGER)" }

func (sqlite) insertNew() string { return "INSERT OR IGNORE INTO" }

func (sqlite) onTaken(key, set string) string {
	return " ON CONFLICT (" + key + ") DO UPDATE SET " + set
}

// timeText always has six digits behind the point, as Glance writes them.
func (sqlite) timeText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000000") }

func (sqlite) fold(id string) string { return id }

func (sqlite) class(err error) class {
	var e *driver.Error
	if !errors.As(err, &e) {
		return other
	}
	switch e.Code() {
	case code.SQLITE_CONSTRAINT_UNIQUE, code.SQLITE_CONSTRAINT_PRIMARYKEY:
		return taken
	}
	switch e.Code() & 0xff {
	case code.SQLITE_BUSY, code.SQLITE_LOCKED:
		return transient
	case code.SQLITE_TOOBIG, code.SQLITE_MISMATCH:
		return unfit
	case code.SQLITE_READONLY, code.SQLITE_IOERR, code.SQLITE_FULL, code.SQLITE_CANTOPEN, code.SQLITE_INTERRUPT, code.SQLITE_CORRUPT, code.SQLITE_NOTADB:
		return away
	}
	return other
}

func (sqlite) goose() goose.Dialect { return goose.DialectSQLite3 }

func (sqlite) migrations() (fs.FS, error) { return fs.Sub(migrationFiles, "migrations/sqlite") }

func (sqlite) glanceSchema() string { return sqliteGlance }

// lock locks a file beside the database.
func (sqlite) lock(ctx context.Context, _ *sql.DB, a address) (func() error, error) {
	f := flock.New(a.path + ".lock")
	if _, err := f.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return nil, err
	}
	return f.Close, nil
}

func (sqlite) tables() string { return "SELECT name FROM sqlite_master WHERE type = 'table'" }

func (sqlite) indexes() string {
	return "SELECT tbl_name, name FROM sqlite_master WHERE type = 'index'"
}

func (sqlite) dropIndex(_, index string) string { return "DROP INDEX " + index }
