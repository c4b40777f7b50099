package imageapi

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// nosy is a server that notes whether it was shown a token.
func nosy(t *testing.T, h http.HandlerFunc) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var shown atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Auth-Token") != "" {
			shown.Add(1)
		}
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s, &shown
}

func open(t *testing.T, endpoint string) *Session {
	t.Helper()
	s, err := Open(t.Context(), Login{Endpoint: endpoint, Token: "secret"})
	must(t, err)
	t.Cleanup(s.Close)
	return s
}

func TestATokenDoesNotFollowARedirect(t *testing.T) {
	other, shown := nosy(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"images": []}`) })
	front, own := nosy(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
	})
	_, err := open(t, front.URL).Find(t.Context(), "x")
	if CodeOf(err) != Usage || !strings.Contains(err.Error(), "redirect") || shown.Load() > 0 || own.Load() == 0 {
		t.Errorf("%v; the other server saw %d tokens", err, shown.Load())
	}
}

// Nodes are measured without a token, and one that is not who it should be is no
// node.
func TestNodesAreWhoTheyShouldBe(t *testing.T) {
	health := func(id string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Glimpse-Node", id) }
	}
	good, a := nosy(t, health("good"))
	stranger, b := nosy(t, health("else"))
	slow, c := nosy(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(300 * time.Millisecond) // of a busy machine nobody else takes so long
		health("slow")(w, r)
	})
	addr := func(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }
	front, _ := nosy(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthcheck" {
			time.Sleep(5 * time.Millisecond)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		fmt.Fprintf(w, `{"self": {"id": "front", "zone": "z"}, "nodes": [
			{"id": "slow", "zone": "z", "api": %q}, {"id": "good", "zone": "z", "api": %q}, {"id": "stranger", "zone": "z", "api": %q},
			{"id": "dead", "zone": "z", "api": "127.0.0.1:1"}, {"id": "front", "zone": "z", "api": "127.0.0.1:2"}, {"id": "none", "zone": "z", "api": ""}, {"zone": "z", "api": %q}]}`,
			addr(slow), addr(good), addr(stranger), addr(stranger))
	})
	s := open(t, front.URL)
	nodes, err := s.Nodes(t.Context(), "")
	must(t, err)
	var bases []string
	for _, n := range nodes {
		bases = append(bases, n.Base)
		if !n.Near || n.RTT <= 0 {
			t.Errorf("%+v", n)
		}
	}
	if want := []string{good.URL, front.URL, slow.URL}; strings.Join(bases, " ") != strings.Join(want, " ") {
		t.Errorf("%v, want %v", bases, want)
	}
	if nodes, err = s.Nodes(t.Context(), "elsewhere"); err != nil || nodes[0].Near {
		t.Errorf("from another zone %+v, %v", nodes, err)
	}
	if a.Load()+b.Load()+c.Load() > 0 {
		t.Error("a token was shown by a measurement")
	}
}

func TestTLS(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"id": "x", "size": 7}`) }))
	t.Cleanup(srv.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600))
	for _, c := range []struct {
		name, value string
		code        Code
	}{{"OS_CACERT", file, 0}, {"OS_INSECURE", "true", 0}, {"OS_INSECURE", "", Unreachable}, {"OS_CACERT", "/none", Usage}} {
		t.Run(c.name+c.value, func(t *testing.T) {
			t.Setenv(c.name, c.value)
			s, err := Open(t.Context(), Login{Endpoint: srv.URL})
			if err == nil {
				defer s.Close()
				_, err = s.Show(t.Context(), "x")
			}
			if CodeOf(err) != c.code {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestWhereANodeIs(t *testing.T) {
	for _, c := range [][3]string{
		{"http://10.0.0.1:9292", "10.0.0.2:9292", "http://10.0.0.2:9292"},
		{"https://images.example.org/image", "10.0.0.2:9393", "https://10.0.0.2:9393"},
		{"http://10.0.0.1:9292", "127.0.0.1:9292", ""},
		{"http://10.0.0.1:9292", "0.0.0.0:9292", ""},
		{"http://127.0.0.1:9292", "127.0.0.1:9393", "http://127.0.0.1:9393"},
		{"http://10.0.0.1:9292", "[2001:db8::7]:9292", "http://[2001:db8::7]:9292"},
		{"http://10.0.0.1:9292", ":9292", ""},
		{"http://10.0.0.1:9292", "nonsense", ""},
	} {
		s := &Session{Endpoint: c[0]}
		if got := s.baseOf(c[1]); got != c[2] {
			t.Errorf("%s of %s: %q, want %q", c[1], c[0], got, c[2])
		}
	}
}

func TestEndpoints(t *testing.T) {
	for text, want := range map[string]string{
		"http://a:9292": "http://a:9292", "http://a:9292/": "http://a:9292", "https://a/image/v2/": "https://a/image", "http://a/v2": "http://a",
		"a:9292": "", "ftp://a": "", "http://u:p@a": "", "http://a?x": "", "": "",
	} {
		if got, err := cleanEndpoint(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// written is a manifest in its form.
func written(size int64, chunk uint32, digests ...Digest) []byte {
	b := append([]byte("GLIMPSE\x01"), binary.BigEndian.AppendUint64(nil, uint64(size))...)
	b = binary.BigEndian.AppendUint32(b, chunk)
	b = binary.BigEndian.AppendUint32(b, uint32(len(digests)))
	for _, d := range digests {
		b = append(b, d[:]...)
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

func TestManifests(t *testing.T) {
	good := written(10_000, 8192, Digest{1}, Digest{})
	m, err := readManifest(bytes.NewReader(good), 10_000)
	must(t, err)
	if off, n := m.Span(1); m.Zero(0) || !m.Zero(1) || off != 8192 || n != 10_000-8192 {
		t.Errorf("%+v", m)
	}
	for cut := range good {
		if _, err := readManifest(bytes.NewReader(good[:cut]), 10_000); err == nil {
			t.Errorf("%d bytes are enough", cut)
		}
		bad := bytes.Clone(good)
		bad[cut] ^= 4
		if _, err := readManifest(bytes.NewReader(bad), 10_000); err == nil {
			t.Errorf("a flip at %d is not found", cut)
		}
	}
	for name, b := range map[string][]byte{
		"another size":   written(10_001, 8192, Digest{1}, Digest{}),
		"too few chunks": written(10_000, 8192, Digest{1}),
		"no power of 2":  written(10_000, 8193, Digest{1}, Digest{}),
		"tiny chunks":    written(10_000, 1, make([]Digest, 10_000)...),
		"no chunk size":  written(10_000, 0),
	} {
		if _, err := readManifest(bytes.NewReader(b), 10_000); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A server can't make a client read on for ever.
func TestAManifestIsBounded(t *testing.T) {
	const size = (maxCount + 1) * minChunk
	b := written(size, minChunk)
	binary.BigEndian.PutUint32(b[20:], maxCount+1)
	rest := bytes.NewReader(make([]byte, 1<<20))
	if _, err := readManifest(io.MultiReader(bytes.NewReader(b[:manifestHead]), rest), size); err == nil || rest.Len() < 1<<20 {
		t.Errorf("%v, and %d bytes are unread", err, rest.Len())
	}
}

func FuzzManifest(f *testing.F) {
	f.Add(written(10_000, 8192, Digest{1}, Digest{}), int64(10_000))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		m, err := readManifest(bytes.NewReader(b), size)
		if err == nil && (m.Size != size || int64(len(m.Digests))*m.Chunk < size || len(b) < 28+32*len(m.Digests)) {
			t.Errorf("%+v", m)
		}
	})
}

func TestWhatAnAnswerSays(t *testing.T) {
	html := "<html>\n <head>\n  <title>404 Not Found</title>\n </head>\n <body>\n  <h1>404 Not Found</h1>\n  No image found with ID x\x1b[31m<br /><br />\n\n\n\n </body>\n</html>"
	if got := plainText([]byte(html)); got != "No image found with ID x [31m" {
		t.Errorf("%q", got)
	}
	if got := plainText(bytes.Repeat([]byte("ä"), 1000)); len(got) > 310 {
		t.Errorf("%d bytes", len(got))
	}
}

// A cloud that is named counts alone: neither the token of another one goes to it,
// nor its own to the endpoint of another.
func TestANamedCloudCountsAlone(t *testing.T) {
	var shown atomic.Value
	keystone, _ := nosy(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPost {
			shown.Store(string(b) + r.Header.Get("X-Auth-Token"))
		}
		w.WriteHeader(http.StatusUnauthorized)
	})
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "clouds.yaml"), fmt.Appendf(nil, "clouds: {b: {auth: {auth_url: %q, username: u, password: p, project_name: x, user_domain_name: d, project_domain_name: d}}}", keystone.URL+"/v3"), 0o600))
	t.Setenv("OS_CLIENT_CONFIG_FILE", filepath.Join(dir, "clouds.yaml"))
	t.Setenv("OS_TOKEN", "of-cloud-a")
	for _, endpoint := range []string{"", "http://a.example.org"} {
		t.Setenv("OS_IMAGE_ENDPOINT", endpoint)
		shown.Store("")
		s, err := Open(t.Context(), Login{Cloud: "b"})
		if CodeOf(err) != NotAllowed {
			t.Errorf("%+v, %v", s, err)
		}
		if got := shown.Load().(string); got == "" || strings.Contains(got, "of-cloud-a") {
			t.Errorf("endpoint %q: Keystone was shown %q", endpoint, got)
		}
	}
}

// A node that refuses and then says nothing more is not waited for.
func TestARefusalThatDoesNotEnd(t *testing.T) {
	srv, asked := nosy(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(http.StatusServiceUnavailable)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Second, io.ErrNoProgress)
	defer cancel()
	_, err := open(t, srv.URL).Range(ctx, srv.URL, "x", 0, 1, 1, 100*time.Millisecond)
	if CodeOf(err) != Unreachable || asked.Load() != 1 || ctx.Err() != nil {
		t.Errorf("%v, %v", err, ctx.Err())
	}
}
