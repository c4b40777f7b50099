package systest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// slow is the WAN of these tests: 80 ms there and back, 1 % loss, 50 Mbit/s.
var slow = testenv.Link{Delay: 40 * time.Millisecond, Loss: 0.01, Rate: 50e6 / 8}

// overWAN is what nodes have read of an image from other zones, copies.
func (w *webImage) overWAN(nodes ...*testenv.Node) (copies float64) {
	w.t.Helper()
	for _, n := range nodes {
		copies += metric(w.t, n, `glimpse_peer_read_bytes_total{zone="other"}`) / float64(len(w.data))
	}
	return copies
}

// wide is a cluster of three zones: home, where the database, Keystone and the
// origin are; away, over a WAN; and edge, over the WAN and behind a firewall that
// lets nobody in and no datagram out.
type wide struct {
	*testenv.Zones
	t     *testing.T
	nodes []*testenv.Node // of home 2, of away 1, of edge 2
	token string
}

func spreadOut(t *testing.T, more ...string) *wide {
	t.Helper()
	k := testenv.Keystone(t)
	z := testenv.NewZones(t, "", "home", "away", "edge")
	s := &wide{Zones: z, t: t, token: k.Token(t, "admin", "secret", "admin")}
	z.Shut(z.Site(2))
	smallExtents(t, z.DSN)
	keys := append(z.Keystone(t, k), "cluster.profile=wan", "auth.keystone.token_cache_time=2s", "auth.keystone.outage_grace=20m", "registry.outage_grace=20m")
	for i, site := range []int{0, 0, 1, 2, 2} {
		s.nodes = append(s.nodes, z.Member(t, z.Site(site), fmt.Sprint("n", i+1), "", slices.Concat(keys, more, []string{fmt.Sprint("cluster.edge=", site == 2)})...))
	}
	within(t, time.Minute, "one cluster", func() bool { return whole(s.nodes...) })
	z.Set(slow)
	return s
}

// smallExtents has the nodes of a new cluster share objects out chunk by chunk, so
// that a small image has several owners.
func smallExtents(t *testing.T, dsn string) {
	t.Helper()
	testenv.Run(t, nil, testenv.Binary(t), "db", "sync", "--set", "registry.url="+dsn)
	_, err := database(t, dsn).ExecContext(t.Context(), "INSERT INTO glimpse_setting (name, value) VALUES ('extent_chunks', '1')")
	must(t, err)
}

// image is one on the origin.
func (s *wide) image(data []byte) *webImage { return onWebAs(s.t, s.nodes[0], s.Web, data, s.token) }

func (s *wide) home() []*testenv.Node { return s.nodes[:2] }
func (s *wide) away() []*testenv.Node { return s.nodes[2:3] }
func (s *wide) edge() []*testenv.Node { return s.nodes[3:] }

// storm has clients of all nodes read an image, and fails where the origin gave
// more than one copy, or the WAN brought a zone more than one.
func (s *wide) storm(w *webImage) {
	t := s.t
	var before [3]int64
	for i := range before {
		before[i], _ = s.Site(i).Carried()
	}
	for _, err := range w.storm(15, s.nodes...) {
		t.Error(err)
	}
	for i, nodes := range [][]*testenv.Node{s.home(), s.away(), s.edge()} {
		in, _ := s.Site(i).Carried()
		copies, asked := float64(in-before[i])/float64(len(w.data)), w.overWAN(nodes...)
		hedges := 0.0
		for _, n := range nodes {
			hedges += metric(t, n, `glimpse_peer_hedges_total{why="late"}`) + metric(t, n, `glimpse_peer_hedges_total{why="stalled"}`)
		}
		t.Logf("%s: %.3f copies came over the WAN, %.4f from nodes; %.0f hedges", s.Site(i).Name, copies, asked, hedges)
		// A zone that reads the origin itself has it over the WAN too, unless it is home.
		if copies > 1.25 || asked > 1.1 {
			t.Errorf("%s got more than a copy", s.Site(i).Name)
		}
	}
	t.Logf("the origin gave %.4f copies; %d packets were lost", w.given(), s.Lost.Load())
	if w.given() > 1.001 {
		t.Errorf("the origin gave %.4f copies", w.given())
	}
	if s.Lost.Load() == 0 {
		t.Error("the WAN lost nothing")
	}
}

func (s *wide) on(n *testenv.Node) api { return on(s.t, n.API).by(s.token) }

// write changes an image's name at a node.
func (s *wide) write(n *testenv.Node, id, name string) {
	s.t.Helper()
	patch := fmt.Sprintf(`[{"op": "replace", "path": "/name", "value": %q}]`, name)
	if code, body := s.on(n).text("PATCH", "/v2/images/"+id, patch, "Content-Type", "application/openstack-images-v2.1-json-patch"); code != http.StatusOK {
		s.t.Fatal(code, body)
	}
}

// An edge zone needs no way in, and no gossip out: all nodes see each other, and
// what is written anywhere is seen everywhere in the next instant and waits for
// nobody. A storm over three zones takes one copy out of the origin, and the WAN
// carries it once to each. Two zones that are cut off serve what they hold to those
// whom they know, and all is one cluster again soon after.
func TestZonesOverAWAN(t *testing.T) {
	s := spreadOut(t, "registry.max_staleness=4s")
	// The firewall is there: nobody gets in.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	peer := ""
	for _, a := range s.edge()[0].Args() {
		if p, ok := strings.CutPrefix(a, "listen.peer="); ok {
			peer = p
		}
	}
	if c, err := s.Site(0).Dial(ctx, peer); err == nil || s.Refused.Load() == 0 {
		c.Close()
		t.Error("there is a way into the edge zone")
	}

	w := s.image(content(t, rounds(5, 25)*4<<20+777)) // a chunk has an owner of its own
	t.Run("storm", func(t *testing.T) { s.storm(w) })
	t.Run("packed", func(t *testing.T) { s.packed() })
	t.Run("writes", func(t *testing.T) { s.writes(w) })
	t.Run("cut", func(t *testing.T) { s.cutOff(w) })
}

