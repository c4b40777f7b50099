package systest

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// slow is the WAN of these tests: 80 ms there and back, 1 % loss, 50 Mbit/s.
var slow = testenv.Link{Delay: 40 * time.Millisecond, Loss: 0.01, Rate: 50e6 / 8}

// carried has fn run and returns how many copies of an image went into a site and
// out of it meanwhile, as the site's interface counts them.
func carried(w *webImage, at *testenv.Site, fn func()) (in, out float64) {
	in1, out1 := at.Carried()
	fn()
	in2, out2 := at.Carried()
	return float64(in2-in1) / float64(len(w.data)), float64(out2-out1) / float64(len(w.data))
}

// overWAN is what of the images has come from nodes of other zones, copies.
func (w *webImage) overWAN(t *testing.T, nodes ...*testenv.Node) (copies float64) {
	for _, n := range nodes {
		copies += metric(t, n, `glimpse_peer_read_bytes_total{zone="other"}`) / float64(len(w.data))
	}
	return copies
}

// Two zones over a WAN: a storm in both takes one copy out of the origin, and
// over the WAN each zone gets the image once. Then one is cut off: it serves what
// it holds to those whom it knows, and is one cluster with the other again soon
// after the cut ends.
func TestTwoZonesOverAWAN(t *testing.T) {
	k := testenv.Keystone(t)
	z := testenv.NewZones(t, "", "home", "far")
	far := z.Site(1)
	keys := append(z.Keystone(t, k), "auth.keystone.token_cache_time=2s", "auth.keystone.outage_grace=20m", "registry.outage_grace=20m", "cluster.profile=wan")
	var nodes []*testenv.Node
	for i, at := range []*testenv.Site{z.Site(0), z.Site(0), far, far} {
		nodes = append(nodes, z.Member(t, at, fmt.Sprint("n", i+1), "", keys...))
	}
	together(t, nodes...)
	token := k.Token(t, "admin", "secret", "admin")
	w := onWebAs(t, nodes[0], z.Web, 24<<20+777, token)
	known := onWebAs(t, nodes[0], z.Web, 1<<20+1, token)
	never := onWebAs(t, nodes[0], z.Web, 1<<20+2, token)

	z.Set(slow)
	in, out := carried(w, far, func() {
		for _, err := range w.storm(16, nodes...) {
			t.Error(err)
		}
	})
	wan := w.overWAN(t, nodes...)
	t.Logf("the origin gave %.4f copies; %.3f copies went into the far zone and %.3f out of it, %.4f of them between nodes; %d packets lost",
		w.given(), in, out, wan, z.Lost.Load())
	if w.given() > 1.001 {
		t.Errorf("the origin gave %.4f copies", w.given())
	}
	// A part of the image has its home in the far zone: it goes in from the origin, and
	// out once. The rest goes in once.
	if wan > 1.001 || in > 1.25 || out > 1.25 {
		t.Errorf("the WAN carried more than a copy for each zone: %.4f, %.3f, %.3f", wan, in, out)
	}
	if z.Lost.Load() == 0 {
		t.Error("the WAN lost nothing")
	}
	on(t, nodes[2].API).by(token).show(known.id)

	z.Cut(far)
	begun := time.Now()
	for _, n := range nodes[2:] {
		a := on(t, n.API).by(token)
		until(t, "the cut is noticed", func() bool {
			resp := a.do("GET", "/v2/images/"+w.id, nil)
			defer resp.Body.Close()
			return resp.StatusCode == http.StatusOK && strings.HasPrefix(resp.Header.Get("Warning"), "110 ")
		})
	}
	refused := func() {
		for what, c := range map[string][2]string{
			"an image not asked for": {token, "/v2/images/" + never.id},
			"an image not held":      {token, "/v2/images/" + known.id + "/file"},
			"an unknown token":       {"gAAAAAunknown", "/v2/images/" + w.id},
			"a list":                 {token, "/v2/images"},
		} {
			begun := time.Now()
			code, body := on(t, nodes[2].API).by(c[0]).text("GET", c[1], "")
			t.Logf("%s: %d in %.1f s: %.100s", what, code, time.Since(begun).Seconds(), body)
			if code != http.StatusServiceUnavailable {
				t.Errorf("%s: %d %s", what, code, body)
			}
		}
	}
	refused()
	b := on(t, nodes[0].API).by(token)
	if code, body := b.text("PATCH", "/v2/images/"+w.id, `[{"op": "replace", "path": "/name", "value": "written"}]`, "Content-Type", "application/openstack-images-v2.1-json-patch"); code != http.StatusOK {
		t.Errorf("a write in the other zone: %d %s", code, body)
	}
	pause, rounds := 2*time.Second, 10
	if os.Getenv("GLIMPSE_LONG") != "" {
		pause = 90 * time.Second // 15 minutes
	}
	for range rounds {
		for _, err := range w.storm(4, nodes...) {
			t.Error(err)
		}
		time.Sleep(pause)
	}
	refused()
	t.Logf("cut off for %.0f s: %d packets dropped", time.Since(begun).Seconds(), z.Dropped.Load())
	if z.Dropped.Load() == 0 {
		t.Error("the cut dropped nothing")
	}

	z.Heal(far)
	begun = time.Now()
	within(t, 30*time.Second, "one cluster", func() bool { return whole(nodes...) })
	t.Logf("one cluster %.1f s after the cut", time.Since(begun).Seconds())
	for i, n := range nodes {
		within(t, 30*time.Second-time.Since(begun), "the write is seen", func() bool {
			resp := on(t, n.API).by(token).do("GET", "/v2/images/"+w.id, nil)
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			return err == nil && strings.Contains(string(b), `"written"`)
		})
		if err := known.fetch(n); err != nil {
			t.Errorf("node %d: %v", i+1, err)
		}
	}
	t.Logf("all is seen %.1f s after the cut", time.Since(begun).Seconds())
}
