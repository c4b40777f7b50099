package systest

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"glimpse/cmd/testenv"

	_ "modernc.org/sqlite" // the registry, looked at past the node
)

// rounds is how many kills a test makes.
func rounds(short, long int) int {
	if os.Getenv("GLIMPSE_LONG") != "" {
		return long
	}
	return short
}

// victim is an image as its clients know it. unsure: the answer to the last
// request about it was lost.
type victim struct {
	id      string
	data    []byte
	status  string // queued, active, deleted
	unsure  bool
	working bool // a client is at it
}

// clients use a node until it is killed, and note what it acknowledged.
type clients struct {
	t        *testing.T
	base     string
	rest     *http.Client
	inFlight atomic.Int32
	killed   atomic.Bool
	acked    atomic.Int32

	mu     sync.Mutex
	images []*victim
}

// ask sends a request; the answer is 0 where there was none.
func (c *clients) ask(ctx context.Context, method, path string, body []byte, kind string) (int, []byte) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		c.t.Error(err)
		return 0, nil
	}
	r.Header.Set("Content-Type", kind)
	c.inFlight.Add(1)
	defer c.inFlight.Add(-1)
	resp, err := c.rest.Do(r)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, b
	}
	return resp.StatusCode, b
}

// pick takes an image of a status that nobody is at.
func (c *clients) pick(r *rand.Rand, status string) *victim {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(c.images), func(v *victim) bool { return v.working || v.unsure || v.status != status })
	if len(list) == 0 {
		return nil
	}
	v := list[r.IntN(len(list))]
	v.working = true
	return v
}

// let notes what became of a request.
func (c *clients) let(v *victim, code, want int, status string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v.working = false
	switch {
	case code == want:
		v.status = status
		c.acked.Add(1)
	case code == 0 && c.killed.Load():
		v.unsure = true
	default:
		c.t.Errorf("to make an image %s: status %d", status, code)
	}
}

func (c *clients) work(ctx context.Context, r *rand.Rand) {
	for !c.killed.Load() && ctx.Err() == nil {
		switch n := r.IntN(10); {
		case n < 2:
			c.create(ctx)
		case n < 6:
			c.upload(ctx, r)
		case n < 9:
			c.download(ctx, r)
		default:
			if v := c.pick(r, "active"); v != nil {
				code, _ := c.ask(ctx, "DELETE", "/v2/images/"+v.id, nil, "")
				c.let(v, code, 204, "deleted")
			}
		}
	}
}

func (c *clients) create(ctx context.Context) {
	code, b := c.ask(ctx, "POST", "/v2/images", []byte(`{"disk_format": "raw", "container_format": "bare"}`), "application/json")
	var m struct{ ID string }
	if code != 201 || json.Unmarshal(b, &m) != nil {
		if !c.killed.Load() {
			c.t.Errorf("create: %d %s", code, b)
		}
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.images = append(c.images, &victim{id: m.ID, status: "queued"})
}

func (c *clients) upload(ctx context.Context, r *rand.Rand) {
	v := c.pick(r, "queued")
	if v == nil {
		return
	}
	v.data = make([]byte, r.IntN(9<<20))
	if r.IntN(4) > 0 { // else zeros
		_, _ = rand.NewChaCha8([32]byte{byte(r.IntN(8))}).Read(v.data)
	}
	code, _ := c.ask(ctx, "PUT", "/v2/images/"+v.id+"/file", v.data, "application/octet-stream")
	c.let(v, code, 204, "active")
}

func (c *clients) download(ctx context.Context, r *rand.Rand) {
	v := c.pick(r, "active")
	if v == nil {
		return
	}
	code, b := c.ask(ctx, "GET", "/v2/images/"+v.id+"/file", nil, "")
	c.mu.Lock()
	defer c.mu.Unlock()
	v.working = false
	switch {
	case code == 0 && c.killed.Load():
	case len(v.data) == 0 && code == 204:
	case code != 200 || !bytes.Equal(b, v.data):
		c.t.Errorf("download: %d, %d bytes of %d", code, len(b), len(v.data))
	}
}

// check asks for every image: what was acknowledged is there, what was not is as
// it was before or as it was asked to be.
func (c *clients) check(ctx context.Context) {
	for _, v := range c.images {
		code, b := c.ask(ctx, "GET", "/v2/images/"+v.id, nil, "")
		var m struct {
			Status string
			Size   int64
		}
		switch code {
		case 200:
			if err := json.Unmarshal(b, &m); err != nil {
				c.t.Error(err)
			}
		case 404:
			m.Status = "deleted"
		}
		allowed := []string{v.status}
		switch {
		case v.unsure && v.status == "queued":
			allowed = []string{"queued", "saving", "active"}
		case v.unsure:
			allowed = append(allowed, "deleted")
		}
		if !slices.Contains(allowed, m.Status) {
			c.t.Errorf("image %s is %s (%d), and should be one of %v", v.id, m.Status, code, allowed)
			continue
		}
		if v.status, v.unsure = m.Status, m.Status == "saving"; v.unsure {
			v.status = "queued" // until the reaper has come by
		}
		if v.status != "active" {
			continue
		}
		if code, b := c.ask(ctx, "GET", "/v2/images/"+v.id+"/file", nil, ""); m.Size != int64(len(v.data)) || !bytes.Equal(b, v.data) {
			c.t.Errorf("image %s: %d, %d bytes of %d", v.id, code, len(b), len(v.data))
		}
	}
}

// named lists the files that the registry knows of: of images, and of uploads
// that the reaper has still to look at.
func named(t *testing.T, db string) (locations, attempts map[string]bool) {
	t.Helper()
	d, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: db, RawQuery: "_pragma=busy_timeout(5000)"}).String())
	must(t, err)
	defer d.Close()
	read := func(query string) map[string]bool {
		rows, err := d.QueryContext(t.Context(), query)
		must(t, err)
		defer rows.Close()
		found := map[string]bool{}
		for rows.Next() {
			var at string
			must(t, rows.Scan(&at))
			found[filepath.Base(at)] = true
		}
		must(t, rows.Err())
		return found
	}
	return read("SELECT value FROM image_locations WHERE deleted = 0"),
		read("SELECT u.locator FROM glimpse_uploads u LEFT JOIN images i ON i.id = u.image_id WHERE u.state IN ('live', 'failed') OR u.state = 'done' AND i.deleted = 1")
}

