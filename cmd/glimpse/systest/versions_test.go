package systest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// A cluster is rolled from one version to the next, node by node under load, and
// nobody sees it: this version to the one after it, and the one before it to this.
// With each mix of the two the origin is read once, a write on one node is read on
// all others in the next instant, and no node takes another's words for garbage. And
// so it is where a zone is edge, which speaks to the others over links.
func TestTwoVersionsRunTogether(t *testing.T) {
	for _, c := range []struct {
		name         string
		older, newer func() (string, error)
		packs        bool // between the two, and they tell of themselves
	}{
		{"the next", product(t), nextVersion, true},
		{"the former", formerVersion, product(t), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRolled(t, c.older, c.newer)
			r.packs = c.packs
			r.roll(c.packs)
		})
	}
	t.Run("an edge zone", func(t *testing.T) {
		t.Parallel()
		r := newRolled(t, product(t), nextVersion)
		r.packs = true
		r.start(r.old, "node.zone=a")
		r.start(r.new, "node.zone=a")
		r.start(r.new, "node.zone=b", "cluster.edge=true", "cluster.join=[]")
		ready(t, r.nodes...)
		r.mixed()
		r.quiet()
	})
}

func product(t *testing.T) func() (string, error) {
	return func() (string, error) { return testenv.Binary(t), nil }
}

// rolled is a cluster of three nodes in two zones, some of them of the newer version.
type rolled struct {
	*scaled
	old, new string // the binaries
	packs    bool
	newer    map[*testenv.Node]bool
	mark     map[*testenv.Node]int // in its log, where its start begins
	web      *testenv.Web

	images  int     // on it
	moved   float64 // bytes that were handed to nodes that started
	strange bool    // the older version has seen a state that it does not know
}

func newRolled(t *testing.T, older, newer func() (string, error)) *rolled {
	t.Helper()
	r := &rolled{newer: map[*testenv.Node]bool{}, mark: map[*testenv.Node]int{}}
	r.scaled, _ = newScaled(t)
	r.web = testenv.Nginx(t, "")
	var err error
	r.old, err = older()
	must(t, err)
	r.new, err = newer()
	must(t, err)
	return r
}

// start starts one more node.
func (r *rolled) start(bin string, keys ...string) {
	r.bin = bin
	keys = append(keys, "limits.shutdown_delay=1500ms", "registry.max_staleness=5s")
	r.newer[r.scaled.start(append(keys, webStore...)...)] = bin == r.new
}

// roll rolls the cluster, and one node back.
func (r *rolled) roll(back bool) {
	t := r.t
	for _, zone := range []string{"a", "a", "b"} {
		r.start(r.old, "node.zone="+zone)
	}
	ready(t, r.nodes...)
	balancer := testenv.HAProxy(t, r.nodes...)
	stop := r.lives(2, balancer)
	for _, n := range r.nodes {
		r.quiet()
		r.turn(n, r.new)
		if n != r.nodes[2] {
			r.mixed()
		}
	}
	if back {
		r.quiet()
		r.turn(r.nodes[0], r.old)
		r.mixed()
	}
	if stop() == 0 {
		t.Error("no client did anything: the test shows nothing")
	}
	r.quiet()
	if r.packs && (r.moved == 0 || !r.strange) {
		t.Errorf("%.0f bytes were handed over, and that a state was seen as draining which only the newer version knows is %v: the test shows nothing", r.moved, r.strange)
	}
}

// turn stops a node and starts it again with another binary.
func (r *rolled) turn(n *testenv.Node, bin string) {
	t := r.t
	t.Helper()
	n.Stop()
	rest := slices.DeleteFunc(slices.Clone(r.nodes), func(o *testenv.Node) bool { return o == n })
	ready(t, rest...)
	n.Become(bin)
	r.mark[n], r.newer[n] = len(n.Log()), bin == r.new
	by := rest[len(rest)-1]
	states := r.watch(by)
	n.Start()
	ready(t, r.nodes...)
	seen := states()
	t.Logf("started as %s; one that is %s saw it %v", r.version(n), r.version(by), slices.Sorted(maps.Keys(seen)))
	r.strange = r.strange || r.newer[n] && !r.newer[by] && seen["draining"]
	r.moved += metric(t, n, in)
}

