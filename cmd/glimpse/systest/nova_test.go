package systest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// recipe is a configuration in the README, under its name.
func recipe(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../../../README.md")
	must(t, err)
	m := regexp.MustCompile("(?s)<!-- test: " + name + " -->\n```\\w+\n(.*?)```").FindSubmatch(b)
	if m == nil {
		t.Fatalf("the README has no %s", name)
	}
	return string(m[1])
}

// compute is a cluster of two sites, and what a Nova on a hypervisor does.
type compute struct {
	t     *testing.T
	k     *testenv.KeystoneServer
	sites []*testenv.Node
	sets  []string // of further nodes
	id    string
	file  string
}

func newCompute(t *testing.T) *compute {
	t.Helper()
	testenv.Need(t, "glance")
	c := &compute{t: t, k: testenv.Keystone(t)}
	dsn, images := testenv.MariaDB(t), t.TempDir()
	auth := []string{"auth.mode=keystone", "auth.keystone.auth_url=" + c.k.URL, "auth.keystone.username=glance", "auth.keystone.password=glancepw"}
	a := testenv.Glimpse(t, append(testenv.Member(t, "a", dsn, "", images), append(auth, "node.zone=site-a")...)...)
	join := ""
	for _, s := range a.Args() {
		if g, ok := strings.CutPrefix(s, "listen.gossip="); ok {
			join = g
		}
	}
	b := testenv.Glimpse(t, append(testenv.Member(t, "b", dsn, join, images), append(auth, "node.zone=site-b")...)...)
	c.sites = []*testenv.Node{a, b}
	c.sets = append(testenv.Member(t, "hypervisor", dsn, join, images), append(auth, "node.zone=site-b")...)
	together(t, a, b)
	c.k.SetImageEndpointIn(t, "site-a", a.URL(""))
	c.k.SetImageEndpointIn(t, "site-b", b.URL(""))
	c.file = filepath.Join(t.TempDir(), "in")
	random(t, c.file, 70<<20+777)
	first := on2(t, a, c.k)
	c.id = first.create("guest", "raw")
	first.upload(c.id, c.file)
	return c
}

// boot downloads the image as Nova does, by glanceclient, which compares its hash.
func (c *compute) boot(env ...string) error {
	out := filepath.Join(c.t.TempDir(), "out")
	_, err := testenv.TryRun(c.t, append(c.k.Env("demo", "demopw", "demo"), env...), "/usr/bin/glance", "image-download", "--file", out, c.id)
	if err == nil {
		_, err = testenv.TryRun(c.t, nil, "cmp", c.file, out)
	}
	return err
}

// served counts the downloads that a node has answered.
func served(t *testing.T, n *testenv.Node) float64 {
	t.Helper()
	_, text := on(t, n.Ops).text("GET", "/metrics", "")
	const line = `glimpse_http_request_seconds_count{code="200",route="GET /v2/images/{id}/file"}`
	if !strings.Contains(text, line) {
		return 0
	}
	return metric(t, n, line)
}

