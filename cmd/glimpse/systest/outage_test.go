package systest

import (
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"glimpse/cmd/testenv"
)

// wire is a way to a server that can be cut.
type wire struct {
	ln net.Listener
	to string

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
	cuts  int // connections that were cut or refused
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	w := &wire{ln: ln, to: to, conns: map[net.Conn]bool{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { w.carry(c) })
		}
	})
	t.Cleanup(func() { ln.Close(); w.set(true); wg.Wait() })
	return w
}

func (w *wire) carry(c net.Conn) {
	defer c.Close()
	s, err := net.Dial("tcp", w.to)
	if err != nil || !w.hold(c, s) {
		return
	}
	defer s.Close()
	var wg sync.WaitGroup
	wg.Go(func() { io.Copy(s, c); s.Close() })
	io.Copy(c, s)
	c.Close()
	wg.Wait()
}

func (w *wire) hold(c, s net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		w.cuts++
		s.Close()
		return false
	}
	w.conns[c], w.conns[s] = true, true
	return true
}

// set cuts the wire, or mends it.
func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	if cut {
		for c := range w.conns {
			c.Close()
			w.cuts++
		}
		clear(w.conns)
	}
}

// The database goes away and comes back: what is in use is served on, and says
// so; what is not known is 503; nothing is acknowledged that is not stored.
func TestTheDatabaseGoesAwayAndComesBack(t *testing.T) {
	dsn := testenv.MariaDB(t)
	at := strings.Index(dsn, "@") + 1
	end := at + strings.Index(dsn[at:], "/")
	w := newWire(t, dsn[at:end])
	n := testenv.Glimpse(t, "registry.url="+dsn[:at]+w.ln.Addr().String()+dsn[end:], "stores.main.cache=on")
	a := on(t, n.API)
	file := filepath.Join(t.TempDir(), "in")
	random(t, file, 20<<20)
	known, never := a.create("known", "raw"), a.create("never asked for", "raw")
	a.upload(known, file)
	a.same(known, file)

	w.set(true)
	resp := a.do("GET", "/v2/images/"+known, nil)
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
		t.Errorf("a record in use: %s %v", resp.Status, err)
	}
	until(t, "the record says that it may be old", func() bool {
		resp := a.do("GET", "/v2/images/"+known, nil)
		defer resp.Body.Close()
		return resp.StatusCode == 200 && strings.HasPrefix(resp.Header.Get("Warning"), "110 ")
	})
	a.same(known, file)
	for what, c := range map[string][3]string{
		"a list":              {"GET", "/v2/images", ""},
		"a record not in use": {"GET", "/v2/images/" + never, ""},
		"a new image":         {"POST", "/v2/images", `{}`},
		"a tag":               {"PUT", "/v2/images/" + known + "/tags/x", ""},
	} {
		if code, body := a.text(c[0], c[1], c[2], "Content-Type", "application/json"); code != 503 || strings.Contains(body, "127.0.0.1") {
			t.Errorf("%s: %d %s", what, code, body)
		}
	}
	if code, _ := on(t, n.Ops).text("GET", "/readyz", ""); code != 503 {
		t.Errorf("ready: %d", code)
	}
	if w.cuts == 0 {
		t.Error("nothing was cut")
	}

	w.set(false)
	until(t, "it is ready again", func() bool { code, _ := on(t, n.Ops).text("GET", "/readyz", ""); return code == 200 })
	if code, body := a.text("PUT", "/v2/images/"+known+"/tags/x", ""); code != 204 {
		t.Errorf("a tag: %d %s", code, body)
	}
	if tags := a.show(known)["tags"].([]any); len(tags) != 1 {
		t.Errorf("tags %v", tags)
	}
	a.same(known, file)
}
