package systest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// front is the way of a client to a cluster: a node, or a balancer before several.
type front struct {
	t    *testing.T
	addr func() string // of the next request
}

var (
	owner    = []string{"X-User-Id", "u1", "X-Project-Id", "p1", "X-Roles", "member,reader"}
	neighbor = []string{"X-User-Id", "u2", "X-Project-Id", "p2", "X-Roles", "member,reader"}
	operator = []string{"X-User-Id", "root", "X-Project-Id", "ops", "X-Roles", "admin,member,reader"}
)

// ask sends a request and returns the answer with its body.
func (f front) ask(who []string, method, path, body string) (int, string) {
	f.t.Helper()
	a := on(f.t, f.addr())
	a.as = who
	kind := "application/json"
	switch {
	case method == "PATCH":
		kind = "application/openstack-images-v2.1-json-patch"
	case strings.HasSuffix(path, "/file"):
		kind = "application/octet-stream"
	}
	return a.text(method, path, body, "Content-Type", kind)
}

// life is a step of an image's life: a write, and what must be read of it in the
// next instant.
type life struct {
	write func(front) (int, string)
	want  int
	seen  func(front) error
}

// says wants an answer of a code with a text in it.
func says(f front, who []string, method, path string, want int, text string) error {
	code, body := f.ask(who, method, path, "")
	if code != want || !strings.Contains(body, text) {
		return fmt.Errorf("%s %s as %s: %d %.200s; want %d with %q", method, path, who[1], code, body, want, text)
	}
	return nil
}

// lives are the steps of one image. data is what is uploaded.
func lives(id, name string, data []byte) []life {
	at := "/v2/images/" + id
	ask := func(who []string, method, path, body string) func(front) (int, string) {
		return func(f front) (int, string) { return f.ask(who, method, path, body) }
	}
	sees := func(who []string, path string, want int, text string) func(front) error {
		return func(f front) error { return says(f, who, "GET", path, want, text) }
	}
	return []life{
		{
			ask(owner, "POST", "/v2/images", fmt.Sprintf(`{"id": %q, "name": "new", "disk_format": "raw", "container_format": "bare", "visibility": "shared"}`, id)),
			201, sees(owner, at, 200, `"queued"`),
		},
		{ask(owner, "PUT", at+"/file", string(data)), 204, func(f front) error {
			if code, body := f.ask(owner, "GET", at+"/file", ""); code != 200 || !bytes.Equal([]byte(body), data) {
				return fmt.Errorf("uploaded, and the answer is %d with %d bytes", code, len(body))
			}
			return says(f, owner, "GET", at, 200, `"active"`)
		}},
		{
			ask(owner, "PATCH", at, fmt.Sprintf(`[{"op": "add", "path": "/name", "value": %q}, {"op": "add", "path": "/flavour", "value": %q}]`, name, name)),
			200, sees(owner, at, 200, fmt.Sprintf(`"flavour":%q`, name)),
		},
		{ask(owner, "POST", at+"/members", `{"member": "p2"}`), 200, func(f front) error {
			if code, body := f.ask(neighbor, "GET", at+"/file", ""); code != 200 || !bytes.Equal([]byte(body), data) {
				return fmt.Errorf("shared, and the answer is %d with %d bytes", code, len(body))
			}
			return says(f, neighbor, "GET", at, 200, name)
		}},
		{ask(neighbor, "PUT", at+"/members/p2", `{"status": "accepted"}`), 200, func(f front) error {
			if err := says(f, owner, "GET", at+"/members", 200, `"status":"accepted"`); err != nil {
				return err
			}
			return says(f, neighbor, "GET", "/v2/images?visibility=shared", 200, id)
		}},
		{ask(owner, "DELETE", at+"/members/p2", ""), 204, func(f front) error {
			if err := says(f, neighbor, "GET", at+"/file", 404, ""); err != nil {
				return err
			}
			return says(f, neighbor, "GET", at, 404, "")
		}},
		{ask(owner, "PATCH", at, `[{"op": "replace", "path": "/visibility", "value": "community"}]`), 200, sees(neighbor, at, 200, name)},
		{ask(owner, "PATCH", at, `[{"op": "replace", "path": "/visibility", "value": "private"}]`), 200, sees(neighbor, at, 404, "")},
		{ask(operator, "POST", at+"/actions/deactivate", ""), 204, sees(owner, at+"/file", 403, "")},
		{ask(operator, "POST", at+"/actions/reactivate", ""), 204, sees(owner, at+"/file", 200, "")},
		{ask(owner, "DELETE", at, ""), 204, sees(owner, at, 404, "")},
	}
}

// behind is a cluster whose callers are who their headers say.
func behind(t *testing.T, staleness string) []*testenv.Node {
	nodes := testenv.Cluster(t, 3, "registry.max_staleness="+staleness, "auth.mode=trusted-headers")
	together(t, nodes...)
	return nodes
}

