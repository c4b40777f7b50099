package systest

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// An edge zone behind a firewall that lets nobody in, and no gossip out: all nodes
// see each other, what is written anywhere is seen everywhere in the next instant
// and waits for nobody, and the WAN carries an image once.
func TestAnEdgeZoneNeedsNoWayIn(t *testing.T) {
	z := testenv.NewZones(t, "", "home", "far")
	home, far := z.Site(0), z.Site(1)
	z.Shut(far)
	z.Set(slow)
	var nodes []*testenv.Node
	for i, at := range []*testenv.Site{home, home, home, far, far} {
		nodes = append(nodes, z.Member(t, at, fmt.Sprint("n", i+1), "", "cluster.profile=wan", "registry.max_staleness=20s", fmt.Sprint("cluster.edge=", at == far)))
	}
	begun := time.Now()
	together(t, nodes...)
	t.Logf("together after %.1f s", time.Since(begun).Seconds())
	w := onWeb(t, nodes[0], z.Web, 12<<20+777)

	in, out := carried(w, far, func() {
		for _, err := range w.storm(15, nodes...) {
			t.Error(err)
		}
	})
	t.Logf("the origin gave %.4f copies; %.3f went into the edge zone and %.3f out of it, %.4f between nodes; %d packets lost, %d refused",
		w.given(), in, out, w.overWAN(t, nodes...), z.Lost.Load(), z.Refused.Load())
	if w.given() > 1.001 || w.overWAN(t, nodes...) > 1.001 || in > 1.25 || out > 0.25 {
		t.Error("more than a copy was carried")
	}
	if z.Lost.Load() == 0 {
		t.Error("the WAN lost nothing")
	}

	silent := func() (sum float64) {
		for _, n := range nodes {
			sum += metric(t, n, "glimpse_lease_silent_total")
		}
		return sum
	}
	before := silent()
	for i := range 2 * len(nodes) {
		for _, n := range nodes {
			on(t, n.API).show(w.id) // and it is leased there
		}
		want := fmt.Sprint("name-", i)
		begun := time.Now()
		if code, body := on(t, nodes[i%len(nodes)].API).text("PATCH", "/v2/images/"+w.id, fmt.Sprintf(`[{"op": "replace", "path": "/name", "value": %q}]`, want), "Content-Type", "application/openstack-images-v2.1-json-patch"); code != http.StatusOK {
			t.Fatal(code, body)
		}
		took := time.Since(begun)
		for k, n := range nodes {
			if got := on(t, n.API).show(w.id)["name"]; got != want {
				t.Errorf("write %d: node %d says %v", i, k+1, got)
			}
		}
		t.Logf("a write at node %d took %.2f s", i%len(nodes)+1, took.Seconds())
	}
	if after := silent(); after > before {
		t.Errorf("%.0f times a node did not say that it forgot a record", after-before)
	}
}
