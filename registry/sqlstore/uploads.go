package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"time"

	"glimpse/registry"
	"glimpse/registry/image"
)

const uploadColumns = "u.token, u.image_id, u.store, u.node, u.first, u.locator, u.state, u.lease_until"

func errGone() error { return image.Errorf(image.Gone, "The upload is over.") }

// Begin moves the image from queued to saving and notes the attempt.
func (db *DB) Begin(ctx context.Context, imageID, store, node string) (registry.Upload, error) {
	return db.begin(ctx, "begin upload", imageID, store, node, func(tx *sql.Tx, old *record) error {
		_, err := db.change(ctx, tx, old, func(m *image.Image) error { return m.SetStatus(image.Saving) })
		return err
	})
}

// BeginCopy notes an attempt to give an active image another place.
func (db *DB) BeginCopy(ctx context.Context, imageID, store, node string) (registry.Upload, error) {
	return db.begin(ctx, "begin copy", imageID, store, node, func(_ *sql.Tx, old *record) error { return registry.Copyable(old.Image) })
}

func (db *DB) begin(ctx context.Context, op, imageID, store, node string, toward func(*sql.Tx, *record) error) (registry.Upload, error) {
	token, err := newToken()
	if err != nil {
		return registry.Upload{}, err
	}
	for field, s := range map[string]string{"Store": store, "Node": node} {
		if err := registry.Text(field, s, 255); err != nil {
			return registry.Upload{}, err
		}
	}
	var up registry.Upload
	err = db.write(ctx, op, func(tx *sql.Tx) error {
		old, err := db.locked(ctx, tx, imageID)
		if err != nil {
			return err
		}
		if err := toward(tx, old); err != nil {
			return err
		}
		// The image's lock keeps other attempts from being noted meanwhile.
		var earlier int
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM glimpse_uploads WHERE image_id = ?", old.ID).Scan(&earlier); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, "INSERT INTO glimpse_uploads (token, image_id, store, node, first, locator, state, lease_until) VALUES (?, ?, ?, ?, ?, '', ?, "+
			db.d.now()+" + ?)", token, old.ID, store, node, earlier == 0, string(registry.UploadLive), db.cfg.UploadLease.Microseconds()); err != nil {
			return err
		}
		a, err := db.attempt(ctx, tx, token, false)
		if err != nil {
			return err
		}
		up = a.Upload
		return nil
	})
	return up, err
}

func newToken() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return hex.EncodeToString(b[:]), nil
}

// Note stores where the bytes go.
func (db *DB) Note(ctx context.Context, token string, at image.Secret) error {
	if err := registry.Text("Location", at.Reveal(), 65535); err != nil {
		return err
	}
	locator, err := db.urls.seal(at) // it holds credentials as much as a location does
	if err != nil {
		return err
	}
	return db.keep(ctx, "note upload", token, "locator = ?", locator)
}

// Renew makes the lease as long as at Begin.
func (db *DB) Renew(ctx context.Context, token string) error {
	return db.keep(ctx, "renew upload", token, "lease_until = "+db.d.now()+" + ?", db.cfg.UploadLease.Microseconds())
}

// keep changes a live attempt on an image that is still there. It takes the
// attempt's row lock alone; who ends attempts holds the image's lock besides.
func (db *DB) keep(ctx context.Context, op, token, set string, arg any) error {
	return db.write(ctx, op, func(tx *sql.Tx) error {
		n, err := exec(ctx, tx, "UPDATE glimpse_uploads SET "+set+" WHERE token = ? AND state = ?", arg, token, string(registry.UploadLive))
		if err != nil {
			return err
		}
		if n == 0 {
			return errGone()
		}
		a, err := db.attempt(ctx, tx, token, false)
		if err != nil {
			return err
		}
		if a.imageGone {
			return errGone()
		}
		return nil
	})
}

// attempt is an upload with what the decisions about it need.
type attempt struct {
	registry.Upload
	lapsed      bool // the lease has run out
	imageGone   bool // deleted, or purged
	bytesWanted bool // the image is deleted, but its bytes are to be kept a while
	newest      bool // no later attempt on the image
}

// attempt loads an upload; lock takes its row lock. Gone where there is none.
func (db *DB) attempt(ctx context.Context, q queryer, token string, lock bool) (attempt, error) {
	if registry.Text("Token", token, 32) != nil {
		return attempt{}, errGone()
	}
	query := "SELECT " + uploadColumns + ", u.lease_until < " + db.d.now() +
		", (SELECT COUNT(*) FROM images i WHERE i.id = u.image_id AND i.deleted = 0)" +
		", (SELECT COUNT(*) FROM images i WHERE i.id = u.image_id AND i.status = 'pending_delete')" +
		", (SELECT COUNT(*) FROM glimpse_uploads n WHERE n.image_id = u.image_id AND n.id > u.id)" +
		" FROM glimpse_uploads u WHERE u.token = ?"
	if lock {
		// The lock first, then a look at what it guards.
		var id int64
		err := q.QueryRowContext(ctx, "SELECT id FROM glimpse_uploads WHERE token = ?"+db.d.forUpdate(), token).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return attempt{}, errGone()
		} else if err != nil {
			return attempt{}, err
		}
	}
	c := make([]cell, 12)
	to := make([]any, len(c))
	for i := range c {
		to[i] = &c[i]
	}
	err := q.QueryRowContext(ctx, query, token).Scan(to...)
	if errors.Is(err, sql.ErrNoRows) {
		return attempt{}, errGone()
	}
	if err != nil {
		return attempt{}, err
	}
	return attempt{Upload: db.upload(c), lapsed: c[8].bool(), imageGone: c[9].int() == 0, bytesWanted: c[10].int() > 0, newest: c[11].int() == 0}, nil
}

func (db *DB) upload(c []cell) registry.Upload {
	return registry.Upload{
		Token: c[0].String, ImageID: c[1].String, Store: c[2].String, Node: c[3].String, First: c[4].bool(),
		Locator: db.urls.open(c[5].String), State: registry.UploadState(c[6].String), LeaseUntil: time.UnixMicro(c[7].int()).UTC(),
	}
}

// underLock runs fn with the attempt and, where the image still lives, its
// record, both locked, the image first.
func (db *DB) underLock(ctx context.Context, op, token string, fn func(tx *sql.Tx, a attempt, old *record) error) error {
	return db.write(ctx, op, func(tx *sql.Tx) error {
		var id string
		err := tx.QueryRowContext(ctx, "SELECT image_id FROM glimpse_uploads WHERE token = ?", token).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return errGone()
		}
		if err != nil {
			return err
		}
		old, err := db.locked(ctx, tx, id)
		if err != nil && image.KindOf(err) != image.NotFound {
			return err
		}
		a, err := db.attempt(ctx, tx, token, true)
		if err != nil {
			return err
		}
		return fn(tx, a, old)
	})
}
