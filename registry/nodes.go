package registry

import (
	"context"
	"time"

	"glimpse/registry/image"
)

// NodeRow is a node as the registry lists it.
type NodeRow struct {
	ID          string // stable, a UUID
	Name, Zone  string
	Gossip      string // addresses, host:port
	Peer        string
	API         string
	Epoch       uint32 // counts the node's starts
	Role, State string
	Stores      []string      // ids of its stores; none holds a line break
	Lease       time.Duration // its max_staleness; 0: it caches no records
	TTL         time.Duration // how long the row is live after a beat
}

// Nodes is the table of the cluster's nodes. A row is live while its last beat is
// younger than its TTL, both by the database's clock.
type Nodes interface {
	// Beat stores the row as of now. Conflict where the row has a later epoch, or
	// the same one at another peer address: two nodes have one id.
	Beat(ctx context.Context, n NodeRow) error
	// Live returns the live rows, by id: at least those whose Beat returned before
	// the call, through whichever server of the database, and that are live yet.
	Live(ctx context.Context) ([]NodeRow, error)
	// Leave removes the row, unless it has a later epoch.
	Leave(ctx context.Context, id string, epoch uint32) error
	// Purge removes rows that are not live and whose last beat is older than age.
	Purge(ctx context.Context, age time.Duration) (int, error)
}

// StorableNode says whether the node table can hold the row; the error is
// Invalid.
func StorableNode(n NodeRow) error {
	for _, c := range []struct {
		field, value string
		max          int
	}{
		{"id", n.ID, 36},
		{"name", n.Name, 255},
		{"zone", n.Zone, 255},
		{"gossip address", n.Gossip, 255},
		{"peer address", n.Peer, 255},
		{"api address", n.API, 255},
		{"role", n.Role, 16},
		{"state", n.State, 16},
	} {
		if err := Text("The node's "+c.field, c.value, c.max); err != nil {
			return err
		}
	}
	for _, id := range n.Stores {
		if err := Text("A store's id", id, 255); err != nil {
			return err
		}
	}
	return nil
}

// CheckBeat says whether n may take the place of the row that stands; the error
// is Conflict.
func CheckBeat(epoch uint32, peer string, n NodeRow) error {
	if n.Epoch > epoch || n.Epoch == epoch && n.Peer == peer {
		return nil
	}
	return image.Errorf(image.Conflict, "Two nodes have the id %s: one at %s of epoch %d, and this one at %s of epoch %d. "+
		"Stop one of them and remove the file node-id from its data_dir.", n.ID, peer, epoch, n.Peer, n.Epoch)
}
