package systest

import (
	"bytes"
	"crypto/tls"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"glimpse/cmd/testenv"
)

// webImage is an image whose bytes lie on a real nginx, whose log counts what it
// gives.
type webImage struct {
	t     *testing.T
	web   *testenv.Web
	data  []byte
	id    string
	token string
}

// onWeb makes one through a node.
func onWeb(t *testing.T, n *testenv.Node, web *testenv.Web, size int) *webImage {
	return onWebAs(t, n, web, content(t, size), "")
}

// onWebAs is onWeb of some bytes by the holder of a token. No two have one length.
func onWebAs(t *testing.T, n *testenv.Node, web *testenv.Web, data []byte, token string) *webImage {
	name := fmt.Sprint("image-", len(data))
	must(t, os.WriteFile(filepath.Join(web.Root, name), data, 0o600))
	a := on(t, n.API).by(token)
	id := a.create(name, "raw")
	patch := fmt.Sprintf(`[{"op": "replace", "path": "/locations", "value": [{"url": "%s/%s", "metadata": {}}]}]`, web.URL, name)
	if code, body := a.text("PATCH", "/v2/images/"+id, patch, "Content-Type", "application/openstack-images-v2.1-json-patch"); code != http.StatusOK {
		t.Fatal(code, body)
	}
	return &webImage{t: t, web: web, data: data, id: id, token: token}
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
	body, err := w.open(n)
	if err != nil {
		return err
	}
	defer body.Close()
	return w.compare(body)
}

// open asks a node for the image.
func (w *webImage) open(n *testenv.Node) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, n.URL("/v2/images/"+w.id+"/file"), nil)
	if err != nil {
		return nil, err
	}
	if w.token != "" {
		r.Header.Set("X-Auth-Token", w.token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		resp.Body.Close()
		return nil, fmt.Errorf("%s: %s", resp.Status, text)
	}
	return resp.Body, nil
}

// compare reads all and keeps nothing: a storm of many would need much memory.
func (w *webImage) compare(r io.Reader) error {
	room, at := make([]byte, 256<<10), 0
	for {
		n, err := r.Read(room)
		if n > len(w.data)-at || !bytes.Equal(room[:n], w.data[at:at+n]) {
			return fmt.Errorf("bytes that are not the image's, from %d on", at)
		}
		switch at += n; {
		case err == io.EOF && at == len(w.data):
			return nil
		case err != nil:
			return fmt.Errorf("after %d of %d bytes: %w", at, len(w.data), err)
		}
	}
}

// together waits until each node sees as many ready ones as there are.
func together(t *testing.T, nodes ...*testenv.Node) {
	t.Helper()
	until(t, "one cluster", func() bool { return whole(nodes...) })
}

// whole says whether each node sees as many ready ones as there are.
func whole(nodes ...*testenv.Node) bool {
	for _, n := range nodes {
		resp, err := http.Get("http://" + n.Ops + "/cluster")
		if err != nil {
			return false
		}
		var s struct{ Nodes []struct{ State string } }
		err = json.NewDecoder(resp.Body).Decode(&s)
		resp.Body.Close()
		ready := 0
		for _, m := range s.Nodes {
			if m.State == "ready" {
				ready++
			}
		}
		if err != nil || ready != len(nodes) {
			return false
		}
	}
	return true
}

var webStore = []string{"stores.web.type=http", "stores.web.allowed_hosts=[127.0.0.1]", "api.show_multiple_locations=true"}

// contacts is how often nginx was asked for the image's size alone before it gave
// the first byte. After them a read asks once more whether the bytes are the same.
func (w *webImage) contacts() int {
	w.t.Helper()
	log, err := os.ReadFile(filepath.Join(w.web.Logs, "access.log"))
	must(w.t, err)
	before, _, _ := strings.Cut(string(log), fmt.Sprintf(`"GET /image-%d`, len(w.data)))
	return strings.Count(before, fmt.Sprintf(`"HEAD /image-%d`, len(w.data)))
}

// What no node knows anything of yet, as when a Glance has written it, is looked
// at by one node for all of them.
func TestTheStewardAloneContactsTheOrigin(t *testing.T) {
	web := testenv.Nginx(t, "")
	nodes := testenv.Cluster(t, 3, webStore...)
	together(t, nodes...)
	w := onWeb(t, nodes[0], web, 5<<20+99)
	before := w.contacts()
	if before == 0 {
		t.Fatal("no contact is seen")
	}
	_, err := tables(t, nodes[0]).Exec("DELETE FROM glimpse_location")
	must(t, err)
	for _, err := range w.storm(20, nodes[1:]...) {
		t.Error(err)
	}
	if n := w.contacts() - before; n != 1 {
		t.Errorf("%d contacts with the origin", n)
	}
	if got := w.given(); got > 1.01 {
		t.Errorf("the origin gave %.4f copies", got)
	}
}