// What is written through one node is read through any other in the next instant:
// a client that turns from node to node never sees an older state, nor does one
// behind a real balancer. The leases are so long that what is stale would stay so.
func TestAnImagesLifeBehindABalancer(t *testing.T) {
	nodes := behind(t, "1m")
	turn := 0
	rotation := front{t: t, addr: func() string { turn++; return nodes[turn%3].API }}
	lb := testenv.Balancer(t, nodes[0].API, nodes[1].API, nodes[2].API)
	balancer := front{t: t, addr: func() string { return lb }}
	reads := 0
	for round := range rounds(2, 60) {
		f := rotation
		if round%2 == 1 {
			f = balancer
		}
		turn += round // writes of a kind go through other nodes than in the last round
		id := fmt.Sprintf("00000000-0000-4000-8000-%012d", round)
		for i, step := range lives(id, fmt.Sprint("name-", round), content(t, 1<<20+round)) {
			for range nodes { // whatever can be cached is
				for _, who := range [][]string{owner, neighbor} {
					f.ask(who, "GET", "/v2/images/"+id, "")
				}
			}
			if code, body := step.write(f); code != step.want {
				t.Fatalf("round %d, step %d: %d %s", round, i, code, body)
			}
			for range nodes {
				reads++
				if err := step.seen(f); err != nil {
					t.Errorf("round %d, step %d: stale: %v", round, i, err)
				}
			}
		}
	}
	t.Logf("%d reads right after a write, none stale", reads)
}

// A node is stopped in the middle of all it does, or lives and can't be told. A
// write through another one waits until the leases of the silent one have run out
// and no longer; and the silent one answers nothing from before the write to who
// asked after it.
func TestASilentNodeIsNeverStale(t *testing.T) {
	const staleness = time.Second
	dsn := testenv.MariaDB(t)
	nodes := wiredCluster(t, []string{dsn, dsn, dsn}, "registry.max_staleness="+staleness.String(), "auth.mode=trusted-headers")
	silent := nodes[2]
	node := func(i int) front { return front{t: t, addr: func() string { return nodes[i].API }} }
	id := "00000000-0000-4000-8000-000000000001"
	at := "/v2/images/" + id
	for _, step := range lives(id, "first", content(t, 1<<20))[:3] {
		if code, body := step.write(node(0)); code != step.want {
			t.Fatal(code, body)
		}
	}
	fired := 0
	for round := range rounds(2, 30) {
		for range 20 { // a lease that is as fresh as can be
			must(t, says(node(2), owner, "GET", at, 200, ""))
		}
		silence, end := func() { silent.Signal(syscall.SIGSTOP) }, func() { silent.Signal(syscall.SIGCONT) }
		if round%2 == 1 {
			silence, end = func() { silent.peer.set(true) }, func() { silent.peer.set(false) }
		}
		silence()
		fired++
		name := fmt.Sprint("while-it-slept-", round)
		begun := time.Now()
		code, body := node(round%2).ask(owner, "PATCH", at, fmt.Sprintf(`[{"op": "replace", "path": "/flavour", "value": %q}]`, name))
		took := time.Since(begun)
		if code != http.StatusOK {
			t.Fatal(code, body)
		}
		for i := range 2 {
			if err := says(node(i), owner, "GET", at, 200, fmt.Sprintf(`"flavour":%q`, name)); err != nil {
				t.Errorf("node %d is stale: %v", i+1, err)
			}
		}
		// The question waits in its socket, and is the first that a sleeper sees.
		answer := make(chan error, 1)
		asked := sent(t, silent.API, at, owner)
		go func() {
			b, err := io.ReadAll(asked)
			if err == nil && !bytes.Contains(b, fmt.Appendf(nil, `"flavour":%q`, name)) {
				err = fmt.Errorf("stale: %s", b)
			}
			answer <- err
		}()
		if round%2 == 0 {
			end()
		}
		if err := <-answer; err != nil {
			t.Errorf("the silent node: %v", err)
		}
		if err := says(node(2), owner, "GET", at, 200, fmt.Sprintf(`"flavour":%q`, name)); err != nil {
			t.Errorf("the silent node, asked again: %v", err)
		}
		end()
		t.Logf("the write took %v beside a silent node, with leases of %v", took.Round(time.Millisecond), staleness)
		if took < staleness {
			t.Errorf("the write did not wait for the silent node")
		}
		together(t, plain(nodes)...)
	}
	silences := metric(t, nodes[0].Node, "glimpse_lease_silent_total") + metric(t, nodes[1].Node, "glimpse_lease_silent_total")
	t.Logf("%d stops and cuts, %.0f silences counted", fired, silences)
	if fired == 0 || silences == 0 {
		t.Error("no write met a silent node")
	}
}

// sent sends a question, and returns where its answer will come.
func sent(t *testing.T, addr, path string, who []string) io.Reader {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	must(t, c.SetDeadline(time.Now().Add(time.Minute)))
	r, err := http.NewRequest("GET", "http://"+addr+path, nil)
	must(t, err)
	for i := 0; i < len(who); i += 2 {
		r.Header.Set(who[i], who[i+1])
	}
	r.Close = true
	must(t, r.Write(c))
	return c
}
