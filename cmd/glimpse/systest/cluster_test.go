package systest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"glimpse/cmd/testenv"
)

// webImage is an image whose bytes lie on a real nginx, whose log counts what it
// gives.
type webImage struct {
	t    *testing.T
	web  *testenv.Web
	data []byte
	id   string
}

// onWeb makes one through a node.
func onWeb(t *testing.T, n *testenv.Node, web *testenv.Web, size int) *webImage {
	name := fmt.Sprint("image-", size)
	data := content(t, size)
	must(t, os.WriteFile(filepath.Join(web.Root, name), data, 0o600))
	a := on(t, n.API)
	id := a.create(name, "raw")
	patch := fmt.Sprintf(`[{"op": "replace", "path": "/locations", "value": [{"url": "%s/%s", "metadata": {}}]}]`, web.URL, name)
	if code, body := a.text("PATCH", "/v2/images/"+id, patch, "Content-Type", "application/openstack-images-v2.1-json-patch"); code != http.StatusOK {
		t.Fatal(code, body)
	}
	return &webImage{t: t, web: web, data: data, id: id}
}

// given is how many times over nginx has sent the image.
func (w *webImage) given() float64 {
	w.t.Helper()
	log, err := os.ReadFile(filepath.Join(w.web.Logs, "access.log"))
	must(w.t, err)
	sent := 0
	for _, m := range regexp.MustCompile(fmt.Sprintf(`"GET /image-%d[^"]*" 20\d (\d+)`, len(w.data))).FindAllStringSubmatch(string(log), -1) {
		k, err := strconv.Atoi(m[1])
		must(w.t, err)
		sent += k
	}
	return float64(sent) / float64(len(w.data))
}

