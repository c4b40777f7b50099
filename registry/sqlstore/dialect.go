package sqlstore

import (
	"context"
	"database/sql"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
)

// dialect is what the two engines say differently.
type dialect interface {
	// open makes a pool without connecting. A patient one waits for statements
	// that take as long as they like, such as making an index.
	open(a address, patient bool) (*sql.DB, error)
	// write is how a writing transaction begins.
	write() *sql.TxOptions
	// forUpdate ends a SELECT that locks the rows it returns.
	forUpdate() string
	// now is an expression for the database's clock in microseconds since 1970.
	now() string
	// insertNew begins an INSERT that leaves a row with the same key alone.
	insertNew() string
	// onTaken turns an INSERT into one that sets columns of the row with that key.
	onTaken(key, set string) string
	// timeText is a time as the columns hold it, so that texts compare like times.
	timeText(t time.Time) string
	// fold maps ids that the engine takes for the same to one text.
	fold(id string) string
	// class sorts the driver's errors.
	class(err error) class

	goose() goose.Dialect
	migrations() (fs.FS, error)
	glanceSchema() string
	// lock keeps other nodes from changing the schema until unlock.
	lock(ctx context.Context, db *sql.DB, a address) (unlock func() error, err error)
	// tables is a query for the names of all tables.
	tables() string
	// indexes is a query for (table, index) names.
	indexes() string
	dropIndex(table, index string) string
}

// class says what an error means for the caller.
type class int

const (
	other     class = iota
	transient       // rolled back: worth another try
	taken           // a unique key
	unfit           // a value that the column doesn't hold
	away            // the database can't be reached or can't work
)
