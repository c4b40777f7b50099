package systest

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// The ways in which a server is away: its connections break, or nothing comes
// back.
var waysAway = map[string]func(*wire){
	"cut":  func(w *wire) { w.set(true) },
	"dead": (*wire).hang,
}

// The database is away at a moment of an upload. What is acknowledged is there;
// what is not can be uploaded again when the database is back, without a restart.
func TestTheDatabaseIsAwayDuringAnUpload(t *testing.T) {
	const size = 9 << 20
	w, url := throughWire(t, testenv.MariaDB(t))
	n := testenv.Glimpse(t, "registry.url="+url)
	a := on(t, n.API)
	data := content(t, size)
	for way, leave := range waysAway {
		for _, c := range []struct {
			name      string
			from, til int // bytes of the body after which it goes and comes back
			want      int
		}{
			{"before", -1, size, 503},
			{"in the middle", size / 2, size - 1, 204},
			{"at the end", size - 1, size, 503},
		} {
			if way == "dead" && c.til == size && rounds(0, 1) == 0 {
				continue // it takes as long as a dead server is waited for: a minute
			}
			t.Run(way+" "+c.name, func(t *testing.T) {
				id := a.create("away", "raw")
				w.count() // from here
				var asking sync.WaitGroup
				defer asking.Wait()
				away := func() {
					leave(w)
					// An upload asks nothing in its middle: somebody else does.
					asking.Go(func() {
						if resp, err := http.Get(n.URL("/v2/images/" + id)); err == nil {
							resp.Body.Close()
						}
					})
				}
				if c.from < 0 {
					away()
				}
				body := &staged{data: data, at: map[int]func(){c.from: away}}
				fired := 0
				if c.til < size {
					body.at[c.til] = func() {
						for end := time.Now().Add(20 * time.Second); fired == 0 && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
							fired += w.count()
						}
						time.Sleep(300 * time.Millisecond)
						w.set(false)
					}
				}
				start := time.Now()
				code, text := put(t, n, id, body)
				took := time.Since(start)
				fired += w.count()
				w.set(false)
				if code != c.want || took > 90*time.Second {
					t.Errorf("%d %s after %v, want %d", code, text, took, c.want)
				}
				t.Logf("%d connections were cut or held up", fired)
				if fired == 0 {
					t.Error("nothing was cut")
				}
				until(t, "it is ready again", func() bool { code, _ := on(t, n.Ops).text("GET", "/readyz", ""); return code == 200 })
				checkUpload(t, n, a, id, data, code)
			})
		}
	}
}

// checkUpload looks whether an image is what the answer to its upload allows.
func checkUpload(t *testing.T, n *testenv.Node, a api, id string, data []byte, code int) {
	t.Helper()
	switch status := a.show(id)["status"]; {
	case status == "active":
		got, err := http.Get(n.URL("/v2/images/" + id + "/file"))
		must(t, err)
		defer got.Body.Close()
		if b, err := io.ReadAll(got.Body); err != nil || !bytes.Equal(b, data) {
			t.Errorf("active with %d bytes, %v", len(b), err)
		}
	case code == 204:
		t.Errorf("acknowledged, and now %v", status)
	case status == "queued":
		if code, text := put(t, n, id, &staged{data: data}); code != 204 {
			t.Errorf("uploaded again: %d %s", code, text)
		}
	case status != "saving": // the reaper's, when the lease has run out
		t.Errorf("status %v", status)
	}
	if code, text := a.text("DELETE", "/v2/images/"+id, ""); code != 204 {
		t.Errorf("delete: %d %s", code, text)
	}
}

// staged is a body of which something happens when so many bytes have been read.
type staged struct {
	data []byte
	pos  int
	at   map[int]func()
}

func (s *staged) Read(p []byte) (int, error) {
	if do := s.at[s.pos]; do != nil {
		delete(s.at, s.pos)
		do()
	}
	if s.pos == len(s.data) {
		return 0, io.EOF
	}
	end := len(s.data)
	for at := range s.at {
		if at > s.pos {
			end = min(end, at)
		}
	}
	n := copy(p, s.data[s.pos:end])
	s.pos += n
	return n, nil
}

func put(t *testing.T, n *testenv.Node, id string, body io.Reader) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "PUT", n.URL("/v2/images/"+id+"/file"), body)
	must(t, err)
	r.Header.Set("Content-Type", "application/octet-stream")
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(b)
}

// Keystone is away: tokens that are known go on for the grace, others can't be
// told from bad ones and are 503, never 401. When it is back all is well.
func TestKeystoneIsAwayAndComesBack(t *testing.T) {
	k := testenv.Keystone(t)
	known, other := k.Token(t, "demo", "demopw", "demo"), k.Token(t, "admin", "secret", "admin")
	type node struct {
		grace string
		known int // the answer to a known token while Keystone is away
		a     api
	}
	nodes := []*node{{grace: "5m", known: 200}, {grace: "0s", known: 503}}
	ask := func(a api, token string) (int, string) {
		a.token = token
		resp := a.do("GET", "/v2/images", nil)
		defer resp.Body.Close()
		_, err := io.Copy(io.Discard, resp.Body)
		must(t, err)
		return resp.StatusCode, resp.Header.Get("WWW-Authenticate")
	}
	for _, n := range nodes {
		n.a = on(t, testenv.Glimpse(t, "auth.mode=keystone", "auth.keystone.auth_url="+k.URL, "auth.keystone.username=glance", "auth.keystone.password=glancepw",
			"auth.keystone.project_name=service", "auth.keystone.token_cache_time=1s", "auth.keystone.outage_grace="+n.grace).API)
		if code, _ := ask(n.a, known); code != 200 {
			t.Fatalf("grace %s, at first: %d", n.grace, code)
		}
		if code, how := ask(n.a, "bad"); code != 401 || !strings.HasPrefix(how, "Keystone uri=") {
			t.Errorf("grace %s: a bad token: %d %q", n.grace, code, how)
		}
	}
	k.Stop()
	back := false
	defer func() {
		if !back {
			must(t, k.Start())
		}
	}()
	time.Sleep(1100 * time.Millisecond) // what was known is older than the cache's time
	for _, n := range nodes {
		if code, how := ask(n.a, other); code != 503 || how != "" {
			t.Errorf("grace %s: an unknown token: %d %q", n.grace, code, how)
		}
		if code, _ := ask(n.a, known); code != n.known {
			t.Errorf("grace %s: a known token: %d, want %d", n.grace, code, n.known)
		}
	}
	must(t, k.Start())
	back = true
	for _, n := range nodes {
		until(t, "tokens are good again", func() bool { code, _ := ask(n.a, known); return code == 200 })
		until(t, "others too", func() bool { code, _ := ask(n.a, other); return code == 200 })
		if code, _ := ask(n.a, "bad"); code != 401 {
			t.Errorf("grace %s: a bad token, later: %d", n.grace, code)
		}
	}
}
