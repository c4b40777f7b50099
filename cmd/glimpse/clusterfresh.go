package main

import (
	"context"
	"log/slog"

	"glimpse/cluster/rumor"
	"glimpse/cluster/source"
	"glimpse/cmd/glimpse/config"
)

// freshen makes what brings fresh uploads to their owners. It is the last before
// gossip, which carries the rumours.
func (cl *clusterNode) freshen(n *node, c config.Config, log *slog.Logger) {
	cl.rumors = rumor.New()
	n.onClose(func(context.Context) error { cl.rumors.Close(); return nil })
	cl.fresh = source.NewFresh(source.FreshConfig{
		Router: cl.router, Rumors: cl.rumors, Object: cl.svc.Fresh, Resident: cl.store.Resident, From: cl.uploads,
		Rate: cl.pace, Log: log,
		// More would displace what has come before.
		Most: max(int64(c.Cache.Disk.Size), int64(c.Cache.Memory.Size)) / 2,
	})
	n.onClose(func(context.Context) error { cl.fresh.Close(); return nil })
}

// uploaded tells the others that an image has got its bytes through this node.
func (cl *clusterNode) uploaded(imageID string) {
	if cl != nil && cl.fresh != nil {
		cl.fresh.Tell(imageID)
	}
}
