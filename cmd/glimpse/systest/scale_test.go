package systest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"glimpse/cachestore/chunk"
	"glimpse/cluster/ring"
	"glimpse/cmd/testenv"
)

// scaled is a cluster of small extents over one shared folder of images.
type scaled struct {
	t      *testing.T
	dsn    string
	images string // the folder
	join   string
	bin    string // of the nodes; "": the product's
	nodes  []*testenv.Node
	geo    chunk.Geometry
}

// kept is an image that lies in the folder.
type kept struct {
	id   string
	key  chunk.Key
	data []byte
}

// newScaled makes the database and the images, if any, through a node that is gone
// afterwards: nobody has any of their bytes but the folder.
func newScaled(t *testing.T, sizes ...int) (*scaled, []kept) {
	s := &scaled{t: t, dsn: testenv.MariaDB(t), images: t.TempDir(), geo: chunk.Geometry{Chunk: 4 << 20, Extent: 1}}
	alone := []string{"registry.url=" + s.dsn, "stores.main.path=" + s.images, "stores.main.shared=true"}
	first := testenv.Prepared(t, alone...)
	smallExtents(t, s.dsn)
	if len(sizes) == 0 {
		return s, nil
	}
	first.Start()
	a := on(t, first.API)
	var all []kept
	for i, size := range sizes {
		k := kept{data: content(t, size)}
		file := filepath.Join(t.TempDir(), "image")
		must(t, os.WriteFile(file, k.data, 0o600))
		k.id = a.create(fmt.Sprint("image-", i), "raw")
		a.upload(k.id, file)
		k.key = chunk.ContentKey("sha512", a.show(k.id)["os_hash_value"].(string), int64(size), "")
		all = append(all, k)
	}
	first.Stop()
	return s, all
}

// start starts one more node.
func (s *scaled) start(more ...string) *testenv.Node {
	sets := append(testenv.Member(s.t, fmt.Sprint("n", len(s.nodes)+1), s.dsn, s.join, s.images), more...)
	if s.join == "" {
		s.join = strings.TrimPrefix(sets[1], "listen.gossip=")
	}
	n := testenv.Prepared(s.t, sets...)
	if s.bin != "" {
		n.Become(s.bin)
	}
	n.Start()
	s.nodes = append(s.nodes, n)
	return n
}

// empty takes all images out of the folder, which stays the one that all share.
func (s *scaled) empty() {
	const marker = ".glimpse-shared"
	away := s.images + ".away"
	must(s.t, os.Rename(s.images, away))
	must(s.t, os.Mkdir(s.images, 0o755))
	must(s.t, os.Rename(filepath.Join(away, marker), filepath.Join(s.images, marker)))
}

// seen is what a node says of its cluster.
type seen struct {
	Self  string
	Nodes []struct {
		ID, Name, State, Zone string
		Vitals                *struct {
			Given    int64 `json:"given_bytes"`
			Taken    int64 `json:"taken_bytes"`
			Disk     int64 `json:"disk_bytes"`
			Handover string
		}
	}
}

func look(t *testing.T, n *testenv.Node) (s seen) {
	t.Helper()
	_, text := on(t, n.Ops).text("GET", "/cluster", "")
	must(t, json.Unmarshal([]byte(text), &s))
	return s
}

// ringOf is the ring of nodes that are all alike, and each node by its id.
func (s *scaled) ringOf(nodes ...*testenv.Node) (*ring.Ring, map[string]*testenv.Node) {
	var all []ring.Node
	by := map[string]*testenv.Node{}
	for _, n := range nodes {
		id := look(s.t, n).Self
		all = append(all, ring.Node{ID: id, Weight: 10<<30 + 256<<20, State: ring.Ready})
		by[id] = n
	}
	return ring.New(all, nil), by
}

