package systest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"glimpse/cmd/testenv"

	"github.com/anishathalye/porcupine"
)

// Clients of three nodes change, deactivate, delete and look at images while
// nodes are stopped, killed and cut off from one another and from the database.
// Each image behaves as if there were one node that does one thing after another.
func TestHistoriesOverMariaDB(t *testing.T) {
	dsn := testenv.MariaDB(t)
	c := newCrowd(t, []string{dsn, dsn, dsn})
	c.run(time.Duration(rounds(8, 120))*time.Second, map[string]func(*rand.Rand){
		"stop": c.stop, "kill": c.kill, "peers cut": c.cutPeers, "peers hang": c.hangPeers, "gossip cut": c.cutGossip,
		"peers and gossip cut": c.cutBoth, "database cut": c.cutDatabase,
	})
}

// The same over a Galera cluster, a server for each node, which are stopped and
// killed too.
func TestHistoriesOverGalera(t *testing.T) {
	g := testenv.Galera(t)
	c := newCrowd(t, g.Database(t))
	c.run(time.Duration(rounds(8, 120))*time.Second, map[string]func(*rand.Rand){
		"stop": c.stop, "kill": c.kill, "peers cut": c.cutPeers, "peers and gossip cut": c.cutBoth, "database cut": c.cutDatabase,
		"server stopped": func(r *rand.Rand) {
			i := r.IntN(3)
			g.Pause(i)
			c.wait(r, 300, 1500)
			g.Resume(i)
		},
		"server killed": func(r *rand.Rand) {
			i := r.IntN(3)
			g.Kill(i)
			c.wait(r, 300, 1500)
			g.Restart(t, i)
		},
	})
}

const staleness = 700 * time.Millisecond

// crowd is a cluster and its clients.
type crowd struct {
	t     *testing.T
	nodes []*wired
	rest  *http.Client
	r     *rand.Rand
	value atomic.Int64 // the last one that was given to a property

	mu        sync.Mutex
	histories []*history
	heard     map[string]int // answers by kind of deed and code
}

func newCrowd(t *testing.T, dsns []string) *crowd {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	c := &crowd{
		t: t, r: rand.New(rand.NewPCG(seed, 0)), heard: map[string]int{},
		rest: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: 4 * time.Second},
	}
	t.Cleanup(c.rest.CloseIdleConnections)
	c.nodes = wiredCluster(t, dsns, "registry.max_staleness="+staleness.String(), "cache.memory.size=64MiB")
	return c
}

// run has clients at work for so long, and faults come and go beside them; then
// it checks what the clients saw.
func (c *crowd) run(length time.Duration, faults map[string]func(*rand.Rand)) {
	ctx, cancel := context.WithTimeout(c.t.Context(), length)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 4 {
		r := rand.New(rand.NewPCG(c.r.Uint64(), uint64(i)))
		wg.Go(func() {
			for ctx.Err() == nil {
				c.image(ctx, r)
			}
		})
	}
	if rounds(0, 1) > 0 {
		c.sleepLong()
	}
	names := slices.Sorted(maps.Keys(faults)) // the seed says which fault comes when
	fired := map[string]int{}
	for ctx.Err() == nil {
		pause(ctx, time.Duration(100+c.r.IntN(500))*time.Millisecond)
		name := names[c.r.IntN(len(names))]
		faults[name](c.r)
		fired[name]++
	}
	wg.Wait()
	total := 0
	for _, n := range fired {
		total += n
	}
	c.check()
	c.t.Logf("%d faults fired: %v", total, fired)
	if total == 0 {
		c.t.Error("no fault fired")
	}
}