// What the README tells operators of hypervisors that run only Nova.
func TestTheRecipesForNova(t *testing.T) {
	c := newCompute(t)
	t.Run("an endpoint per site", func(t *testing.T) {
		for i, region := range []string{"site-a", "site-b"} {
			before := served(t, c.sites[i])
			other := served(t, c.sites[1-i])
			must(t, c.boot("OS_REGION_NAME="+region, "OS_ENDPOINT_TYPE=internalURL"))
			if served(t, c.sites[i]) != before+1 || served(t, c.sites[1-i]) != other {
				t.Errorf("%s was not served by its own node", region)
			}
		}
	})
	t.Run("a node on the hypervisor", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "glimpse.yaml")
		must(t, os.WriteFile(file, []byte(recipe(t, "hypervisor")), 0o600))
		plain := []string{"cluster.keyring_file=", "cluster.tls.ca=", "cluster.tls.cert=", "cluster.tls.key="}
		testenv.Run(t, nil, testenv.Binary(t), "serve", "--check", "--config", file)
		h := testenv.Configured(t, file, append(c.sets, plain...)...)
		until(t, "it is in the cluster", func() bool {
			_, s := on(t, h.Ops).text("GET", "/cluster", "")
			return strings.Count(s, `"ready"`) == 3
		})
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i := range errs {
			wg.Go(func() { errs[i] = c.boot("OS_IMAGE_URL=" + h.URL("")) })
		}
		wg.Wait()
		for _, err := range errs {
			must(t, err)
		}
		if served(t, h) != 2 {
			t.Errorf("it served %v downloads", served(t, h))
		}
		if from := metric(t, h, `glimpse_peer_read_bytes_total{zone="same"}`); from < 70<<20 || from > 100<<20 {
			t.Errorf("it had %.0f bytes of its zone for two guests", from)
		}
		if from := metric(t, h, `glimpse_peer_read_bytes_total{zone="other"}`); from > 0 {
			t.Errorf("it had %.0f bytes of another zone", from)
		}
		if _, text := on(t, h.Ops).text("GET", "/metrics", ""); regexp.MustCompile(`(?m)^glimpse_origin_read_bytes_total.* [1-9]`).MatchString(text) {
			t.Error("it read the origin")
		}
		if _, text := on2(t, c.sites[0], c.k).text("GET", "/glimpse/v1/nodes", ""); strings.Contains(text, h.API) {
			t.Errorf("it is told of to others: %s", text)
		}
	})
	t.Run("a balancer", func(t *testing.T) {
		testenv.Need(t, "nginx")
		text := recipe(t, "balancer")
		for i, addr := range []string{"10.0.0.1:9292", "10.0.0.2:9292"} {
			text = strings.ReplaceAll(text, addr, c.sites[i].API)
		}
		upstream, server, ok := strings.Cut(text, "server {\n")
		if !ok {
			t.Fatal(text)
		}
		server = strings.ReplaceAll(strings.TrimSuffix(strings.TrimSpace(server), "}"), "    listen 9292;\n", "")
		ready := strings.ReplaceAll(recipe(t, "readyz"), "127.0.0.1:9294", c.sites[0].Ops)
		web := testenv.Nginx(t, server+ready, upstream)
		isReady := func() int { code, _ := api{t: t, base: web.URL}.text("GET", "/readyz", ""); return code }
		before := []float64{served(t, c.sites[0]), served(t, c.sites[1])}
		for range 2 {
			must(t, c.boot("OS_IMAGE_URL="+web.URL))
		}
		for i, n := range c.sites {
			if served(t, n) != before[i]+1 {
				t.Errorf("node %d served %v downloads of two", i, served(t, n)-before[i])
			}
		}
		up := on2(t, c.sites[0], c.k)
		up.base = web.URL
		second := up.create("through the balancer", "raw")
		up.upload(second, c.file)
		up.same(second, c.file)

		if code := isReady(); code != 200 {
			t.Errorf("/readyz answers %d", code)
		}
		// One drains while a slow client still reads from it.
		resp := on2(t, c.sites[0], c.k).do("GET", "/v2/images/"+c.id+"/file", nil)
		defer resp.Body.Close()
		c.sites[0].Signal(syscall.SIGTERM)
		until(t, "it is not ready", func() bool { return isReady() == 503 })
		for range 2 {
			must(t, c.boot("OS_IMAGE_URL="+web.URL))
		}
		f, err := os.Open(c.file)
		must(t, err)
		defer f.Close()
		if err := equal(resp.Body, f); err != nil {
			t.Errorf("the slow client: %v", err)
		}
		select {
		case <-c.sites[0].Ended():
		case <-time.After(time.Minute):
			t.Error("it does not end")
		}
		c.sites[0].Reaped()
	})
}