// folder compares the store's folder with the registry. strict: the reaper has
// been here.
func folder(t *testing.T, n *testenv.Node, strict bool) {
	t.Helper()
	locations, attempts := named(t, filepath.Join(n.Dir, "registry.db"))
	entries, err := os.ReadDir(filepath.Join(n.Dir, "images"))
	must(t, err)
	files := map[string]bool{}
	for _, e := range entries {
		name, half := strings.CutPrefix(e.Name(), ".glimpse-upload-")
		if half {
			name = name[:strings.LastIndex(name, "-")]
		}
		files[e.Name()] = true
		if !half && locations[name] || !strict && attempts[name] {
			continue
		}
		t.Errorf("file %s: no image has it, and no upload that the reaper will look at", e.Name())
	}
	for name := range locations {
		if !files[name] {
			t.Errorf("file %s of an image is missing", name)
		}
	}
}

// kill -9 at random moments of uploads, downloads and deletes.
func TestAKilledNodeLosesNothing(t *testing.T) {
	n := testenv.Glimpse(t, "stores.main.cache=on", "cache.memory.size=64MiB")
	c := &clients{t: t, base: "http://" + n.API, rest: &http.Client{}}
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	hits, all := 0, rounds(20, 200)
	for range all {
		c.killed.Store(false)
		var wg sync.WaitGroup
		for range 4 {
			own := rand.New(rand.NewPCG(r.Uint64(), 0))
			wg.Go(func() { c.work(t.Context(), own) })
		}
		moment := time.NewTimer(time.Duration(r.IntN(250)) * time.Millisecond)
		<-moment.C
		c.killed.Store(true)
		if c.inFlight.Load() > 0 {
			hits++
		}
		n.Kill()
		wg.Wait()
		c.rest.CloseIdleConnections()
		n.Start()
		c.check(t.Context())
		folder(t, n, false)
		if t.Failed() {
			break
		}
	}
	t.Logf("seed %d: %d of %d kills hit while something was in flight; %d uploads and deletes were acknowledged", seed, hits, all, c.acked.Load())
	if hits == 0 || c.acked.Load() == 0 {
		t.Error("no kill hit, or nothing was acknowledged")
	}
	if os.Getenv("GLIMPSE_LONG") != "" {
		reaped(t, n, c)
	}
}

// reaped lets the leases lapse, and waits for the reaper, which comes within
// half a minute of a start.
func reaped(t *testing.T, n *testenv.Node, c *clients) {
	t.Helper()
	n.Kill()
	d, err := sql.Open("sqlite", filepath.Join(n.Dir, "registry.db"))
	must(t, err)
	_, err = d.ExecContext(t.Context(), "UPDATE glimpse_uploads SET lease_until = 0 WHERE state = 'live'")
	must(t, err)
	must(t, d.Close())
	n.Start()
	for end := time.Now().Add(time.Minute); ; {
		if _, attempts := named(t, filepath.Join(n.Dir, "registry.db")); len(attempts) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the reaper doesn't come")
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.check(t.Context())
	folder(t, n, true)
}

// kill -9 at random moments of the making of a database: another run ends it,
// and a node works on it.
func TestAKilledMigrationIsDoneAgain(t *testing.T) {
	engines := map[string]func() string{
		"sqlite": func() string { return "sqlite:" + filepath.Join(t.TempDir(), "registry.db") },
	}
	if rounds(0, 1) > 0 { // the lock of a dead node is a lease of 30 s there
		engines["mariadb"] = func() string { return testenv.MariaDB(t) }
	}
	for name, fresh := range engines {
		t.Run(name, func(t *testing.T) {
			tries, all := 0, rounds(6, 60)
			if name == "mariadb" {
				all = 6
			}
			seed := rand.Uint64()
			r := rand.New(rand.NewPCG(seed, 0))
			bin := testenv.Binary(t)
			sync := func(url string) []string {
				return []string{"db", "sync", "--set", "data_dir=" + t.TempDir(), "--set", "registry.url=" + url}
			}
			whole := 10 * time.Second // what one run takes here, in the best case
			for range 3 {
				began := time.Now()
				testenv.Run(t, nil, bin, sync(fresh())...)
				whole = min(whole, time.Since(began))
			}
			url := ""
			for hits := 0; hits < all; tries++ {
				if tries == 20*all {
					t.Fatalf("seed %d: %d of %d kills hit", seed, hits, tries)
				}
				url = fresh()
				cmd := exec.CommandContext(t.Context(), bin, sync(url)...)
				cmd.Env = testenv.Environ()
				must(t, cmd.Start())
				moment := time.NewTimer(time.Duration(r.Int64N(int64(whole))))
				<-moment.C
				_ = cmd.Process.Kill() // it may have ended
				if cmd.Wait() == nil {
					continue
				}
				hits++
				for range 2 {
					testenv.Run(t, nil, bin, sync(url)...)
				}
			}
			n := testenv.Glimpse(t, "registry.url="+url)
			on(t, n.API).create("after", "raw")
			t.Logf("seed %d: %d of %d kills hit a run of %v", seed, all, tries, whole)
		})
	}
}
