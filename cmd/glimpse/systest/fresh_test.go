package systest

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// counting is what lies in front of an S3 server and counts what it gives.
type counting struct {
	http.ResponseWriter
	object bool
	given  *atomic.Int64
}

func (c *counting) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	if c.object {
		c.given.Add(int64(n))
	}
	return n, err
}

func (c *counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// countedS3 is a real S3 server, and how many bytes of objects it has given.
func countedS3(t *testing.T) (s testenv.S3Server, given *atomic.Int64) {
	s = *testenv.Versitygw(t)
	to, err := url.Parse(s.URL)
	must(t, err)
	given = new(atomic.Int64)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // which is signed
	}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		object := r.Method == http.MethodGet && regexp.MustCompile(`^/[^/]+/.`).MatchString(r.URL.Path)
		proxy.ServeHTTP(&counting{w, object, given}, r)
	}))
	t.Cleanup(srv.Close)
	s.URL = srv.URL
	return s, given
}

// An image is uploaded through one node of three, and then booted everywhere: the
// origin gives no byte of it.
func TestAFreshUploadIsNotReadFromItsOrigin(t *testing.T) {
	s3, given := countedS3(t)
	sets := []string{"stores.s3.type=s3", "default_store=s3"}
	for _, set := range ourS3(&s3, "fresh") {
		sets = append(sets, "stores.s3."+set)
	}
	nodes := testenv.Cluster(t, 3, append(sets, "cluster.rebalance_rate=1GiB")...)
	together(t, nodes...)
	upload := func(size int) *webImage {
		a := on(t, nodes[0].API)
		w := &webImage{t: t, data: content(t, size)}
		w.id = a.create("fresh", "raw")
		resp := a.do("PUT", "/v2/images/"+w.id+"/file", bytes.NewReader(w.data), "Content-Type", "application/octet-stream")
		resp.Body.Close()
		if resp.StatusCode != http.StatusNoContent {
			t.Fatal(resp.Status)
		}
		return w
	}
	w := upload(256 << 20)
	for _, err := range w.storm(6, nodes...) {
		t.Error(err)
	}
	if n := given.Load(); n > 0 {
		t.Errorf("the origin gave %d bytes", n)
	}

	// Nobody asks for this one. The first node may happen to own all three extents.
	fetched := func() (sum float64) {
		for _, n := range nodes[1:] {
			sum += metric(t, n, "glimpse_uploads_fetched_bytes_total")
		}
		return sum
	}
	before := fetched()
	for tries := 0; fetched() == before && tries < 5; tries++ {
		upload(130 << 20)
		for range 20 {
			time.Sleep(100 * time.Millisecond)
			if fetched() > before {
				break
			}
		}
	}
	t.Logf("owners fetched %.0f bytes by themselves, and then %.0f", before, fetched()-before)
	if fetched() == before {
		t.Error("no owner has fetched anything that nobody asked for")
	}
	if n := given.Load(); n > 0 {
		t.Errorf("the origin gave %d bytes", n)
	}
}
