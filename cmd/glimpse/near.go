package main

import (
	"cmp"

	"glimpse/cluster/ring"
	"glimpse/cmd/glimpse/config"
	"glimpse/proxy"
)

// nearby is what the API tells of this node and of those that own extents.
func nearby(cl *clusterNode, c config.Config, id string) func() (proxy.Node, []proxy.Node) {
	return func() (proxy.Node, []proxy.Node) {
		if cl == nil {
			return proxy.Node{ID: id, Zone: c.Node.Zone, API: cmp.Or(c.Cluster.Advertise.API, reachable(c.Listen.API)), State: ring.Ready.String()}, nil
		}
		self := cl.members.Self()
		var others []proxy.Node
		for _, n := range cl.members.Ring().Nodes() {
			if n.ID == self.ID || n.Role != ring.Member || n.State != ring.Ready || n.API == "" {
				continue
			}
			o := apiNode(n)
			o.RTT, _ = cl.members.RTT(n.ID)
			others = append(others, o)
		}
		return apiNode(self), others
	}
}

func apiNode(n ring.Node) proxy.Node {
	return proxy.Node{ID: n.ID, Zone: n.Zone, API: n.API, State: n.State.String(), Edge: n.Edge}
}