// database opens a MariaDB by its URL.
func database(t *testing.T, raw string) *sql.DB {
	t.Helper()
	u, err := url.Parse(raw)
	must(t, err)
	password, _ := u.User.Password()
	db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s)%s", u.User.Username(), password, u.Host, u.Path))
	must(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// tables opens the database of a node of a cluster.
func tables(t *testing.T, n *testenv.Node) *sql.DB {
	t.Helper()
	for _, arg := range n.Args() {
		raw, ok := strings.CutPrefix(arg, "registry.url=")
		if !ok {
			continue
		}
		return database(t, raw)
	}
	t.Fatal("the node has no database of its own kind")
	return nil
}

// The race detector watches three nodes through a storm, writes and a restart in
// its middle.
func TestNoRaceInACluster(t *testing.T) {
	web := testenv.Nginx(t, "")
	nodes := testenv.RaceCluster(t, 3, webStore...)
	together(t, nodes...)
	w := onWeb(t, nodes[0], web, 70<<20+777)
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := range 30 {
			patch := fmt.Sprintf(`[{"op": "replace", "path": "/name", "value": "n%d"}]`, i)
			if code, body := on(t, nodes[i%3].API).text("PATCH", "/v2/images/"+w.id, patch, "Content-Type", "application/openstack-images-v2.1-json-patch"); code != http.StatusOK {
				t.Error(code, body)
			}
		}
	})
	for _, err := range w.storm(12, nodes...) {
		t.Error(err)
	}
	writing.Wait()
	nodes[2].Stop()
	for _, err := range w.storm(4, nodes[:2]...) {
		t.Error(err)
	}
	nodes[2].Start()
	together(t, nodes...)
	for _, err := range w.storm(6, nodes...) {
		t.Error(err)
	}
}