func (r *rolled) version(n *testenv.Node) string {
	if r.newer[n] {
		return "newer"
	}
	return "older"
}

// mix is which of the nodes are newer.
func (r *rolled) mix() (s string) {
	for _, n := range r.nodes {
		s += r.version(n)[:1]
	}
	return s
}

// watch notes the states in which a node sees one that it does not see yet, until
// the end.
func (r *rolled) watch(by *testenv.Node) (end func() map[string]bool) {
	known, states := map[string]bool{}, map[string]bool{}
	for _, n := range look(r.t, by).Nodes {
		known[n.ID] = true
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
			var s seen
			if _, b, err := request("GET", "http://"+by.Ops+"/cluster", nil); err == nil && json.Unmarshal(b, &s) == nil {
				for _, n := range s.Nodes {
					if !known[n.ID] {
						states[n.State] = true
					}
				}
			}
		}
	}()
	return func() map[string]bool {
		close(done)
		<-ended
		return states
	}
}

// mixed checks all that holds of the cluster as it is mixed now.
func (r *rolled) mixed() {
	t, begun := r.t, time.Now()
	t.Helper()
	r.once()
	r.crossed()
	for i, n := range r.nodes {
		out := testenv.Run(t, nil, n.Binary(), append([]string{"cluster", "status"}, n.Args()...)...)
		if strings.Count(out, "ready") != len(r.nodes) || strings.Contains(out, "?") == r.packs {
			t.Errorf("%s: node %d says of the cluster:\n%s", r.mix(), i+1, out)
		}
		if r.packs && r.newer[n] && !strings.Contains(n.Log()[r.mark[n]:], "unknown=true") {
			t.Error("no question was unknown: the test shows nothing")
		}
		if edge := slices.Contains(n.Args(), "cluster.edge=true"); edge {
			continue // no rumour goes there
		}
		until(t, "rumours are heard", func() bool { return metric(t, n, `glimpse_rumors_total{what="heard"}`) > 0 })
	}
	t.Logf("%s: all that holds was looked at in %v", r.mix(), time.Since(begun).Round(time.Millisecond))
}

// once has all nodes read an image that none has: the origin gives it once.
func (r *rolled) once() {
	t := r.t
	t.Helper()
	r.images++
	data := content(t, 24<<20+r.images)
	for at := 0; at+128<<10 < len(data); at += 128 << 10 { // every other group can be packed
		clear(data[at+1 : at+64<<10])
	}
	w := onWebAs(t, r.nodes[r.images%3], r.web, data, "")
	before := r.saved()
	for _, err := range w.storm(3, r.nodes...) {
		t.Error(err)
	}
	got, saved := w.given(), r.saved()-before
	t.Logf("%s: the origin gave %.4f copies, packing saved %.0f bytes", r.mix(), got, saved)
	if got > 1.01 {
		t.Errorf("the origin gave %.4f copies", got)
	}
	if r.packs && saved == 0 {
		t.Error("nothing was packed between the zones")
	}
}

func (r *rolled) saved() (sum float64) {
	for _, n := range r.nodes {
		sum += metric(r.t, n, "glimpse_peer_saved_bytes_total")
	}
	return sum
}

// crossed has each node in turn write what all others read in the next instant.
func (r *rolled) crossed() {
	t := r.t
	t.Helper()
	for i := range r.nodes {
		turn := i
		next := func() string { turn++; return r.nodes[(turn-1)%3].API }
		if err := live(next, len(r.nodes), fmt.Sprint("crossed-", i), content(t, 1<<20+i)); err != nil {
			t.Errorf("%s, from node %d on: %v", r.mix(), i+1, err)
		}
	}
}

// lives leads images through their lives behind a balancer until stop, which says
// how many.
func (r *rolled) lives(clients int, balancer string) (stop func() int64) {
	var wg sync.WaitGroup
	var n atomic.Int64
	done := make(chan struct{})
	data := content(r.t, 5<<20+1)
	for c := range clients {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(20 * time.Millisecond): // the nodes need the processors, too
				}
				if err := live(func() string { return balancer }, 1, fmt.Sprint("lived-", c, "-", n.Add(1)), data); err != nil {
					r.t.Errorf("%s: behind the balancer: %v", time.Now().Format(time.StampMilli), err)
				}
			}
		})
	}
	stop = sync.OnceValue(func() int64 {
		close(done)
		wg.Wait()
		r.t.Logf("%d images were uploaded, changed, read and deleted", n.Load())
		return n.Load()
	})
	r.t.Cleanup(func() { stop() }) // before the balancer ends
	return stop
}

