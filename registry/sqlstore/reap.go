package sqlstore

import (
	"context"
	"database/sql"
	"strings"

	"glimpse/registry"
	"glimpse/registry/image"
)

// Fail ends the attempt.
func (db *DB) Fail(ctx context.Context, token string, clean bool) error {
	err := db.underLock(ctx, "fail upload", token, func(tx *sql.Tx, a attempt, old *record) error {
		next := registry.UploadFailed
		if clean {
			next = registry.UploadClean
		}
		switch a.State {
		case registry.UploadLive:
			return db.end(ctx, tx, a, old, next)
		case registry.UploadFailed:
			return db.setState(ctx, tx, a, next)
		case registry.UploadDone:
			if clean && a.imageGone {
				return db.setState(ctx, tx, a, next)
			}
		}
		return nil
	})
	if image.KindOf(err) == image.Gone { // purged with its image
		return nil
	}
	return err
}

// end makes a live attempt over, and the image queued again if it still waits
// for this attempt.
func (db *DB) end(ctx context.Context, tx *sql.Tx, a attempt, old *record, next registry.UploadState) error {
	if err := db.setState(ctx, tx, a, next); err != nil {
		return err
	}
	if old == nil || old.Status != image.Saving || !a.newest {
		return nil
	}
	_, err := db.change(ctx, tx, old, func(m *image.Image) error { return m.SetStatus(image.Queued) })
	return err
}

func (db *DB) setState(ctx context.Context, tx *sql.Tx, a attempt, next registry.UploadState) error {
	_, err := exec(ctx, tx, "UPDATE glimpse_uploads SET state = ? WHERE token = ? AND state = ?", string(next), a.Token, string(a.State))
	return err
}

// Retire makes done attempts at a locator failed.
func (db *DB) Retire(ctx context.Context, imageID string, at image.Secret) (found bool, err error) {
	err = db.write(ctx, "retire upload", func(tx *sql.Tx) error {
		found = false
		// A locator may be sealed, each time otherwise: it is compared here.
		all, err := db.done(ctx, tx, imageID)
		if err != nil {
			return err
		}
		for _, up := range all {
			if up.Locator != at {
				continue
			}
			if err := db.setState(ctx, tx, attempt{Upload: up}, registry.UploadFailed); err != nil {
				return err
			}
			found = true
		}
		return nil
	})
	return found && err == nil, err
}

// done returns the done attempts of an image.
func (db *DB) done(ctx context.Context, q queryer, imageID string) ([]registry.Upload, error) {
	rows, err := q.QueryContext(ctx, "SELECT "+uploadColumns+" FROM glimpse_uploads u WHERE u.image_id = ? AND u.state = 'done'", imageID)
	if err != nil {
		return nil, err
	}
	return db.uploadsOf(rows)
}

// Lapsed returns the attempts that a reaper should look at. The grace is one
// lease.
func (db *DB) Lapsed(ctx context.Context, n int, within registry.Reach) ([]registry.Upload, error) {
	defer db.observe("lapsed uploads")()
	all, err := db.lapsed(ctx, n, within)
	return all, db.wrap(ctx, "lapsed uploads", err)
}

func (db *DB) lapsed(ctx context.Context, n int, within registry.Reach) ([]registry.Upload, error) {
	args := []any{db.cfg.UploadLease.Microseconds()}
	here := ""
	if within.Stores != nil {
		here, args = " AND u.store"+among(within.Stores), appendAll(args, within.Stores)
	}
	if len(within.Own) > 0 {
		here += " AND (u.node = ? OR NOT u.store" + among(within.Own) + ")"
		args = appendAll(append(args, within.Node), within.Own)
	}
	// A done attempt whose image is pending_delete keeps its bytes.
	rows, err := db.pool.QueryContext(ctx, "SELECT "+uploadColumns+" FROM glimpse_uploads u LEFT JOIN images i ON i.id = u.image_id"+
		" WHERE (u.state = 'live' AND u.lease_until < "+db.d.now()+" - ?) OR (u.state = 'failed'"+
		" OR (u.state = 'done' AND (i.id IS NULL OR i.deleted = 1 AND i.status <> 'pending_delete')))"+here+" ORDER BY u.id LIMIT ?",
		append(args, max(n, 0))...)
	if err != nil {
		return nil, err
	}
	return db.uploadsOf(rows)
}

// among is the condition to be one of some values, which appendAll appends.
func among(values []string) string {
	if len(values) == 0 {
		return " IN (NULL)" // none is
	}
	return " IN (?" + strings.Repeat(", ?", len(values)-1) + ")"
}

func appendAll(args []any, values []string) []any {
	for _, v := range values {
		args = append(args, v)
	}
	return args
}

func (db *DB) uploadsOf(rows *sql.Rows) ([]registry.Upload, error) {
	defer rows.Close()
	var all []registry.Upload
	for rows.Next() {
		c := make([]cell, 8)
		if err := scan(rows, c); err != nil {
			return nil, err
		}
		all = append(all, db.upload(c))
	}
	return all, rows.Err()
}

// Reap decides about one attempt. An attempt that noted no locator never wrote a
// byte: it is clean at once and there is nothing to delete.
func (db *DB) Reap(ctx context.Context, token string) (deletable bool, err error) {
	err = db.underLock(ctx, "reap upload", token, func(tx *sql.Tx, a attempt, old *record) error {
		deletable = false
		switch a.State {
		case registry.UploadLive:
			if !a.lapsed {
				return nil
			}
			if err := db.end(ctx, tx, a, old, registry.UploadFailed); err != nil {
				return err
			}
			a.State = registry.UploadFailed
		case registry.UploadDone:
			if !a.imageGone || a.bytesWanted {
				return nil
			}
		case registry.UploadClean:
			return nil
		}
		if a.Locator == "" {
			return db.setState(ctx, tx, a, registry.UploadClean)
		}
		named, err := db.named(ctx, tx, a.Locator)
		deletable = err == nil && !named
		return err
	})
	if image.KindOf(err) == image.Gone {
		return false, nil
	}
	return deletable, err
}