// storm has clients read the image at nodes, all at once, and returns what failed.
func (w *webImage) storm(clients int, nodes ...*testenv.Node) (failed []error) {
	var wg sync.WaitGroup
	errs := make([]error, clients)
	for i := range clients {
		wg.Go(func() { errs[i] = w.fetch(nodes[i%len(nodes)]) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

func (w *webImage) fetch(n *testenv.Node) error {
	resp, err := http.Get(n.URL("/v2/images/" + w.id + "/file"))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return fmt.Errorf("after %d bytes: %w", len(got), err)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", resp.Status, got)
	case !bytes.Equal(got, w.data):
		return fmt.Errorf("%d bytes that are not the image's %d", len(got), len(w.data))
	}
	return nil
}

// together waits until each node sees as many ready ones as there are.
func together(t *testing.T, nodes ...*testenv.Node) {
	t.Helper()
	for _, n := range nodes {
		until(t, "one cluster", func() bool {
			resp, err := http.Get("http://" + n.Ops + "/cluster")
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			var s struct{ Nodes []struct{ State string } }
			if json.NewDecoder(resp.Body).Decode(&s) != nil {
				return false
			}
			ready := 0
			for _, m := range s.Nodes {
				if m.State == "ready" {
					ready++
				}
			}
			return ready == len(nodes)
		})
	}
}

var webStore = []string{"stores.web.type=http", "stores.web.allowed_hosts=[127.0.0.1]", "api.show_multiple_locations=true"}

// Three nodes are one cache: a storm over all of them takes one copy out of the
// origin, as its own log counts.
func TestAStormOverThreeNodesReadsTheOriginOnce(t *testing.T) {
	web := testenv.Nginx(t, "")
	nodes := testenv.Cluster(t, 3, webStore...)
	together(t, nodes...)
	w := onWeb(t, nodes[0], web, 200<<20+777)
	for _, err := range w.storm(32, nodes...) {
		t.Error(err)
	}
	t.Logf("the origin gave %.4f copies", w.given())
	if got := w.given(); got > 1.01 {
		t.Errorf("the origin gave %.4f copies", got)
	}
	from := 0.0
	for i, n := range nodes {
		peers := metric(t, n, `glimpse_peer_read_bytes_total{zone="same"}`)
		t.Logf("node %d: %.0f bytes from the origin, %.0f from others", i+1, w.read(n), peers)
		from += peers
	}
	if from < float64(len(w.data)) {
		t.Errorf("the nodes had %.0f bytes of one another: the test shows nothing", from)
	}
	out := testenv.Run(t, nil, testenv.Binary(t), append([]string{"cluster", "status"}, nodes[1].Args()...)...)
	for _, name := range []string{"n1", "n2", "n3", "ready"} {
		if !strings.Contains(out, name) {
			t.Errorf("cluster status does not tell of %s:\n%s", name, out)
		}
	}
}

// An owner is killed in the middle of a storm: no client of the others sees it.
func TestNoClientSeesAnOwnerDie(t *testing.T) {
	web := testenv.Nginx(t, "limit_rate 20m;") // a connection; there are several
	nodes := testenv.Cluster(t, 3, webStore...)
	together(t, nodes...)
	w := onWeb(t, nodes[0], web, 200<<20+333)
	failed := make(chan []error, 1)
	go func() { failed <- w.storm(16, nodes[:2]...) }()
	until(t, "the third node reads", func() bool { return w.read(nodes[2]) >= 8<<20 })
	had := w.read(nodes[2])
	nodes[2].Kill()
	if had > float64(len(w.data))/3 {
		t.Logf("killed late, after %.0f bytes", had)
	}
	for _, err := range <-failed {
		t.Error(err)
	}
	t.Logf("killed after it had read %.0f bytes; the origin gave %.4f copies", had, w.given())
	if got := w.given(); got > 1.10 {
		t.Errorf("the origin gave %.4f copies", got)
	}
}

// read is what a node has read of the origin.
func (w *webImage) read(n *testenv.Node) (bytes float64) {
	_, text := on(w.t, n.Ops).text("GET", "/metrics", "")
	m := regexp.MustCompile(`(?m)^glimpse_origin_read_bytes_total\{for="fill",store="web"\} (.*)$`).FindStringSubmatch(text)
	if m == nil {
		return 0 // nothing yet
	}
	bytes, err := strconv.ParseFloat(m[1], 64)
	must(w.t, err)
	return bytes
}

// What is written through one node is read through another in the next instant,
// as behind a balancer that turns from one to the next.
func TestAWriteIsSeenByAllNodesAtOnce(t *testing.T) {
	nodes := testenv.Cluster(t, 3, append([]string{"registry.max_staleness=20s"}, webStore...)...)
	together(t, nodes...)
	w := onWeb(t, nodes[0], testenv.Nginx(t, ""), 1<<20)
	name := func(n *testenv.Node) string {
		s, _ := on(t, n.API).show(w.id)["name"].(string)
		return s
	}
	cached := func() {
		for _, n := range nodes {
			name(n)
		}
	}
	turn := 0
	for i := range 60 {
		cached()
		want := fmt.Sprint("name-", i)
		patch := fmt.Sprintf(`[{"op": "replace", "path": "/name", "value": %q}]`, want)
		a := on(t, nodes[turn%3].API)
		if code, body := a.text("PATCH", "/v2/images/"+w.id, patch, "Content-Type", "application/openstack-images-v2.1-json-patch"); code != http.StatusOK {
			t.Fatal(code, body)
		}
		turn++
		if got := name(nodes[turn%3]); got != want {
			t.Fatalf("write %d: another node says %q, written was %q", i, got, want)
		}
	}
	// And a deactivated image is refused everywhere at once.
	cached()
	if code, body := on(t, nodes[0].API).text("POST", "/v2/images/"+w.id+"/actions/deactivate", ""); code != http.StatusNoContent {
		t.Fatal(code, body)
	}
	for i, n := range nodes {
		if shown := on(t, n.API).show(w.id)["status"]; shown != "deactivated" {
			t.Errorf("node %d says %v", i+1, shown)
		}
	}
}
