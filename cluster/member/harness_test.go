package member

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/memberlist"
	"go.uber.org/goleak"

	"glimpse/cluster/ring"
)

// TestMain finds goroutines left behind. memberlist does not wait for its last
// probe, which ends within eight times the probe interval.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		err := goleak.Find()
		for end := time.Now().Add(30 * time.Second); err != nil && time.Now().Before(end); {
			err = goleak.Find()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "goroutines left behind:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// logs keeps what a node logs.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// lines counts those that hold all of texts.
func (l *logs) lines(texts ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		all := true
		for _, t := range texts {
			all = all && strings.Contains(line, t)
		}
		if all {
			n++
		}
	}
	return n
}

func (l *logs) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// node is a member with its logs.
type node struct {
	*Members
	c    Config
	logs *logs
}

// quick finds a dead node in some 2 s. Packets and streams on loopback are not
// late, even on a busy machine, by more than half a second.
func quick(mc *memberlist.Config) {
	mc.ProbeInterval, mc.ProbeTimeout = 500*time.Millisecond, 250*time.Millisecond
	mc.GossipInterval, mc.PushPullInterval = 20*time.Millisecond, time.Second
	mc.GossipToTheDeadTime = 500 * time.Millisecond
	mc.SuspicionMult, mc.TCPTimeout = 3, 2*time.Second
}

func config() Config {
	return Config{
		Self: ring.Node{ID: uuid.NewString(), Name: "n", Zone: "z", Weight: 1 << 30, Peer: ":9293", Epoch: 1, State: ring.Ready},
		Bind: "127.0.0.1:0", Label: "test", tune: quick,
	}
}

func start(t *testing.T, c Config) *node {
	t.Helper()
	n := &node{logs: &logs{}}
	c.Log = slog.New(slog.NewTextHandler(n.logs, nil))
	m, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	n.Members, n.c = m, c
	t.Cleanup(func() {
		m.Close()
		if t.Failed() {
			t.Logf("node %s at %s:\n%s", c.Self.ID, m.Address(), n.logs.all())
		}
	})
	return n
}

// startAll starts n nodes that join the first.
func startAll(t *testing.T, n int, change func(i int, c *Config)) []*node {
	t.Helper()
	var nodes []*node
	for i := range n {
		c := config()
		if i > 0 {
			c.Join = []string{nodes[0].Address()}
		}
		if change != nil {
			change(i, &c)
		}
		nodes = append(nodes, start(t, c))
	}
	together(t, nodes...)
	return nodes
}

// until polls. The bound is for a test that fails: nothing is decided by it.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("30 s without: %s", what)
		}
	}
}

// together waits until each of nodes knows these and no other ones.
func together(t *testing.T, nodes ...*node) {
	t.Helper()
	until(t, "one cluster of all", func() bool {
		for _, n := range nodes {
			if n.Count() != len(nodes) {
				return false
			}
			for _, other := range nodes {
				if _, ok := n.Ring().Node(other.c.Self.ID); !ok {
					return false
				}
			}
		}
		return true
	})
}

// keyFile writes a keyring.
func keyFile(t *testing.T, keys ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte(strings.Join(keys, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// cutTransport is UDP and TCP with a network in between that can be cut.
type cutTransport struct {
	*memberlist.NetTransport
	own string
	net *wires
}

// wires says which sides there are; addresses on other sides are not reached.
type wires struct {
	mu   sync.Mutex
	side map[string]int
}

func (w *wires) cut(from, to string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.side[from] != w.side[to]
}

func (w *wires) set(side map[string]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.side = side
}

func (w *wires) transport(t *testing.T) *cutTransport {
	t.Helper()
	nt, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{"127.0.0.1"}, Logger: slog.NewLogLogger(slog.DiscardHandler, 0)})
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := nt.FinalAdvertiseAddr("", 0)
	return &cutTransport{nt, net.JoinHostPort("127.0.0.1", itoa(port)), w}
}

func (c *cutTransport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	if c.net.cut(c.own, a.Addr) {
		return time.Now(), nil
	}
	return c.NetTransport.WriteToAddress(b, a)
}

func (c *cutTransport) DialAddressTimeout(a memberlist.Address, d time.Duration) (net.Conn, error) {
	if c.net.cut(c.own, a.Addr) {
		return nil, errors.New("the network is cut")
	}
	return c.NetTransport.DialAddressTimeout(a, d)
}
