package web

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/cmd/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var caps = backends.Caps{ReadOnly: true, Ranged: true, Validators: true}

func store(t *testing.T, c Config) *Store {
	t.Helper()
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// local is a store that may read from this machine.
func local(t *testing.T) *Store {
	t.Helper()
	s := store(t, Config{AllowedHosts: []string{"127.0.0.1"}})
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// The kit before a real nginx: with ranges and validators, without an ETag, and
// without ranges.
func TestNginx(t *testing.T) {
	for name, lines := range map[string]string{
		"as it is":       "",
		"without ETags":  "etag off;",
		"without ranges": "max_ranges 0;",
	} {
		t.Run(name, func(t *testing.T) {
			web := testenv.Nginx(t, lines)
			file := func(at backends.Locator) string {
				return filepath.Join(web.Root, strings.TrimPrefix(at.Reveal(), web.URL))
			}
			old := time.Now().Add(-time.Hour) // an HTTP date has whole seconds
			backendtest.Run(t, func(t *testing.T) backends.Store {
				return store(t, Config{AllowedHosts: []string{"127.0.0.1"}})
			}, backendtest.Options{
				Caps: caps,
				Place: func(t *testing.T, key string, data []byte) backends.Locator {
					t.Helper()
					at := backends.Locator(web.URL + "/" + key)
					write(t, file(at), data)
					if err := os.Chtimes(file(at), old, old); err != nil {
						t.Fatal(err)
					}
					return at
				},
				Remove: func(t *testing.T, at backends.Locator) {
					t.Helper()
					if err := os.Remove(file(at)); err != nil {
						t.Fatal(err)
					}
				},
				Replace: func(t *testing.T, at backends.Locator, data []byte) { t.Helper(); write(t, file(at), data) },
			})
		})
	}
}

// evil answers as handler says.
func evil(t *testing.T, handler http.HandlerFunc) backends.Locator {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return backends.Locator(srv.URL + "/image?sig=hush")
}

func readAll(t *testing.T, s *Store, at backends.Locator, validator string, off, n int64) ([]byte, error) {
	t.Helper()
	r, err := s.Open(t.Context(), at, validator, off, n)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// Servers that lie or fail: each gives its error, and none a wrong body.
func TestBadServers(t *testing.T) {
	data := backendtest.Bytes(1000)
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	partial := func(span string, body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", span)
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(body)
		}
	}
	for name, c := range map[string]struct {
		h    http.HandlerFunc
		want error // nil: any
	}{
		"404":          {status(404), backends.ErrNotFound},
		"410":          {status(410), backends.ErrNotFound},
		"412":          {status(412), backends.ErrChanged},
		"416":          {status(416), io.ErrUnexpectedEOF},
		"429":          {status(429), backends.ErrUnavailable},
		"500":          {status(500), backends.ErrUnavailable},
		"503":          {status(503), backends.ErrUnavailable},
		"403":          {status(403), nil},
		"204":          {status(204), nil},
		"another span": {partial("bytes 200-299/1000", data[200:300]), errRange},
		"no span":      {partial("", data[100:200]), errRange},
		"a wild span":  {partial("bytes -1--5/x", data[100:200]), errRange},
		"a short span": {partial("bytes 100-149/150", data[100:150]), io.ErrUnexpectedEOF},
		"truncated": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 100-199/1000")
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(data[100:150])
		}, io.ErrUnexpectedEOF},
		"packed": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(data)
		}, nil},
		"redirects for ever": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) }, errRedirect},
		"to a file": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		}, errRedirect},
		"to nothing": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://[hush")
			w.WriteHeader(http.StatusFound)
		}, backends.ErrUnavailable},
		"to metadata": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
		}, errForbidden},
		"to itself by another name": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://[::ffff:127.0.0.1]:"+r.Host[strings.LastIndex(r.Host, ":")+1:]+"/", http.StatusFound)
		}, errForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			at := evil(t, c.h)
			got, err := readAll(t, local(t), at, "", 100, 100)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if err != nil && strings.Contains(err.Error(), "hush") {
				t.Errorf("the error tells the URL: %v", err)
			}
		})
	}
}

