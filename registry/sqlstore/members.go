package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"glimpse/registry"
	"glimpse/registry/image"
)

const memberQuery = "SELECT id, image_id, member, can_share, status, created_at, updated_at FROM image_members WHERE image_id = ? AND deleted = 0"

// Members returns the live members of an image, oldest first.
func (db *DB) Members(ctx context.Context, imageID string) ([]image.Member, error) {
	defer db.observe("members")()
	if registry.Text("id", imageID, idLength) != nil {
		return nil, nil
	}
	all, err := members(ctx, db.pool, memberQuery+" ORDER BY id", imageID)
	return all, db.wrap(ctx, "members", err)
}

// Member returns one of them.
func (db *DB) Member(ctx context.Context, imageID, project string) (image.Member, error) {
	defer db.observe("member")()
	m, err := member(ctx, db.pool, imageID, project)
	return m, db.wrap(ctx, "member", err)
}

func member(ctx context.Context, q queryer, imageID, project string) (image.Member, error) {
	none := image.Errorf(image.NotFound, "%s not found in the member list of the image %s.", project, imageID)
	if registry.Text("Member", project, 255) != nil || registry.Text("id", imageID, idLength) != nil {
		return image.Member{}, none
	}
	found, err := members(ctx, q, memberQuery+" AND member = ? ORDER BY id", imageID, project)
	if err != nil {
		return image.Member{}, err
	}
	if len(found) == 0 {
		return image.Member{}, none
	}
	return found[0], nil
}

func members(ctx context.Context, q queryer, query string, args ...any) ([]image.Member, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []image.Member
	for rows.Next() {
		c := make([]cell, 7)
		if err := scan(rows, c); err != nil {
			return nil, err
		}
		m := image.Member{ID: c[0].int(), ImageID: c[1].String, MemberID: c[2].String, CanShare: c[3].bool(), Status: image.MemberStatus(c[4].String)}
		created, err := c[5].time()
		if err != nil {
			return nil, err
		}
		updated, err := c[6].time()
		if err != nil {
			return nil, err
		}
		if created != nil {
			m.CreatedAt, m.UpdatedAt = created.Truncate(time.Second), created.Truncate(time.Second)
		}
		if updated != nil {
			m.UpdatedAt = updated.Truncate(time.Second)
		}
		all = append(all, m)
	}
	return all, rows.Err()
}

// AddMember shares the image. A project that was a member before gets its row
// back, since (image, member, deleted_at) is unique.
func (db *DB) AddMember(ctx context.Context, imageID, project string, limit int) (image.Member, error) {
	if err := registry.Text("Member", project, 255); err != nil {
		return image.Member{}, err
	}
	return db.changeMember(ctx, "add member", imageID, project, func(w *writer, id string) error {
		all, err := members(ctx, w.tx, memberQuery, id)
		if err != nil {
			return err
		}
		if limit >= 0 && len(all)+1 > limit {
			return image.Errorf(image.TooLarge, "The limit has been exceeded on the number of allowed image members for this image. Attempted: %d, Maximum: %d", len(all)+1, limit)
		}
		switch _, err := member(ctx, w.tx, id, project); {
		case err == nil:
			return image.Errorf(image.Conflict, "The target member %s is already associated with image %s.", project, id)
		case image.KindOf(err) != image.NotFound:
			return err
		}
		n, err := w.exec("UPDATE image_members SET deleted = 0, deleted_at = NULL, status = 'pending', can_share = 0, updated_at = ? WHERE id = ("+
			"SELECT id FROM (SELECT MAX(id) AS id FROM image_members WHERE image_id = ? AND member = ? AND deleted = 1) newest)", w.now, id, project)
		if err != nil || n > 0 {
			return err
		}
		_, err = w.exec("INSERT INTO image_members (image_id, member, can_share, status, created_at, updated_at, deleted) VALUES (?, ?, 0, 'pending', ?, ?, 0)", id, project, w.now, w.now)
		return err
	})
}

// SetMemberStatus says what the other project thinks of the share.
func (db *DB) SetMemberStatus(ctx context.Context, imageID, project string, s image.MemberStatus) (image.Member, error) {
	switch s {
	case image.MemberPending, image.MemberAccepted, image.MemberRejected:
	default:
		return image.Member{}, image.Errorf(image.Invalid, "%q is not a status of a member.", s)
	}
	return db.changeMember(ctx, "set member", imageID, project, func(w *writer, id string) error {
		_, err := w.exec("UPDATE image_members SET status = ?, updated_at = ? WHERE image_id = ? AND member = ? AND deleted = 0", string(s), w.now, id, project)
		return err
	})
}

// RemoveMember ends the share.
func (db *DB) RemoveMember(ctx context.Context, imageID, project string) error {
	return db.write(ctx, "remove member", func(tx *sql.Tx) error {
		old, err := db.locked(ctx, tx, imageID)
		if err != nil {
			return err
		}
		if _, err := member(ctx, tx, old.ID, project); err != nil {
			return err
		}
		w := db.writer(ctx, tx)
		if _, err := w.exec("UPDATE image_members SET deleted = 1, deleted_at = ?, updated_at = ? WHERE image_id = ? AND member = ? AND deleted = 0", w.now, w.now, old.ID, project); err != nil {
			return err
		}
		return w.bump(old.ID)
	})
}

// changeMember runs fn under the image's row lock and returns the membership as
// it then is. The write counts as one to the image: who may see it is part of
// what a lease on its record promises.
func (db *DB) changeMember(ctx context.Context, op, imageID, project string, fn func(w *writer, id string) error) (image.Member, error) {
	var m image.Member
	err := db.write(ctx, op, func(tx *sql.Tx) error {
		old, err := db.locked(ctx, tx, imageID)
		if err != nil {
			return err
		}
		w := db.writer(ctx, tx)
		if err := fn(w, old.ID); err != nil {
			return err
		}
		if m, err = member(ctx, tx, old.ID, project); err != nil {
			return err
		}
		return w.bump(old.ID)
	})
	return m, err
}