// owned calls fn with each extent of an image and the node that owns it.
func (s *scaled) owned(rg *ring.Ring, k kept, fn func(extent int, owner string, off, n int64)) {
	size := int64(len(k.data))
	for e := range s.geo.Count(size) {
		owner, _ := rg.Owner("", k.key, e)
		fn(e, owner.ID, s.geo.Off(e), s.geo.Len(e, size))
	}
}

// part reads a range of an image through a node, or all of it.
func (k kept) part(api string, off, n int64) error {
	r, err := http.NewRequest(http.MethodGet, "http://"+api+"/v2/images/"+k.id+"/file", nil)
	if err != nil {
		return err
	}
	if n < int64(len(k.data)) {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	}
	resp, err := unkept.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	switch {
	case resp.StatusCode >= 300:
		return fmt.Errorf("%s: %s", resp.Status, got)
	case err != nil:
		return fmt.Errorf("after %d bytes: %w", len(got), err)
	case string(got) != string(k.data[off:off+n]):
		return fmt.Errorf("%d bytes that are not the %d at %d", len(got), n, off)
	}
	return nil
}

// unkept tries nothing again: each request is a connection of its own.
var unkept = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// clients read the first n bytes of an image over and over through addresses,
// until stop or the test's end, which says how often, and fails the test for each
// that failed.
func (k kept) clients(t *testing.T, each, n int, apis ...string) (stop func() int64) {
	var wg sync.WaitGroup
	var reads, failed atomic.Int64
	done := make(chan struct{})
	for _, api := range apis {
		for range each {
			wg.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					if err := k.part(api, 0, int64(n)); err != nil {
						failed.Add(1)
						t.Errorf("%s: a client of %s: %v", time.Now().Format(time.StampMilli), api, err)
					}
					reads.Add(1)
				}
			})
		}
	}
	stop = sync.OnceValue(func() int64 {
		close(done)
		wg.Wait()
		t.Logf("%d downloads of %d bytes, %d failed", reads.Load(), n, failed.Load())
		return reads.Load()
	})
	t.Cleanup(func() { stop() }) // before the nodes end
	return stop
}

// ready waits until all nodes see these as ready, and nobody else.
func ready(t *testing.T, nodes ...*testenv.Node) {
	t.Helper()
	together(t, nodes...)
	for _, n := range nodes {
		until(t, "the former nodes are gone", func() bool { return len(look(t, n).Nodes) == len(nodes) })
	}
}

const in = `glimpse_handover_bytes_total{direction="in"}`