func TestASilentServerIsLeft(t *testing.T) {
	release := make(chan struct{})
	at := evil(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write(make([]byte, 10))
		w.(http.Flusher).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	s := store(t, Config{AllowedHosts: []string{"127.0.0.1"}, Timeout: 50 * time.Millisecond})
	defer s.Close()
	defer close(release)
	if got, err := readAll(t, s, at, "", 0, -1); !errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// A reader that takes its time is no reason to leave a server.
func TestASlowReaderKeepsItsServer(t *testing.T) {
	data := backendtest.Bytes(16 << 20) // more than the connection buffers
	at := evil(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) })
	const limit = 100 * time.Millisecond
	s := store(t, Config{AllowedHosts: []string{"127.0.0.1"}, Timeout: limit})
	defer s.Close()
	r, err := s.Open(t.Context(), at, "", 0, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := make([]byte, 10)
	if _, err := io.ReadFull(r, got); err != nil {
		t.Fatal(err)
	}
	<-time.After(3 * limit)
	rest, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(append(got, rest...), data) {
		t.Errorf("%d bytes, %v", len(rest), err)
	}
}

// A URL that is signed for GET alone still tells the object's size.
func TestStatWithoutHead(t *testing.T) {
	data := backendtest.Bytes(1000)
	at := evil(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		http.ServeContent(w, r, "", time.Unix(1e9, 0), bytes.NewReader(data))
	})
	s := local(t)
	info, err := s.Stat(t.Context(), at)
	if err != nil || info.Size != 1000 || info.Validator == "" {
		t.Fatalf("%+v %v", info, err)
	}
	// The check at the end of a read asks in the same way.
	if got, err := readAll(t, s, at, info.Validator, 10, 20); err != nil || !bytes.Equal(got, data[10:30]) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// What may be dialled, and what no spelling of a name can reach.
func TestAddresses(t *testing.T) {
	for addr, allowed := range map[string]bool{
		"93.184.216.34:80": true, "10.1.2.3:80": true, "192.168.0.1:80": true, "[2606:4700::1]:443": true, "[fd00::1]:80": true,
		"127.0.0.1:80": false, "127.9.9.9:80": false, "[::1]:80": false, "[::ffff:127.0.0.1]:80": false, "[::ffff:169.254.169.254]:80": false,
		"169.254.169.254:80": false, "[fe80::1]:80": false, "0.0.0.0:80": false, "0.1.2.3:80": false, "[::]:80": false, "224.0.0.1:80": false,
		"255.255.255.255:80": false, "[64:ff9b::7f00:1]:80": false, "[64:ff9b::a9fe:a9fe]:80": false, "[fd00:ec2::254]:80": false, "x:80": false,
	} {
		if err := public(addr); (err == nil) != allowed {
			t.Errorf("%s: %v", addr, err)
		}
	}
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := store(t, Config{})
	defer s.Close()
	for _, host := range []string{"127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "localhost.", "[::ffff:7f00:1]"} {
		_, err := s.Stat(t.Context(), backends.Locator("http://"+host+":"+u.Port()+"/x"))
		if err == nil || errors.Is(err, backends.ErrNotFound) {
			t.Errorf("%s was reached", host)
		}
	}
}

func TestValidators(t *testing.T) {
	long := `"` + strings.Repeat("x", 300) + `"`
	for i, c := range []struct{ etag, modified, want, header string }{
		{`"a"`, "Mon", `e5 "a"`, "If-Match"},
		{`W/"a"`, "Mon", "m5 Mon", "If-Unmodified-Since"},
		{"", "", "", ""},
		{long, "", "h5 ", ""},
	} {
		v := version{5, "", c.modified}
		if strings.HasPrefix(c.etag, `"`) {
			v.etag = c.etag
		}
		got := v.String()
		name, _ := condition(got)
		if !strings.HasPrefix(got, c.want) || len(got) > maxTag+25 || name != c.header {
			t.Errorf("%d: %q, by %q", i, got, name)
		}
	}
	if got := fmt.Sprint(versionOf(&http.Response{Header: http.Header{"Etag": {`W/"a"`}}}, 1)); got != "" {
		t.Errorf("a weak ETag gives %q", got)
	}
}
