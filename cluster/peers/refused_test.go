package peers_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ca"
	"glimpse/cluster/clustertest"
	"glimpse/cluster/peers"
	"glimpse/cluster/ring"
	"glimpse/cluster/serve"
	"glimpse/cluster/wire"
)

// Each node that does not belong is refused in one line, and counted.
func TestStrangersAreRefused(t *testing.T) {
	a, foreign := newAuthority(t), newAuthority(t)
	good := a.node(label, clustertest.Self)
	b := clustertest.NewBytes(clustertest.Geometry, 8<<20)
	local := &clustertest.Local{Open: b.Open}
	for name, c := range map[string]struct {
		server, client *ca.Identity
		self           string
		line           string // in the server's log
		byServer       bool
	}{
		"wrong label": {a.node(label, clustertest.Other), a.node("lab", clustertest.Self), "", "", false},
		"other CA":    {a.node(label, clustertest.Other), foreign.node(label, clustertest.Self), "", "", false},
		"no TLS":      {a.node(label, clustertest.Other), nil, "", "handshake error", false},
		"in the name of another": {
			a.node(label, clustertest.Other), good, "node-z",
			"an ask in the name of node", true,
		},
		"another node answers": {a.node(label, "node-c"), good, "", "", false},
		"no TLS there":         {nil, good, "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := listen(t, serve.Config{Local: local, Identity: c.server})
			p := asker(t, peers.Config{Identity: c.client, Self: c.self})
			if _, err := p.OpenRange(t.Context(), s.at, ask(), 0, 10); !errors.Is(err, cluster.ErrAway) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%v", err)
			}
			if n := p.Counts(); n.Refused+n.Broken == 0 {
				t.Errorf("%+v", n)
			}
			if c.byServer {
				until(t, "it is counted", func() bool { return s.Counts().Refused == 1 })
			}
			if c.line != "" {
				until(t, "a line of it", func() bool { return strings.Contains(s.log.String(), c.line) })
			}
			if n := s.Counts(); n.Asks > 0 {
				t.Errorf("it was served: %+v", n)
			}
		})
	}
}

// Who comes without a certificate gets no further than the handshake.
func TestNoCertificateNoAsk(t *testing.T) {
	a := newAuthority(t)
	s := listen(t, serve.Config{Local: &clustertest.Local{}, Identity: a.node(label, clustertest.Other)})
	for name, c := range map[string]struct {
		config *tls.Config
		line   string
	}{
		"none":        {&tls.Config{InsecureSkipVerify: true}, "no certificate was shown"},
		"wrong label": {relabel(a.node("lab", clustertest.Self)), `for cluster \"lab\", and this is \"test\"`},
	} {
		conn, err := tls.Dial("tcp", s.at.Peer, c.config)
		if err == nil {
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if err == nil {
			t.Errorf("%s: let in", name)
		}
		until(t, name+" in the log", func() bool { return strings.Contains(strings.ReplaceAll(s.log.String(), `\\`, ``), c.line) })
	}
	if n := s.Counts(); n.Refused != 2 || n.Asks != 0 {
		t.Errorf("%+v", n)
	}
	if n := strings.Count(s.log.String(), "\n"); n != 2 {
		t.Errorf("%d lines:\n%s", n, s.log)
	}
}

// relabel shows a certificate and trusts anybody.
func relabel(i *ca.Identity) *tls.Config {
	c := i.Client("x")
	c.VerifyConnection = nil
	return c
}

func TestWithoutCertificatesThereIsLoopbackOnly(t *testing.T) {
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	s := serve.New(serve.Config{Node: "x", Geometry: clustertest.Geometry, Local: &clustertest.Local{}})
	if err := s.Serve(l); err == nil || !strings.Contains(err.Error(), "needs certificates") {
		t.Error(err)
	}
	far := fakeAddr{&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}}
	p := asker(t, peers.Config{Dial: func(context.Context, string, string) (net.Conn, error) { return far, nil }})
	if err := p.Ping(t.Context(), ring.Node{ID: "x", Peer: "192.0.2.1:1"}); !errors.Is(err, cluster.ErrAway) || !strings.Contains(err.Error(), "only loopback") {
		t.Error(err)
	}
}

// fakeAddr is a connection that has an address and is never used.
type fakeAddr struct{ addr net.Addr }

