package systest

import (
	"bytes"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"glimpse/cluster/ca"
	"glimpse/cmd/testenv"
)

// door is a node's peer plane and gossip as strangers meet them.
type door struct {
	t *testing.T
	n *testenv.Node
	a *ca.Authority
}

func (g door) refused(why string) float64 {
	return metric(g.t, g.n, `glimpse_peer_refused_total{why="`+why+`"}`)
}

// lines are those of the log from a mark on that have all the texts.
func (g door) lines(mark int, texts ...string) (n int) {
	for line := range strings.Lines(g.n.Log()[mark:]) {
		has := true
		for _, s := range texts {
			has = has && strings.Contains(strings.ReplaceAll(line, `\`, ""), s)
		}
		if has {
			n++
		}
	}
	return n
}

// shows is a client that shows a certificate of its own making and trusts anybody.
func (g door) shows(a *ca.Authority, label, node string, from time.Time) *tls.Config {
	p, err := a.Issue(label, node, from, 24*time.Hour)
	must(g.t, err)
	c, err := tls.X509KeyPair(p.Cert, p.Key)
	must(g.t, err)
	return &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{c}}
}

// ask asks as a client does, and returns the answer's code; 0: there was none.
func (g door) ask(c *tls.Config, path, body string) int {
	tr := &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: tr, Timeout: 20 * time.Second}).Post("https://"+peerOf(g.n)+path, "application/json", strings.NewReader(body))
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // the code says it
	return resp.StatusCode
}

// Strangers at a node's gates, one by one: each is refused, counted, and told of
// in one line that says why.
func TestStrangersAtTheGates(t *testing.T) {
	dir, nodes, _ := secured(t, 2)
	pair := func(dir string) *ca.Authority {
		cert, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
		must(t, err)
		key, err := os.ReadFile(filepath.Join(dir, "ca-key.pem"))
		must(t, err)
		a, err := ca.Load(ca.Pair{Cert: cert, Key: key})
		must(t, err)
		return a
	}
	g := door{t, nodes[0], pair(dir)}
	made, err := ca.Make("test", time.Now(), time.Hour)
	must(t, err)
	foreign, err := ca.Load(made)
	must(t, err)
	now := time.Now()
	mine := g.shows(g.a, "test", "n9", now)
	const open, drop = "/glimpse/peer/v1/open", "/glimpse/peer/v1/drop"
	for _, c := range []struct {
		name string
		as   *tls.Config
		path string
		body string
		code int // 0: no answer
		why  string
		line string
	}{
		{"no certificate", &tls.Config{InsecureSkipVerify: true}, drop, `{}`, 0, "certificate", "no certificate was shown"},
		{"another cluster's label", g.shows(g.a, "lab", "n9", now), drop, `{}`, 0, "certificate", `for cluster "lab"`},
		{"another CA", g.shows(foreign, "test", "n9", now), drop, `{}`, 0, "certificate", "not trusted here"},
		{"expired", g.shows(g.a, "test", "n9", now.Add(-72*time.Hour)), drop, `{}`, 0, "certificate", "renew it, or set the clock"},
		{"from the future", g.shows(g.a, "test", "n9", now.Add(72*time.Hour)), drop, `{}`, 0, "certificate", "set the clock"},
		{"another node's name", mine, open, `{"from": "n8", "to": ""}`, -1, "certificate", "in the name of node"},
		{"garbage", mine, open, "\x00\x01{{{", 400, "bad ask", "peer plane"},
		{"too much", mine, drop, `{"from": "` + strings.Repeat("x", 4<<20) + `"}`, -1, "bad ask", "peer plane"},
		{"too little", mine, drop, "", 400, "bad ask", "peer plane"},
		{"another version", mine, "/glimpse/peer/v9/open", "{}", 404, "bad ask", "version 1"},
	} {
		before, mark := g.refused(c.why), len(g.n.Log())
		if code := g.ask(c.as, c.path, c.body); c.code >= 0 && code != c.code || code == 200 {
			t.Errorf("%s: %d, want %d", c.name, code, c.code)
		}
		until(t, c.name+" is counted", func() bool { return g.refused(c.why) > before })
		until(t, c.name+" is in the log", func() bool { return g.lines(mark, c.line) > 0 })
		if n := g.lines(mark, "level=WARN"); n != 1 {
			t.Errorf("%s: %d lines:\n%s", c.name, n, g.n.Log()[mark:])
		}
	}
}

// Floods at a node's gates, all at once, while it serves: what is refused is
// counted each time and told of some times; no slow caller keeps its place; and the
// cluster stays together.
func TestFloodsAtTheGates(t *testing.T) {
	_, nodes, join := secured(t, 2)
	g := door{t: t, n: nodes[0]}
	w := onWeb(t, nodes[0], testenv.Nginx(t, ""), 9<<20)
	mark := len(g.n.Log())
	noise := make([]byte, 1200)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(noise)
	var wg sync.WaitGroup
	gossip, strangers, slow := 0, 0, 0
	for _, kind := range []string{"udp", "tcp"} {
		for i := range map[string]int{"udp": 4000, "tcp": 100}[kind] {
			c, err := net.Dial(kind, join)
			must(t, err)
			b := noise[i%1000:]
			if kind == "tcp" {
				b = bytes.Repeat(noise, 100)
			}
			_, _ = c.Write(b) // it may be refused already
			c.Close()
			gossip++
		}
	}
	var held []net.Conn
	for range 30 { // they begin to shake hands, and say no more
		c, err := net.Dial("tcp", peerOf(g.n))
		must(t, err)
		defer c.Close()
		_, err = c.Write([]byte{22, 3, 1})
		must(t, err)
		held = append(held, c)
		slow++
	}
	for range 8 {
		wg.Go(func() {
			for range 50 {
				g.ask(&tls.Config{InsecureSkipVerify: true}, "/glimpse/peer/v1/drop", "{}")
			}
		})
		strangers += 50
	}
	for range 4 {
		if err := w.fetch(nodes[1]); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	until(t, "each stranger is counted", func() bool { return g.refused("certificate") >= float64(strangers) })
	seen := 0.0
	until(t, "the noise is counted", func() bool {
		seen = 0
		for _, why := range []string{"label", "no label", "gossip key", "garbled gossip", "gossip flood"} {
			seen += g.refused(why)
		}
		return seen > 100 // the kernel drops some
	})
	for _, c := range held { // cut
		must(t, c.SetReadDeadline(time.Now().Add(20*time.Second)))
		if _, err := c.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
			t.Errorf("who says nothing keeps its place: %v", err)
		}
	}
	together(t, nodes...)
	if err := w.fetch(nodes[1]); err != nil {
		t.Error(err)
	}
	warned := g.lines(mark, "level=WARN") + g.lines(mark, "level=ERROR")
	t.Logf("%d packets and streams of noise, %.0f of them counted; %d strangers, %d slow ones; %d lines in the log", gossip, seen, strangers, slow, warned)
	if warned == 0 || warned > 80 {
		t.Errorf("%d lines in the log", warned)
	}
	if g.lines(mark, "a node is gone") > 0 {
		t.Error("a node was taken for dead")
	}
}
