package proxy

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"glimpse/backends/mem"
	"glimpse/cachestore"
	"glimpse/cachestore/chunk"
	"glimpse/proxy/identity"
	"glimpse/proxy/jsonpatch"
	"glimpse/proxy/ops"
	"glimpse/proxy/policy"
	"glimpse/registry"
	"glimpse/registry/image"
	"glimpse/registry/memstore"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// node is the whole API on memory twins behind a real listener.
type node struct {
	t     *testing.T
	addr  string
	srv   *Server
	reg   registry.Registry
	store *mem.Store
	gate  *gatedSource
	svc   *ops.Service
}

// byToken takes tokens of the form user:project:role,role.
type byToken struct{}

func (byToken) Challenge() string { return `Keystone uri="http://k/v3"` }
func (byToken) Close() error      { return nil }
func (byToken) Authenticate(_ context.Context, r identity.Request) (identity.Identity, error) {
	p := strings.Split(r.Token, ":")
	switch {
	case r.Token == "away":
		return identity.Identity{}, image.Errorf(image.Unavailable, "Keystone is away.")
	case len(p) != 3:
		return identity.Identity{}, image.Errorf(image.Unauthenticated, "Who are you?")
	}
	return identity.Identity{UserID: p[0], ProjectID: p[1], Roles: strings.Split(p[2], ","), SystemScope: p[0] == "system"}, nil
}

// gatedSource holds the origin back while its gate is closed.
type gatedSource struct {
	chunk.Source
	gate chan struct{}
}

func (g *gatedSource) OpenRange(ctx context.Context, o chunk.Object, off, n int64) (chunk.Stream, error) {
	if g.gate != nil {
		select {
		case <-g.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return g.Source.OpenRange(ctx, o, off, n)
}

type front struct {
	*cachestore.Store
	client *cachestore.Level
}

func (f front) Open(ctx context.Context, o chunk.Object, off, n int64) (chunk.Body, error) {
	return f.client.Open(ctx, o, off, n)
}

var small = chunk.Geometry{Chunk: 64 << 10, Extent: 2}

func newNode(t *testing.T, change func(*Config)) *node { return newNodeOn(t, nil, change) }

func rules(t *testing.T, overrides map[string]string) *policy.Engine {
	t.Helper()
	e, err := policy.New(policy.Defaults(), overrides)
	must(t, err)
	return e
}

// newNodeOn is a node with further stores behind the default one.
func newNodeOn(t *testing.T, more []ops.Store, change func(*Config)) *node {
	t.Helper()
	n := &node{t: t, reg: memstore.New(time.Minute), store: mem.New("m"), gate: &gatedSource{}}
	f := &front{}
	svc, err := ops.New(ops.Config{
		Registry: n.reg, DefaultStore: "main",
		Stores: append([]ops.Store{{ID: "main", Type: "mem", Description: "first", Schemes: []string{"mem"}, Backend: n.store, MemoryOnly: true}}, more...),
		Cache:  f, Secret: []byte("s"), Share: "verified", Geometry: small, Limits: image.DefaultLimits(), HashAlgo: "sha512", RequireFormatMatch: true,
	})
	must(t, err)
	n.svc = svc
	cache, err := cachestore.Open(t.Context(), cachestore.Config{Geometry: small, Memory: 64 * small.Chunk, ReadAhead: 4, FillStreams: 2, Manifests: svc, Filled: svc.Filled})
	must(t, err)
	n.gate.Source = svc
	f.Store, f.client = cache, cache.Level("client", cache.Level("zone", cache.Level("home", n.gate)))
	c := Config{
		Images: n.reg, Members: n.reg, Ops: svc, Auth: byToken{}, Policy: rules(t, nil), LimitParamDefault: 25, APILimitMax: 1000, Limits: image.DefaultLimits(), HashAlgo: "sha512",
		MaxConnections: 1000, HeaderTimeout: 2 * time.Second, StallTimeout: 2 * time.Second, MinRate: 1024,
	}
	if change != nil {
		change(&c)
	}
	n.srv, err = New(c)
	must(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	n.addr = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- n.srv.Serve(ln) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := n.srv.Drain(ctx); err != nil {
			t.Errorf("drain: %v", err)
		}
		must(t, <-served)
		must(t, svc.Close(ctx))
		must(t, cache.Close(ctx))
	})
	return n
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const (
	admin  = "root:ops:admin,member,reader"
	member = "ann:p:member,reader"
	reader = "ben:p:reader"
	other  = "cat:q:member,reader"
)

// reply is an answer, read whole.
type reply struct {
	code   int
	header http.Header
	body   []byte
}

func (r reply) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	return v
}

// do sends a request; headers are pairs.
func (n *node) do(token, method, path, body string, headers ...string) reply {
	n.t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(n.t.Context(), method, "http://"+n.addr+path, in)
	must(n.t, err)
	r.Header.Set("Accept", "application/json")
	if token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	c := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(r)
	must(n.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(n.t, err)
	return reply{resp.StatusCode, resp.Header, b}
}

func (n *node) create(token, body string) reply {
	n.t.Helper()
	return n.do(token, "POST", "/v2/images", body, "Content-Type", "application/json")
}

// created makes an image and returns its id.
func (n *node) created(token, extra string) string {
	n.t.Helper()
	body := `{"name": "x", "disk_format": "raw", "container_format": "bare"` + extra + `}`
	r := n.create(token, body)
	if r.code != 201 {
		n.t.Fatalf("create %s: %d %s", body, r.code, r.body)
	}
	return r.json(n.t)["id"].(string)
}

// active makes an image with data.
func (n *node) active(token, extra string, data []byte) string {
	n.t.Helper()
	id := n.created(token, extra)
	if r := n.put(token, id, data); r.code != 204 {
		n.t.Fatalf("upload: %d %s", r.code, r.body)
	}
	return id
}

func (n *node) put(token, id string, data []byte, headers ...string) reply {
	n.t.Helper()
	return n.do(token, "PUT", "/v2/images/"+id+"/file", string(data), append([]string{"Content-Type", "application/octet-stream"}, headers...)...)
}

func (n *node) patch(token, id, body string) reply {
	n.t.Helper()
	return n.do(token, "PATCH", "/v2/images/"+id, body, "Content-Type", jsonpatch.MediaTypeV21)
}

func (n *node) get(token, path string, headers ...string) reply {
	n.t.Helper()
	return n.do(token, "GET", path, "", headers...)
}

// activate makes an image active with bytes that are in the store already, as a
// Glance would have.
func (n *node) activate(id, url string, size int64) error {
	_, err := n.reg.Update(n.t.Context(), id, func(m *image.Image) error {
		m.Status, m.Size = image.Active, &size
		m.Locations = []image.Location{{URL: image.Secret(url), Metadata: map[string]string{"store": "main"}, Status: "active"}}
		return nil
	})
	return err
}