func (f fakeAddr) RemoteAddr() net.Addr             { return f.addr }
func (f fakeAddr) LocalAddr() net.Addr              { return f.addr }
func (f fakeAddr) Close() error                     { return nil }
func (f fakeAddr) Read([]byte) (int, error)         { return 0, io.EOF }
func (f fakeAddr) Write([]byte) (int, error)        { return 0, io.EOF }
func (f fakeAddr) SetDeadline(time.Time) error      { return nil }
func (f fakeAddr) SetReadDeadline(time.Time) error  { return nil }
func (f fakeAddr) SetWriteDeadline(time.Time) error { return nil }

// Requests that make no sense are refused, counted, and leave the listener whole.
func TestBadRequestsAreRefused(t *testing.T) {
	b := clustertest.NewBytes(clustertest.Geometry, 8<<20)
	s := listen(t, serve.Config{Local: &clustertest.Local{Open: b.Open}})
	encode := func(spoil func(*wire.Ask)) string {
		a := wire.Ask{Ask: ask(), To: clustertest.Other, N: 10}
		a.From = clustertest.Self
		spoil(&a)
		body, err := a.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	send := func(method, path, body string) int {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.at.Peer+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	as := func(*wire.Ask) {}
	for name, c := range map[string]struct {
		method, path, body string
		want               int
	}{
		"another version": {"POST", "/glimpse/peer/v2/open", encode(as), 404},
		"a GET":           {"GET", wire.Open, "", 405},
		"garbage":         {"POST", wire.Open, "\x00\x01{{{", 400},
		"a huge ask":      {"POST", wire.Open, `{"from":"` + strings.Repeat("x", 1<<20) + `"}`, 413},
		"a huge range":    {"POST", wire.Open, encode(func(a *wire.Ask) { a.N = 1 << 62 }), 400},
		"past the end":    {"POST", wire.Open, encode(func(a *wire.Ask) { a.Object.Size = 9 }), 416},
		"geometry":        {"POST", wire.Open, encode(func(a *wire.Ask) { a.Geometry.Extent = 16 }), 409},
		"another node":    {"POST", wire.Open, encode(func(a *wire.Ask) { a.To = "node-c" }), 421},
		"no image":        {"POST", wire.Drop, encode(as), 400},
		"a long image id": {"POST", wire.Drop, encode(func(a *wire.Ask) { a.Image = strings.Repeat("i", 65) }), 400},
		"a bad object":    {"POST", wire.Stat, encode(func(a *wire.Ask) { a.Object.Size = -7 }), 400},
	} {
		before := s.Counts()
		if got := send(c.method, c.path, c.body); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
		after := s.Counts()
		if after.Bad+after.Refused != before.Bad+before.Refused+1 || after.Asks != 0 {
			t.Errorf("%s: %+v", name, after)
		}
	}
	if got := send("POST", wire.Open, encode(as)); got != 200 {
		t.Errorf("a good ask: %d", got)
	}
}

// What only a later version asks is answered with 404, and nothing is the matter: it
// is asked over and over while a cluster is rolled.
func TestAQuestionOfALaterVersionIsNoBadAsk(t *testing.T) {
	s := listen(t, serve.Config{Local: &clustertest.Local{}})
	for _, body := range []string{"", "{}", "\x00\x01{{{", strings.Repeat("x", wire.MaxAsk+1)} {
		resp, err := http.Post("http://"+s.at.Peer+wire.V1+"of-tomorrow", "", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%.9q: %s", body, resp.Status)
		}
	}
	if n := s.Counts(); n != (serve.Counts{}) || s.log.String() != "" {
		t.Errorf("%+v, %s", n, s.log)
	}
}

// Huge headers, and bytes that are no HTTP, end the connection. It is said and
// counted.
func TestNoiseIsAnsweredAndCut(t *testing.T) {
	s := listen(t, serve.Config{Local: &clustertest.Local{}})
	for name, b := range map[string][]byte{
		"noise":   bytes.Repeat([]byte{0xfe, '\n'}, 100),
		"headers": append([]byte("POST / HTTP/1.1\r\nX: "), bytes.Repeat([]byte("x"), 64<<10)...),
	} {
		conn, err := net.Dial("tcp", s.at.Peer)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write(b)
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err == nil && !strings.Contains(line, " 4") {
			t.Errorf("%s: %q", name, line)
		}
		conn.Close()
	}
	until(t, "both are counted", func() bool { return s.Counts().Cut == 2 })
	if n := strings.Count(s.log.String(), "before it made a request"); n != 2 {
		t.Errorf("%d lines:\n%s", n, s.log)
	}
}

// Who shows a good certificate and then dribbles headers is cut, counted, and named
// in a line. Who only opens a connection, as a client does that then needs none, was
// refused nothing.
func TestSlowHeadersAreCut(t *testing.T) {
	t.Parallel() // it takes the bound of a request
	a := newAuthority(t)
	s := listen(t, serve.Config{Local: &clustertest.Local{}, Identity: a.node(label, clustertest.Other)})
	open := func(text string) net.Conn {
		c, err := tls.Dial("tcp", s.at.Peer, a.node(label, clustertest.Self).Client(clustertest.Other))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		return c
	}
	silent := open("")
	defer silent.Close()
	slow := open("POST " + wire.Ping + " HTTP/1.1\r\nHost: peer\r\nX-Slow: ")
	defer slow.Close()
	for _, c := range []net.Conn{slow, silent} {
		_, _ = io.Copy(io.Discard, c) // until it is cut
	}
	until(t, "it is counted", func() bool { return s.Counts().Cut > 0 })
	p := asker(t, peers.Config{Identity: a.node(label, clustertest.Self)})
	if err := p.Ping(t.Context(), s.at); err != nil {
		t.Error(err)
	}
	if n := s.Counts(); n.Cut != 1 || n.Refused+n.Bad != 0 {
		t.Errorf("%+v", n)
	}
	if log := s.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "from="+slow.LocalAddr().String()) {
		t.Errorf("it says:\n%s", log)
	}
}

// Floods meet their bounds, and are counted.
func TestFloodsMeetTheirBounds(t *testing.T) {
	h := &holding{free: make(chan struct{})}
	s := listen(t, serve.Config{Local: &clustertest.Local{Open: h.Open}, Home: 2, Conns: 8})
	a := wire.Ask{Ask: ask(), To: clustertest.Other, N: 10}
	body, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", s.at.Peer)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		return c
	}
	post := func(c net.Conn) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://peer"+wire.Open, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if err := req.Write(c); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		post(dial())
	}
	until(t, "two at it", func() bool { return h.n.Load() == 2 })
	for i := range 3 {
		c := dial()
		post(c)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("%d: %v, %v", i, resp, err)
		}
	}
	if n := s.Counts(); n.Busy != 3 || n.Asks != 2 {
		t.Errorf("%+v", n)
	}
	for range 8 { // five are open
		dial()
	}
	until(t, "five are too many", func() bool { return s.Counts().Crowded == 5 })
	// A bound that is met is said once, however often.
	for _, line := range []string{"asks are put off", "connections are closed"} {
		if n := strings.Count(s.log.String(), line); n != 1 {
			t.Errorf("%d lines that %s:\n%s", n, line, s.log)
		}
	}
	close(h.free)
}

