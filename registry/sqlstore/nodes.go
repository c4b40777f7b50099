package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"glimpse/registry"
)

// storeSep parts the store ids of a node.
const storeSep = "\n"

// Beat stores the row as of now.
func (db *DB) Beat(ctx context.Context, n registry.NodeRow) error {
	if err := registry.StorableNode(n); err != nil {
		return err
	}
	return db.write(ctx, "node beat", func(tx *sql.Tx) error {
		var epoch uint32
		var peer string
		err := tx.QueryRowContext(ctx, "SELECT epoch, peer FROM glimpse_nodes WHERE id = ?"+db.d.forUpdate(), n.ID).Scan(&epoch, &peer)
		query := "UPDATE glimpse_nodes SET name = ?, zone = ?, gossip = ?, peer = ?, api = ?, epoch = ?, role = ?, state = ?, stores = ?, lease = ?, ttl = ?, beat = " +
			db.d.now() + " WHERE id = ?"
		switch {
		case errors.Is(err, sql.ErrNoRows):
			query = "INSERT INTO glimpse_nodes (name, zone, gossip, peer, api, epoch, role, state, stores, lease, ttl, beat, id) VALUES (" +
				marks(11) + ", " + db.d.now() + ", ?)"
		case err != nil:
			return err
		default:
			if err := registry.CheckBeat(epoch, peer, n); err != nil {
				return err
			}
		}
		_, err = exec(ctx, tx, query, n.Name, n.Zone, n.Gossip, n.Peer, n.API, n.Epoch, n.Role, n.State,
			strings.Join(n.Stores, storeSep), n.Lease.Microseconds(), n.TTL.Microseconds(), n.ID)
		return err
	})
}

// Live returns the live rows.
func (db *DB) Live(ctx context.Context) ([]registry.NodeRow, error) {
	defer db.observe("live nodes")()
	all, err := db.liveNodes(ctx)
	return all, db.wrap(ctx, "live nodes", err)
}

func (db *DB) liveNodes(ctx context.Context) ([]registry.NodeRow, error) {
	rows, err := db.pool.QueryContext(ctx, "SELECT id, name, zone, gossip, peer, api, epoch, role, state, stores, lease, ttl FROM glimpse_nodes"+
		" WHERE beat + ttl > "+db.d.now()+" ORDER BY id")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []registry.NodeRow
	for rows.Next() {
		var n registry.NodeRow
		var stores string
		var lease, ttl int64
		if err := rows.Scan(&n.ID, &n.Name, &n.Zone, &n.Gossip, &n.Peer, &n.API, &n.Epoch, &n.Role, &n.State, &stores, &lease, &ttl); err != nil {
			return nil, err
		}
		if stores != "" {
			n.Stores = strings.Split(stores, storeSep)
		}
		n.Lease, n.TTL = time.Duration(lease)*time.Microsecond, time.Duration(ttl)*time.Microsecond
		all = append(all, n)
	}
	return all, rows.Err()
}

// Leave removes the row.
func (db *DB) Leave(ctx context.Context, id string, epoch uint32) error {
	return db.write(ctx, "node leaves", func(tx *sql.Tx) error {
		_, err := exec(ctx, tx, "DELETE FROM glimpse_nodes WHERE id = ? AND epoch <= ?", id, epoch)
		return err
	})
}

// Purge removes the rows of nodes that are long gone.
func (db *DB) Purge(ctx context.Context, age time.Duration) (gone int, err error) {
	err = db.write(ctx, "purge nodes", func(tx *sql.Tx) error {
		n, err := exec(ctx, tx, "DELETE FROM glimpse_nodes WHERE beat + ttl <= "+db.d.now()+" AND beat <= "+db.d.now()+" - ?", age.Microseconds())
		gone = int(n)
		return err
	})
	return gone, err
}
