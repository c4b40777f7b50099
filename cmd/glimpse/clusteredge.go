package main

import (
	"context"
	"net"

	"glimpse/cluster/ring"
	"glimpse/cmd/glimpse/config"
	"glimpse/registry"
)

// edgeRole is the role in the node table of a node that only its own zone dials.
const edgeRole = "edge"

// gossipLabel is the cluster's label for those that gossip with a node: an edge
// zone does so within itself.
func gossipLabel(c config.Config) string {
	if c.Cluster.Edge {
		return c.Cluster.Label + "/" + c.Node.Zone
	}
	return c.Cluster.Label
}

// addresses are where the nodes of the node table gossip that this one gossips
// with.
func (cl *clusterNode) addresses(ctx context.Context, self string) (all []string, err error) {
	rows, err := cl.table.Live(ctx)
	for _, r := range rows {
		edge := r.Role == edgeRole
		if r.ID != self && edge == cl.edge && (!edge || r.Zone == cl.zone) {
			all = append(all, r.Gossip)
		}
	}
	return all, err
}

// dialled are the nodes of the node table that can be linked to.
func (cl *clusterNode) dialled(ctx context.Context) (all []ring.Node, err error) {
	rows, err := cl.table.Live(ctx)
	for _, r := range rows {
		if r.Role == ring.Member.String() {
			all = append(all, nodeOf(r))
		}
	}
	return all, err
}

// nodeOf is a node as it is asked.
func nodeOf(r registry.NodeRow) ring.Node {
	return ring.Node{ID: r.ID, Name: r.Name, Zone: r.Zone, Peer: r.Peer, Edge: r.Role == edgeRole}
}

// reach connects to a node of an edge zone.
func (cl *clusterNode) reach(ctx context.Context, n ring.Node) (net.Conn, bool, error) {
	return cl.far.Reach(ctx, n)
}