// An asker that vanishes without a word ends its stream.
func TestAnAskerThatHangsUp(t *testing.T) {
	for _, abrupt := range []bool{false, true} {
		h := &holding{free: make(chan struct{})}
		s := listen(t, serve.Config{Local: &clustertest.Local{Open: h.Open}, Beat: time.Hour}) // nothing is written that could fail
		a := wire.Ask{Ask: ask(), To: clustertest.Other, N: 10}
		body, err := a.Encode()
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", s.at.Peer)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://peer"+wire.Open, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if err := req.Write(c); err != nil {
			t.Fatal(err)
		}
		until(t, "it is at it", func() bool { return h.n.Load() == 1 })
		if abrupt {
			_ = c.(*net.TCPConn).SetLinger(0)
		}
		c.Close()
		until(t, "its stream has ended", func() bool { return h.n.Load() == 0 && s.Counts().Gone == 1 })
	}
}

// An asker that takes no bytes is cut, however much is left to send.
func TestAnAskerThatTakesNothing(t *testing.T) {
	data := make([]byte, 256<<10)
	s := listen(t, serve.Config{Patience: 100 * time.Millisecond, Local: &clustertest.Local{
		Open: func(ctx context.Context, _ cluster.Ask, _, _ int64) (chunk.Stream, error) {
			return endless{ctx, data}, nil
		},
	}})
	a := wire.Ask{Ask: ask(), To: clustertest.Other, N: -1}
	a.Object.Size = -1
	body, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", s.at.Peer)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://peer"+wire.Open, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if err := req.Write(c); err != nil {
		t.Fatal(err)
	}
	until(t, "it is cut", func() bool { return s.Counts().Gone == 1 })
}

// endless gives the same bytes until its context ends.
type endless struct {
	ctx  context.Context
	data []byte
}

func (e endless) Next() (chunk.Piece, error) {
	return chunk.Piece{Len: int64(len(e.data)), Data: e.data}, e.ctx.Err()
}
func (endless) Close() error { return nil }