// Three nodes are one cache: a storm over all of them takes one copy out of the
// origin, as its own log counts.
func TestAStormOverThreeNodesReadsTheOriginOnce(t *testing.T) {
	web := testenv.Nginx(t, "")
	nodes := testenv.Cluster(t, 3, webStore...)
	together(t, nodes...)
	w := onWeb(t, nodes[0], web, 130<<20+777)
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

// An owner is killed in the middle of a cold storm over all nodes: no client of the
// others sees it, and the origin gives little more than one copy.
func TestNoClientSeesAnOwnerDie(t *testing.T) {
	const clients = 32
	web := testenv.Nginx(t, "limit_rate 20m;") // a connection; there are several
	nodes := testenv.Cluster(t, 3, webStore...)
	together(t, nodes...)
	w := onWeb(t, nodes[0], web, 500<<20+333) // in eight extents; what a node reads ahead, and is lost with it, are 32 MiB
	var storm sync.WaitGroup
	var errs [clients]error
	var over [clients]atomic.Bool
	for i := range clients {
		storm.Go(func() {
			errs[i] = w.fetch(nodes[i%len(nodes)])
			over[i].Store(true)
		})
	}
	victim := -1
	until(t, "a node reads as an owner", func() bool {
		victim = slices.IndexFunc(nodes, func(n *testenv.Node) bool { return w.read(n) >= 8<<20 })
		return victim >= 0
	})
	had := w.read(nodes[victim])
	nodes[victim].Kill()
	for i := range over {
		if i%len(nodes) != victim && over[i].Load() {
			t.Fatalf("a client was done before the owner died, and the test shows nothing: %v", errs[i])
		}
	}
	storm.Wait()
	clientsOf, failed := [3]int{}, 0
	for i, err := range errs {
		clientsOf[i%len(nodes)]++
		switch {
		case i%len(nodes) == victim:
			if err == nil {
				t.Error("a client of the dead node read all of it")
			}
		case err != nil:
			failed++
			t.Errorf("a client of node %d: %v", i%len(nodes)+1, err)
		}
	}
	given := w.given()
	t.Logf("node %d was killed after it had read %.0f bytes of %d; of the others' %d clients %d failed; the origin gave %.4f copies",
		victim+1, had, len(w.data), clients-clientsOf[victim], failed, given)
	if given > 1.10 {
		t.Errorf("the origin gave %.4f copies", given)
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

// secured is a cluster as an operator makes it, with a CA and a gossip key in dir.
// Others join it at the gossip address that it returns.
func secured(t *testing.T, count int) (dir string, nodes []*testenv.Node, join string) {
	t.Helper()
	dsn, images, bin := testenv.MariaDB(t), t.TempDir(), testenv.Binary(t)
	dir = t.TempDir()
	testenv.Run(t, nil, bin, "cluster", "init", "--label", "test", "--dir", dir)
	keyring, err := os.ReadFile(filepath.Join(dir, "gossip.keys"))
	must(t, err)
	for i := range count {
		own := t.TempDir()
		must(t, os.WriteFile(filepath.Join(own, "keys"), keyring, 0o600))
		sets := append(testenv.Member(t, fmt.Sprint("n", i+1), dsn, join, images), webStore...)
		sets = append(sets, "cluster.keyring_file="+own+"/keys", "cluster.tls.ca="+own+"/ca.pem", "cluster.tls.cert="+own+"/cert.pem", "cluster.tls.key="+own+"/key.pem")
		if join == "" {
			join = strings.TrimPrefix(sets[1], "listen.gossip=")
		}
		n := testenv.Prepared(t, sets...)
		testenv.Run(t, nil, bin, append([]string{"cluster", "cert", "--ca", dir + "/ca.pem", "--ca-key", dir + "/ca-key.pem"}, n.Args()...)...)
		n.Start()
		nodes = append(nodes, n)
	}
	together(t, nodes...)
	return dir, nodes, join
}

// setting is what a node was given for a key.
func setting(n *testenv.Node, key string) (value string) {
	for _, a := range n.Args() {
		if v, ok := strings.CutPrefix(a, key+"="); ok {
			value = v
		}
	}
	return value
}

// peerOf is the address of a node's peer plane.
func peerOf(n *testenv.Node) string { return setting(n, "listen.peer") }

// A cluster as an operator makes it: a CA, a gossip key, certificates. Who has
// none of them, or another cluster's, gets nowhere; a key is changed on the run.
func TestAClusterOfCertificatesAndKeys(t *testing.T) {
	bin := testenv.Binary(t)
	dir, nodes, join := secured(t, 3)
	if out, err := exec.Command(bin, "cluster", "init", "--label", "test", "--dir", dir).CombinedOutput(); err == nil {
		t.Errorf("a second init went over the first: %s", out)
	}
	keyring, err := os.ReadFile(filepath.Join(dir, "gossip.keys"))
	must(t, err)
	web := testenv.Nginx(t, "")
	w := onWeb(t, nodes[0], web, 70<<20+111)
	for _, err := range w.storm(3, nodes...) {
		t.Error(err)
	}
	if got := w.given(); got > 1.01 {
		t.Errorf("the origin gave %.4f copies", got)
	}

	// No certificate: one line, counted, no answer.
	anybody := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer anybody.CloseIdleConnections()
	if resp, err := anybody.Get("https://" + peerOf(nodes[0]) + "/glimpse/peer/v1/ping"); err == nil {
		resp.Body.Close()
		t.Errorf("a peer without a certificate was answered: %s", resp.Status)
	}
	until(t, "the refusal is counted", func() bool { return metric(t, nodes[0], `glimpse_peer_refused_total{why="certificate"}`) > 0 })

	// A node of the same name without the gossip key is not let in.
	stranger := testenv.Glimpse(t, append(testenv.Member(t, "stranger", testenv.MariaDB(t), join, t.TempDir()), webStore...)...)
	until(t, "the stranger is refused", func() bool {
		return metric(t, nodes[0], `glimpse_peer_refused_total{why="gossip key"}`) > 0
	})
	if _, s := on(t, stranger.Ops).text("GET", "/cluster", ""); strings.Contains(s, `"n1"`) {
		t.Errorf("the stranger sees the cluster: %s", s)
	}

	// The gossip key is changed: added, used, and the old one removed everywhere.
	old := strings.TrimSpace(string(keyring))
	fresh := strings.TrimSpace(testenv.Run(t, nil, bin, "cluster", "key", "new"))
	for _, step := range [][]string{{"add", fresh}, {"use", fresh}, {"remove", old}} {
		for _, n := range nodes {
			testenv.Run(t, nil, bin, append(append([]string{"cluster", "key"}, step...), n.Args()...)...)
		}
		together(t, nodes...)
	}
	// Keys are told of by their fingerprints.
	if out := testenv.Run(t, nil, bin, append([]string{"cluster", "key", "list"}, nodes[2].Args()...)...); strings.Count(out, "\n") != 1 || strings.Contains(out, fresh) {
		t.Errorf("the keys are now:\n%s", out)
	}
	for _, n := range nodes {
		if strings.Contains(n.Log(), fresh) || strings.Contains(n.Log(), old) {
			t.Error("a gossip key is in the log")
		}
	}
	testenv.Run(t, nil, bin, append([]string{"cluster", "drain"}, nodes[2].Args()...)...)
	<-nodes[2].Ended()
	nodes[2].Stop() // it must have ended well
	together(t, nodes[:2]...)
}
