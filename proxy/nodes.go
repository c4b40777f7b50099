package proxy

import (
	"cmp"
	"slices"
	"time"

	"github.com/valyala/fasthttp"
)

// Node is a node of the cluster as callers are told of it.
type Node struct {
	ID, Zone string
	API      string // host:port of its Image API; "": not told
	State    string
	Edge     bool
	RTT      time.Duration // from the node that answers, as gossip estimates it; 0: not known
}

// maxNodes bounds an answer; the nearest are told of.
const maxNodes = 64

// headerNode names the node that answers a health check.
const headerNode = "X-Glimpse-Node"

// nodes answers which nodes there are to download from: the one that is asked,
// then those that are ready, of its own zone first, the nearest first.
func nodes(r *request) error {
	if r.s.cfg.Nodes == nil {
		return errNoResource
	}
	self, others := r.s.cfg.Nodes()
	others = slices.Clone(others)
	slices.SortStableFunc(others, func(a, b Node) int {
		return cmp.Or(cmp.Compare(rank(self, a), rank(self, b)), cmp.Compare(a.RTT, b.RTT))
	})
	list := []map[string]any{}
	for _, n := range others[:min(len(others), maxNodes)] {
		list = append(list, nodeView(n))
	}
	return r.answer(fasthttp.StatusOK, map[string]any{"self": nodeView(self), "nodes": list})
}

// rank sorts by zone, and whom nothing is known of behind the others.
func rank(self, n Node) (k int) {
	if n.Zone != self.Zone {
		k += 2
	}
	if n.RTT <= 0 {
		k++
	}
	return k
}

func nodeView(n Node) map[string]any {
	v := map[string]any{"id": n.ID, "zone": n.Zone, "api": n.API, "state": n.State, "edge": n.Edge}
	if n.RTT > 0 {
		v["rtt_ms"] = float64(n.RTT.Microseconds()) / 1000
	}
	return v
}