// writes are made at each node in turn, while all have a lease on the record that
// would let them wait for 4 s.
func (s *wide) writes(w *webImage) {
	t := s.t
	silent := func() (sum float64) {
		for _, n := range s.nodes {
			sum += metric(t, n, "glimpse_lease_silent_total")
		}
		return sum
	}
	before := silent()
	for i, at := range s.nodes {
		if i == 1 || i == 4 { // as the one before
			continue
		}
		for _, n := range s.nodes {
			s.on(n).show(w.id)
		}
		name, begun := fmt.Sprint("name-", i), time.Now()
		s.write(at, w.id, name)
		t.Logf("a write at node %d took %.2f s", i+1, time.Since(begun).Seconds())
		for k, n := range s.nodes {
			if got := s.on(n).show(w.id)["name"]; got != name {
				t.Errorf("after a write at node %d node %d says %v", i+1, k+1, got)
			}
		}
	}
	if after := silent(); after > before {
		t.Errorf("%.0f times a node did not say that it forgot a record", after-before)
	}
}

// packed has an edge node read an image of text: less goes over the WAN.
func (s *wide) packed() {
	t, n := s.t, s.edge()[0]
	w := s.image(bytes.Repeat([]byte("The same is said again and again. "), 100_000))
	before, _ := s.Site(2).Carried()
	if err := w.fetch(n); err != nil {
		t.Error(err)
	}
	after, _ := s.Site(2).Carried()
	saved := 0.0
	for _, n := range s.edge() {
		saved += metric(t, n, "glimpse_peer_saved_bytes_total")
	}
	t.Logf("%d bytes came for %d, %.0f were saved", after-before, len(w.data), saved)
	if int(after-before) > len(w.data)/2 || saved < float64(len(w.data)/2) {
		t.Error("it was not packed")
	}
}

// cutOff takes two zones off the WAN, for some 10 s or for 15 minutes.
func (s *wide) cutOff(w *webImage) {
	t := s.t
	known := s.image(content(t, 1<<20+1))
	never := s.image(content(t, 1<<20+2))
	alone := append(s.away(), s.edge()...)
	for _, n := range alone {
		s.on(n).show(known.id)
		if err := w.fetch(n); err != nil { // all of it is in each zone
			t.Error(err)
		}
	}
	s.Cut(s.Site(1))
	s.Cut(s.Site(2))
	begun, last := time.Now(), 10*time.Second
	if os.Getenv("GLIMPSE_LONG") != "" {
		last = 15 * time.Minute
	}
	var all sync.WaitGroup
	for what, c := range map[string][2]string{
		"an image not asked for": {s.token, "/v2/images/" + never.id},
		"an image not held":      {s.token, "/v2/images/" + known.id + "/file"},
		"an unknown token":       {"gAAAAAunknown", "/v2/images/" + w.id},
		"a list":                 {s.token, "/v2/images"},
	} {
		all.Go(func() {
			code, body := on(t, s.edge()[0].API).by(c[0]).text("GET", c[1], "")
			t.Logf("%s: %d after %.1f s", what, code, time.Since(begun).Seconds())
			if code != http.StatusServiceUnavailable {
				t.Errorf("%s: %d %s", what, code, body)
			}
		})
	}
	for _, n := range alone {
		all.Go(func() {
			var took []float64 // by each request, s: the longest is the first that finds out what is away
			within(t, time.Minute, "the record says that it may be old", func() bool {
				asked := time.Now()
				resp := s.on(n).do("GET", "/v2/images/"+w.id, nil)
				defer resp.Body.Close()
				took = append(took, time.Since(asked).Seconds())
				return resp.StatusCode == http.StatusOK && strings.HasPrefix(resp.Header.Get("Warning"), "110 ")
			})
			t.Logf("a known image: 200 after %.1f s; the first request took %.2f s, the longest %.2f s", time.Since(begun).Seconds(), took[0], slices.Max(took))
		})
	}
	all.Wait()
	s.write(s.nodes[0], w.id, "written")
	t.Logf("a write in the zone that is left: %.1f s after the cut", time.Since(begun).Seconds())
	served := 0
	for served == 0 || time.Since(begun) < last {
		for _, err := range w.storm(6, s.nodes...) {
			t.Error(err)
		}
		served += 6
		time.Sleep(last / 60)
	}
	t.Logf("cut off for %.0f s: %d downloads, %d packets dropped", time.Since(begun).Seconds(), served, s.Dropped.Load())
	if s.Dropped.Load() == 0 {
		t.Error("the cut dropped nothing")
	}

	s.Heal(s.Site(1))
	s.Heal(s.Site(2))
	begun = time.Now()
	within(t, 30*time.Second, "one cluster", func() bool { return whole(s.nodes...) })
	t.Logf("one cluster %.1f s after the cut", time.Since(begun).Seconds())
	for i, n := range s.nodes {
		within(t, 30*time.Second-time.Since(begun), "the write is seen", func() bool {
			resp := s.on(n).do("GET", "/v2/images/"+w.id, nil)
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