// check looks for an order of each image's deeds.
func (c *crowd) check() {
	checked, open, bad, undecided := 0, 0, 0, 0
	for _, h := range c.histories {
		result, info, n := h.check(20 * time.Second)
		checked, open = checked+n, open+h.open
		switch result {
		case porcupine.Illegal:
			if bad++; bad <= 3 {
				h.explain(c.t, info)
			}
		case porcupine.Unknown:
			undecided++
		}
	}
	c.t.Logf("%d operations on %d images were checked, %d of unknown outcome; %d images can't be explained, %d took too long to say; answers: %v",
		checked, len(c.histories), open, bad, undecided, c.heard)
	if c.t.Failed() {
		for i, n := range c.nodes {
			for line := range strings.Lines(n.Log()) {
				if strings.Contains(line, "level=ERROR") {
					c.t.Logf("node %d: %s", i+1, line)
				}
			}
		}
	}
	if bad > 0 || undecided > 0 || checked == 0 {
		c.t.Errorf("%d images can't be explained, %d not decided, of %d operations", bad, undecided, checked)
	}
}

// image makes one and has three clients at it until it is gone.
func (c *crowd) image(ctx context.Context, r *rand.Rand) {
	id := c.create(ctx, r)
	if id == "" {
		return
	}
	h := newHistory(id, staleness)
	c.mu.Lock()
	c.histories = append(c.histories, h)
	c.mu.Unlock()
	life, cancel := context.WithTimeout(ctx, time.Duration(500+r.IntN(4000))*time.Millisecond)
	defer cancel()
	var gone atomic.Bool
	var wg sync.WaitGroup
	for client := range 3 {
		own := rand.New(rand.NewPCG(r.Uint64(), 0))
		wg.Go(func() {
			for life.Err() == nil && !gone.Load() {
				c.do(h, client, c.any(own), &gone)
				pause(life, time.Duration(own.IntN(25))*time.Millisecond)
			}
		})
	}
	wg.Wait()
	if ctx.Err() == nil {
		for client, d := range []deed{{kind: "delete", node: r.IntN(3)}, {kind: "show"}, {kind: "show", node: 1}, {kind: "show", node: 2}} {
			c.do(h, client%3, d, &gone)
		}
	}
}

// any is a deed that a client may think of.
func (c *crowd) any(r *rand.Rand) deed {
	d := deed{node: r.IntN(3), kind: "show"}
	switch k := r.IntN(100); {
	case k < 25:
		d.kind, d.prop, d.value = "patch", r.IntN(2), int(c.value.Add(1))
	case k < 32:
		d.kind = "deactivate"
	case k < 39:
		d.kind = "reactivate"
	case k < 40:
		d.kind = "delete"
	}
	return d
}

// do has a node do a deed, and notes what came of it.
func (c *crowd) do(h *history, client int, d deed, gone *atomic.Bool) {
	at, body, method := "/v2/images/"+h.id, "", ""
	switch d.kind {
	case "show":
		method = "GET"
	case "patch":
		method, body = "PATCH", fmt.Sprintf(`[{"op": "replace", "path": "/prop%d", "value": "%d"}]`, d.prop, d.value)
	case "delete":
		method = "DELETE"
	default:
		method, at = "POST", at+"/actions/"+d.kind
	}
	asked := time.Now()
	code, answer, old, sent := c.ask(context.Background(), c.nodes[d.node].API, method, at, body)
	c.mu.Lock()
	c.heard[fmt.Sprint(d.kind, " ", code)]++
	c.mu.Unlock()
	var reply reply
	switch {
	case !sent, old: // nobody heard it; or, while the database is away, an answer that says that it may be old
		return
	case code == 404:
		reply.known, reply.gone = true, true
		gone.Store(true)
	case code == 204:
		reply.known = true
	case code == 200:
		reply = recordOf(answer)
	case code != 0 && code < 500 && code != 409, code == 500:
		c.t.Errorf("%s: %d %s", d.kind, code, answer)
	}
	h.note(client, d, asked, reply)
}

// recordOf takes an image from an answer.
func recordOf(answer []byte) (r reply) {
	var m struct {
		Status       string
		Prop0, Prop1 string
	}
	if json.Unmarshal(answer, &m) != nil {
		return r
	}
	r.known, r.shown, r.state.off = true, true, m.Status == "deactivated"
	r.state.props[0], _ = strconv.Atoi(m.Prop0)
	r.state.props[1], _ = strconv.Atoi(m.Prop1)
	return r
}