// A fourth node joins, and drains again, while clients read: what moves are the
// bytes of the extents that get another owner, and no others. The origin's files
// are gone meanwhile, so that it can't have given one.
func TestScaleOutAndDrain(t *testing.T) {
	s, images := newScaled(t, 120<<20+12345, 20<<20+1)
	still, busy := images[0], images[1]
	for range 3 {
		s.start()
	}
	ready(t, s.nodes...)
	three, by := s.ringOf(s.nodes...)
	for _, k := range images {
		s.owned(three, k, func(_ int, owner string, off, n int64) { must(t, k.part(by[owner].API, off, n)) })
	}
	s.empty()
	stop := busy.clients(t, 1, len(busy.data), s.nodes[0].API, s.nodes[1].API)

	fourth := s.start()
	ready(t, s.nodes...)
	four, _ := s.ringOf(s.nodes...)
	self := look(t, fourth).Self
	want, extents := int64(0), 0
	for _, k := range images {
		s.owned(four, k, func(_ int, owner string, _, n int64) {
			if owner == self {
				want += n
				extents++
			}
		})
	}
	if extents == 0 {
		t.Fatal("the fourth node owns nothing: the test shows nothing")
	}
	if got := int64(metric(t, fourth, in)); got != want {
		t.Errorf("%d bytes moved, and the %d extents with another owner have %d", got, extents, want)
	}
	if got := int64(metric(t, fourth, `glimpse_peer_read_bytes_total{zone="same"}`)); got != 0 {
		t.Errorf("%d bytes more were read of others", got)
	}
	t.Logf("scaling out moved %d bytes of %d extents", want, extents)
	for _, n := range look(t, s.nodes[0]).Nodes {
		if n.Vitals == nil || n.Vitals.Disk == 0 || n.ID == self && n.Vitals.Taken != want {
			t.Errorf("node 1 was told of %s: %+v", n.Name, n.Vitals)
		}
	}
	status := testenv.Run(t, nil, testenv.Binary(t), append([]string{"cluster", "status"}, s.nodes[0].Args()...)...)
	if strings.Count(status, "MiB") != 8 || strings.Contains(status, "?") {
		t.Errorf("cluster status:\n%s", status)
	}

	drained, rest := s.nodes[2], []*testenv.Node{s.nodes[0], s.nodes[1], fourth}
	self = look(t, drained).Self
	after, by := s.ringOf(rest...)
	before, moved := map[string]int64{}, map[string]int64{}
	for id, n := range by {
		before[id] = int64(metric(t, n, in))
	}
	for _, k := range images {
		s.owned(after, k, func(e int, owner string, _, n int64) {
			// Of the busy image the others' clients have brought all to memory already.
			if was, _ := four.Owner("", k.key, e); was.ID == self && (k.id == still.id || by[owner] == fourth) {
				moved[owner] += n
			}
		})
	}
	// By another's ops listener it is refused, with a word on where to go.
	if out, err := testenv.TryRun(t, nil, testenv.Binary(t), append([]string{"cluster", "drain", "n3"}, fourth.Args()...)...); err == nil || !strings.Contains(err.Error(), drained.API) {
		t.Errorf("node 4 drains node 3: %s, %v", out, err)
	}
	testenv.Run(t, nil, testenv.Binary(t), append([]string{"cluster", "drain", "n3"}, drained.Args()...)...)
	select {
	case <-drained.Ended():
	case <-time.After(time.Minute):
		t.Fatal("the drained node does not end")
	}
	drained.Stop() // it must have ended well
	ready(t, rest...)
	for id, n := range by {
		got := int64(metric(t, n, in)) - before[id]
		t.Logf("draining moved %d bytes to %s", got, id)
		if got != moved[id] {
			t.Errorf("%d bytes moved to %s, whose new extents have %d", got, id, moved[id])
		}
	}
	if log := drained.Log(); !strings.Contains(log, "drained: all was handed over") {
		t.Errorf("the node does not tell what it handed over: %s", log)
	}
	if stop() == 0 {
		t.Error("no client read anything: the test shows nothing")
	}
	for _, n := range rest {
		for _, k := range images {
			must(t, k.part(n.API, 0, int64(len(k.data))))
		}
	}
}

// All nodes are started again, one after the other, behind a balancer and under
// load: no client is refused, and none gets less than it asked for.
func TestARollingRestartIsSeenByNobody(t *testing.T) {
	s, images := newScaled(t, 24<<20+12345)
	for range 3 {
		s.start("limits.shutdown_delay=1500ms") // three looks of the balancer
	}
	ready(t, s.nodes...)
	image, balancer := images[0], testenv.HAProxy(t, s.nodes...)
	stops := []func() int64{image.clients(t, 4, len(image.data), balancer), image.clients(t, 4, 1000, balancer)}
	for _, n := range s.nodes {
		sent := func() (sum float64) {
			for _, tier := range []string{"memory", "disk", "peer", "origin"} {
				sum += metric(t, n, `glimpse_sent_bytes_total{tier="`+tier+`"}`)
			}
			return sum
		}
		until(t, "the node has clients", func() bool { return sent() > 0 })
		n.Stop()
		n.Start()
		ready(t, s.nodes...)
		until(t, "the node has clients again", func() bool { return sent() > 0 })
	}
	for _, stop := range stops {
		if stop() == 0 {
			t.Error("no client read anything: the test shows nothing")
		}
	}
}
