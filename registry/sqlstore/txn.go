package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// A transaction that loses against another is tried again, up to both bounds.
const (
	maxTries = 30
	maxRetry = 15 * time.Second
)

// write runs fn in one READ COMMITTED transaction, again from the start where
// the database rolled it back in favour of another. A COMMIT whose outcome is
// unknown is never tried again: the error is then Unavailable.
func (db *DB) write(ctx context.Context, op string, fn func(tx *sql.Tx) error) error {
	defer db.observe(op)()
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 5*time.Millisecond, 500*time.Millisecond
	start := time.Now()
	for try := 1; ; try++ {
		err := db.once(ctx, fn)
		var own fnError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &own):
			return own.error
		case db.d.class(err) != transient, try == maxTries, time.Since(start) > maxRetry:
			return db.wrap(ctx, op, err)
		}
		if err := pause(ctx, wait.NextBackOff()); err != nil {
			return db.wrap(ctx, op, err)
		}
	}
}

func (db *DB) once(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := db.pool.BeginTx(ctx, db.d.write())
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// exec runs a statement and returns how many rows it matched.
func exec(ctx context.Context, tx *sql.Tx, query string, args ...any) (int64, error) {
	res, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}
