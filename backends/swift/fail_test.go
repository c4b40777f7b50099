package swift

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/cmd/testenv"
)

const hush = "hush-secret"

// evil is a Swift that logs in everybody and answers for objects as handler says.
// It counts its logins.
func evil(t *testing.T, handler http.HandlerFunc) (*Store, *atomic.Int32) {
	t.Helper()
	var logins atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/auth", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Storage-Url", "http://"+r.Host+"/v1/AUTH_x")
		w.Header().Set("X-Auth-Token", fmt.Sprintf("%s-token-%d", hush, logins.Add(1)))
	})
	mux.HandleFunc("/v1/", handler)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	c := config(Credentials{AuthURL: srv.URL + "/auth", Version: 1, User: "u", Key: hush})
	c.Timeout, c.Tries, c.NoReplace = 100*time.Millisecond, 2, false
	s := store(t, c)
	t.Cleanup(func() { _ = s.Close() })
	return s, &logins
}

func quiet(t *testing.T, err error) {
	t.Helper()
	if err != nil && (strings.Contains(err.Error(), hush) || strings.Contains(err.Error(), "127.0.0.1") && strings.Contains(err.Error(), "/v1/")) {
		t.Errorf("the error tells a secret: %v", err)
	}
}

// Servers that lie or fail: each gives its error, and none a wrong body.
func TestBadServers(t *testing.T) {
	data := backendtest.Bytes(1000)
	var fired atomic.Int32
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, "/id") { // the container is there
				_, _ = io.WriteString(w, "[]")
				return
			}
			fired.Add(1)
			w.Header().Set("Retry-After", "7")
			http.Error(w, hush, code)
		}
	}
	partial := func(span string, length int, body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			fired.Add(1)
			w.Header().Set("Content-Range", span)
			w.Header().Set("Content-Length", fmt.Sprint(length))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(body)
		}
	}
	errAny := errors.New("any")
	for name, c := range map[string]struct {
		h    http.HandlerFunc
		want error
		wait time.Duration
	}{
		"404":          {status(404), backends.ErrNotFound, 0},
		"412":          {status(412), backends.ErrChanged, 0},
		"413":          {status(413), backends.ErrFull, 0},
		"416":          {status(416), io.ErrUnexpectedEOF, 0},
		"507":          {status(507), backends.ErrFull, 0},
		"429":          {status(429), backends.ErrUnavailable, 7 * time.Second},
		"498":          {status(498), backends.ErrUnavailable, 7 * time.Second},
		"503":          {status(503), backends.ErrUnavailable, 7 * time.Second},
		"500":          {status(500), backends.ErrUnavailable, 0},
		"408":          {status(408), backends.ErrUnavailable, 0},
		"401":          {status(401), errAny, 0},
		"403":          {status(403), errAny, 0},
		"409":          {status(409), errAny, 0},
		"204":          {status(204), errAny, 0},
		"200 for 206":  {func(w http.ResponseWriter, _ *http.Request) { fired.Add(1); _, _ = w.Write(data[100:200]) }, errAny, 0},
		"another span": {partial("bytes 200-299/1000", 100, data[200:300]), errAny, 0},
		"no span":      {partial("", 100, data[100:200]), errAny, 0},
		"a short span": {partial("bytes 100-149/150", 50, data[100:150]), io.ErrUnexpectedEOF, 0},
		"truncated":    {partial("bytes 100-199/1000", 100, data[100:150]), io.ErrUnexpectedEOF, 0},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			fired.Add(1)
			http.Redirect(w, r, "/auth?"+hush, http.StatusFound)
		}, errAny, 0},
		"silent": {func(_ http.ResponseWriter, r *http.Request) { fired.Add(1); <-r.Context().Done() }, backends.ErrUnavailable, 0},
		"silent in the middle": {func(w http.ResponseWriter, r *http.Request) {
			partial("bytes 100-199/1000", 100, data[100:150])(w, r)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, backends.ErrUnavailable, 0},
		"not HTTP": {func(w http.ResponseWriter, _ *http.Request) {
			fired.Add(1)
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, hush+"\r\n\r\n")
				conn.Close()
			}
		}, backends.ErrUnavailable, 0},
		"a whole that is shorter than its owner said": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(metaSize, "2000")
			partial("bytes 100-199/1000", 100, data[100:200])(w, r)
		}, backends.ErrUnavailable, 0},
	} {
		t.Run(name, func(t *testing.T) {
			before := fired.Load()
			s, _ := evil(t, c.h)
			got, err := readAll(t, s, s.locator(place{container: "glance"}, "id"), "", 100, 100)
			if err == nil || !errors.Is(c.want, errAny) && !errors.Is(err, c.want) || backends.BusyFor(err) != c.wait {
				t.Errorf("%d bytes, %v, to be asked again in %s", len(got), err, backends.BusyFor(err))
			}
			quiet(t, err)
			if fired.Load() == before {
				t.Error("no fault was played")
			}
		})
	}
}