// create makes an active image; "" where that failed, which says nothing.
func (c *crowd) create(ctx context.Context, r *rand.Rand) string {
	node := c.nodes[r.IntN(3)]
	code, b, _, _ := c.ask(ctx, node.API, "POST", "/v2/images", `{"disk_format": "raw", "container_format": "bare", "prop0": "0", "prop1": "0"}`)
	var m struct{ ID string }
	if code != 201 || json.Unmarshal(b, &m) != nil {
		pause(ctx, 50*time.Millisecond)
		return ""
	}
	if code, _, _, _ := c.ask(ctx, node.API, "PUT", "/v2/images/"+m.ID+"/file", "bytes"); code != 204 {
		return ""
	}
	return m.ID
}

// ask sends a request. code is 0 where no answer came; old: it may be, by its own
// word; sent is false where nobody can have read it.
func (c *crowd) ask(ctx context.Context, addr, method, path, body string) (code int, answer []byte, old, sent bool) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+addr+path, strings.NewReader(body))
	if err != nil {
		c.t.Error(err)
		return 0, nil, false, false
	}
	switch {
	case method == "PATCH":
		r.Header.Set("Content-Type", "application/openstack-images-v2.1-json-patch")
	case method == "PUT":
		r.Header.Set("Content-Type", "application/octet-stream")
	case body != "":
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.rest.Do(r)
	if err != nil {
		var op *net.OpError
		return 0, nil, false, !errors.As(err, &op) || op.Op != "dial"
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, false, true
	}
	return resp.StatusCode, bytes.TrimSpace(answer), resp.Header.Get("Warning") != "", true
}

// wait lets a fault last.
func (c *crowd) wait(r *rand.Rand, least, most int) {
	pause(c.t.Context(), time.Duration(least+r.IntN(most-least))*time.Millisecond)
}

func (c *crowd) stop(r *rand.Rand) {
	n := c.nodes[r.IntN(3)]
	n.Signal(syscall.SIGSTOP)
	c.wait(r, 300, 2000)
	n.Signal(syscall.SIGCONT)
}

// sleepLong stops a node until its row in the node table has lapsed, and nobody
// tells it of writes any more.
func (c *crowd) sleepLong() {
	c.nodes[2].Signal(syscall.SIGSTOP)
	pause(c.t.Context(), 25*time.Second)
	c.nodes[2].Signal(syscall.SIGCONT)
}

func (c *crowd) kill(r *rand.Rand) {
	n := c.nodes[r.IntN(3)]
	n.Kill()
	c.wait(r, 0, 1000)
	n.Start()
}

func (c *crowd) cutPeers(r *rand.Rand) {
	n := c.nodes[r.IntN(3)]
	n.peer.set(true)
	c.wait(r, 300, 2000)
	n.peer.set(false)
}

func (c *crowd) hangPeers(r *rand.Rand) {
	n := c.nodes[r.IntN(3)]
	n.peer.hang()
	c.wait(r, 300, 2000)
	n.peer.set(false)
}

func (c *crowd) cutGossip(r *rand.Rand) {
	n := c.nodes[r.IntN(3)]
	n.deafen(true)
	c.wait(r, 500, 3000)
	n.deafen(false)
}

func (c *crowd) cutBoth(r *rand.Rand) {
	for _, n := range c.nodes {
		n.peer.set(true)
		n.deafen(true)
	}
	c.wait(r, 300, 2000)
	for _, n := range c.nodes {
		n.peer.set(false)
		n.deafen(false)
	}
}

func (c *crowd) cutDatabase(r *rand.Rand) {
	n := c.nodes[r.IntN(3)]
	n.db.set(true)
	c.wait(r, 200, 1500)
	n.db.set(false)
}