// live leads an image through its life. Each request goes to the next address, and
// what was written is read at so many. The first thing that is wrong is the error.
func live(next func() string, reads int, name string, data []byte) error {
	at := "/v2/images"
	ask := func(method, path string, body []byte, want int) ([]byte, error) {
		code, b, err := request(method, "http://"+next()+path, body)
		if err == nil && code != want {
			err = fmt.Errorf("%s: %s %s: %d %.200s", name, method, path, code, b)
		}
		return b, err
	}
	b, err := ask("POST", at, fmt.Appendf(nil, `{"name": %q, "disk_format": "raw", "container_format": "bare"}`, name), 201)
	if err != nil {
		return err
	}
	var m struct{ ID, Name, Status string }
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	at += "/" + m.ID
	shows := func(name, status string) error {
		for range reads {
			b, err := ask("GET", at, nil, 200)
			if err != nil {
				return err
			}
			if err := json.Unmarshal(b, &m); err != nil || m.Name != name || m.Status != status {
				return fmt.Errorf("written was %s, %s, and read %s: %w", name, status, b, err)
			}
		}
		return nil
	}
	if err := shows(name, "queued"); err != nil { // and is in every node's memory
		return err
	}
	if _, err := ask("PUT", at+"/file", data, 204); err != nil {
		return err
	}
	for range reads {
		switch b, err := ask("GET", at+"/file", nil, 200); {
		case err != nil:
			return err
		case !bytes.Equal(b, data):
			return fmt.Errorf("%s: %d bytes that are not its %d", name, len(b), len(data))
		}
	}
	for i := range reads {
		if err := shows(name, "active"); err != nil {
			return err
		}
		name = fmt.Sprint(name, "-", i)
		if _, err := ask("PATCH", at, fmt.Appendf(nil, `[{"op": "replace", "path": "/name", "value": %q}]`, name), 200); err != nil {
			return err
		}
	}
	if err := shows(name, "active"); err != nil {
		return err
	}
	if _, err := ask("DELETE", at, nil, 204); err != nil {
		return err
	}
	for range reads {
		if _, err := ask("GET", at, nil, 404); err != nil {
			return err
		}
	}
	return nil
}

// request sends one request, on a connection of its own.
func request(method, url string, body []byte) (code int, answer []byte, err error) {
	q, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	kind := "application/json"
	switch method {
	case http.MethodPatch:
		kind = "application/openstack-images-v2.1-json-patch"
	case http.MethodPut:
		kind = "application/octet-stream"
	}
	q.Header.Set("Content-Type", kind)
	resp, err := unkept.Do(q)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// quiet checks that nothing of what a node was told since its start was garbage to
// it, and that it met nothing to warn of.
func (r *rolled) quiet() {
	r.t.Helper()
	for _, n := range r.nodes {
		r.quietOf(n)
	}
}

func (r *rolled) quietOf(n *testenv.Node) {
	t := r.t
	t.Helper()
	_, told := on(t, n.Ops).text("GET", "/metrics", "")
	for _, zero := range []string{
		`glimpse_peer_failures_total{why="garbage"}`, `glimpse_peer_failures_total{why="damaged"}`, `glimpse_peer_failures_total{why="refused"}`,
		`glimpse_peer_refused_total{why="bad ask"}`, `glimpse_peer_refused_total{why="garbled gossip"}`, `glimpse_rumors_total{what="garbled"}`,
		`glimpse_lease_silent_total`,
	} {
		if !strings.Contains(told, "\n"+zero+" 0\n") {
			_, is, _ := strings.Cut(told, "\n"+zero)
			is, _, _ = strings.Cut(is, "\n")
			t.Errorf("%s, the %s one: %s is%s", r.mix(), r.version(n), zero, is)
		}
	}
	for line := range strings.Lines(n.Log()[r.mark[n]:]) {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "level=WARN") && !strings.Contains(line, "msg=gossip ") { // of slow probes
			t.Errorf("%s, the %s one: %s", r.mix(), r.version(n), line)
		}
	}
}
