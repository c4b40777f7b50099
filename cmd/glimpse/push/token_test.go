package push

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"glimpse/cmd/glimpse/imageapi"
)

// keystone gives a new token each time it is asked: 1, 2, ...
func keystone(t *testing.T) {
	t.Helper()
	var n atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v3/auth/tokens", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Subject-Token", fmt.Sprint(n.Add(1)))
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"token": {"expires_at": "2100-01-01T00:00:00.000000Z", "catalog": []}}`)
	})
	k := httptest.NewServer(mux)
	t.Cleanup(k.Close)
	for name, v := range map[string]string{
		"OS_AUTH_URL": k.URL + "/v3", "OS_USERNAME": "u", "OS_PASSWORD": "p", "OS_PROJECT_NAME": "x", "OS_USER_DOMAIN_NAME": "d", "OS_PROJECT_DOMAIN_NAME": "d",
	} {
		t.Setenv(name, v)
	}
}

// A token that has run out when the bytes are sent is made anew once, and they are
// sent again: those of a file always, those of a stream if none was taken of it.
func TestATokenThatRunsOut(t *testing.T) {
	data := bytes.Repeat([]byte("data"), 4<<20)
	for name, c := range map[string]struct {
		reads    int64 // bytes, before the 401
		until    string
		streamed imageapi.Code
	}{
		"before the bytes": {0, "2", 0},
		"among them":       {1 << 20, "2", imageapi.NotAllowed},
		"after them":       {int64(len(data)), "2", imageapi.NotAllowed},
		"for good":         {0, "never", imageapi.NotAllowed},
	} {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprint(name, stream), func(t *testing.T) {
				keystone(t)
				s := newService(t, nil, func(b []byte) []byte { return b })
				s.put = func(w http.ResponseWriter, r *http.Request, _ int) bool {
					if r.Header.Get("X-Auth-Token") == c.until {
						return false
					}
					// The answer goes out while the rest is still being sent.
					_ = http.NewResponseController(w).EnableFullDuplex()
					_, _ = io.CopyN(io.Discard, r.Body, c.reads)
					w.WriteHeader(http.StatusUnauthorized)
					w.(http.Flusher).Flush()
					if c.reads > 0 {
						_, _ = io.Copy(io.Discard, r.Body)
					}
					return true
				}
				p := s.push(t, data, stream)
				var shown atomic.Int64
				p.Progress = func(n int64) { shown.Add(n) }
				want := c.streamed
				if !stream && c.until == "2" {
					want = 0
				}
				m, _, err := p.Run(t.Context())
				if imageapi.CodeOf(err) != want || (err == nil) != (want == 0) || want != 0 && c.until == "2" && !strings.Contains(err.Error(), "standard input") {
					t.Errorf("%v", err)
				}
				left, sent := s.left(), int64(0)
				if err == nil {
					sent = int64(len(data))
				}
				if len(s.made) != 1 || (len(left) == 1) != (err == nil) || err == nil && !bytes.Equal(s.data[m.ID], data) || shown.Load() != sent {
					t.Errorf("made %v, left %v, showed %d bytes", s.made, left, shown.Load())
				}
				if s.tries[1] != 2 && want == 0 || s.tries[1] > 2 {
					t.Errorf("%d uploads", s.tries[1])
				}
			})
		}
	}
}