// A container that is away says nothing of the image.
func TestAMissingContainer(t *testing.T) {
	srv := testenv.Swift(t)
	c := config(v1(srv))
	c.CreateContainer = false
	s := store(t, c)
	defer s.Close()
	at := s.locator(place{container: c.Container}, "id")
	_, serr := s.Stat(t.Context(), at)
	_, oerr := readAll(t, s, at, "", 0, -1)
	for op, err := range map[string]error{"Stat": serr, "Open": oerr, "Delete": s.Delete(t.Context(), at)} {
		if errors.Is(err, backends.ErrNotFound) || !errors.Is(err, backends.ErrUnavailable) || !strings.Contains(err.Error(), c.Container) {
			t.Errorf("%s: %v", op, err)
		}
	}
	w, err := s.Create(t.Context(), "id", 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("x")); err == nil || !strings.Contains(err.Error(), "create_container_on_put") {
		t.Error(err)
	}
	if err := w.Cancel(); err != nil {
		t.Error(err)
	}
	s.c.CreateContainer = true
	if got, err := readAll(t, s, backendtest.Put(t, s, "id", []byte("x"), 1), "", 0, -1); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
}

// A segment is sent again from its start after each fault, and the object is
// whole.
func TestSegmentsAreSentAgain(t *testing.T) {
	srv := testenv.Swift(t)
	var faults atomic.Int32
	s := made(t, config(v1(srv)))
	base := s.client.Transport
	s.client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodPut || r.ContentLength < part || faults.Load() >= 3 {
			return base.RoundTrip(r)
		}
		switch faults.Add(1) {
		case 1: // the connection breaks in the middle of the body
			r.Body = struct {
				io.Reader
				io.Closer
			}{io.MultiReader(io.LimitReader(r.Body, 1000), iotest.ErrReader(io.ErrClosedPipe)), r.Body}
			return base.RoundTrip(r)
		case 2:
			return &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {"1"}}, Body: http.NoBody, Request: r}, nil
		default: // it was stored, and nobody heard
			resp, err := base.RoundTrip(r)
			if err == nil {
				resp.Body.Close()
			}
			return nil, io.ErrUnexpectedEOF
		}
	})
	data := backendtest.Bytes(2*part + 5)
	sound(t, s, backendtest.Put(t, s, "again", data, -1), data)
	if faults.Load() != 3 {
		t.Errorf("%d faults fired, want 3", faults.Load())
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// What the answer to a manifest's PUT is lost does not make two images of one.
func TestAManifestThatWasStoredUnheard(t *testing.T) {
	srv := testenv.Swift(t)
	var faults atomic.Int32
	s := made(t, config(v1(srv)))
	base := s.client.Transport
	s.client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		resp, err := base.RoundTrip(r)
		if r.Header.Get(metaUpload) == "" || err != nil || faults.Add(1) > 1 {
			return resp, err
		}
		resp.Body.Close()
		return &http.Response{StatusCode: 500, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	})
	data := backendtest.Bytes(part + 5)
	sound(t, s, backendtest.Put(t, s, "unheard", data, -1), data)
	if faults.Load() != 2 {
		t.Errorf("%d manifests were sent, want 2", faults.Load())
	}
}

// A token that ends in the middle of a read or an upload is replaced, once for
// all who find it ended.
func TestTokensThatEnd(t *testing.T) {
	srv := testenv.Swift(t)
	c := config(v1(srv))
	c.PartSize = 1 << 20 // Swift gives one segment a second after the first ten
	s := made(t, c)
	data := backendtest.Bytes(8 << 20)
	w, err := s.Create(t.Context(), "long", -1)
	if err != nil {
		t.Fatal(err)
	}
	for i, half := range [][]byte{data[:4<<20], data[4<<20:]} {
		if _, err := w.Write(half); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			srv.ForgetTokens(t)
		}
	}
	at, err := w.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Stat(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	r, err := backends.Retry(s, backends.Retries{Max: 3}).Open(t.Context(), at, info.Validator, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := make([]byte, 100)
	if _, err := io.ReadFull(r, got); err != nil {
		t.Fatal(err)
	}
	srv.ForgetTokens(t)
	rest, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(append(got, rest...), data) {
		t.Errorf("%d bytes, %v", len(rest), err)
	}
	before := s.own().mu.logins
	if before < 3 {
		t.Errorf("%d logins, the token did not end twice", before)
	}
	srv.ForgetTokens(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := s.Stat(t.Context(), at); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := s.own().mu.logins - before; n != 1 {
		t.Errorf("%d logins for one token", n)
	}
}
