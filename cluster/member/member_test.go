package member

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"glimpse/cluster/ring"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestJoinChangeDieAndComeBack(t *testing.T) {
	nodes := startAll(t, 3, func(i int, c *Config) {
		if i == 1 {
			c.Join[0] = "dns:" + strings.Replace(c.Join[0], "127.0.0.1", "localhost", 1)
		}
	})
	a, b, c := nodes[0], nodes[1], nodes[2]
	if self, _ := a.Ring().Node(b.c.Self.ID); self != b.Self() || self.Peer != "127.0.0.1:9293" {
		t.Errorf("%+v is seen as %+v", b.Self(), self)
	}

	// A change of state reaches all, and their watchers, one call at a time.
	var mu sync.Mutex
	var seen []ring.State
	stop := a.Watch(func(old, now *ring.Ring) {
		if !mu.TryLock() {
			t.Error("two calls at a time")
			return
		}
		defer mu.Unlock()
		if n, ok := now.Node(b.c.Self.ID); ok && old != now {
			seen = append(seen, n.State)
		}
	})
	if err := b.SetState(t.Context(), ring.Draining); err != nil {
		t.Fatal(err)
	}
	until(t, "draining everywhere", func() bool { return stateAt(a, b) == ring.Draining && stateAt(c, b) == ring.Draining })
	stop()
	mu.Lock()
	if len(seen) != 1 || seen[0] != ring.Draining {
		t.Errorf("watched %v", seen)
	}
	mu.Unlock()
	if n := a.Stats().States; n["ready"] != 2 || n["draining"] != 1 || n["warming"] != 0 {
		t.Errorf("members by state: %v", n)
	}
	if a.Ring().Share(b.c.Self.ID) != 0 || a.Ring().Prev() == nil {
		t.Error("a draining node owns extents, or the ring before is lost")
	}
	if err := b.SetState(t.Context(), ring.Ready); err != nil {
		t.Fatal(err)
	}

	// A killed node is gone, and is back at once when it starts at another address.
	c.Close()
	together(t, a, b)
	again := c.c
	again.Self.Epoch, again.Join = 2, []string{a.Address()}
	back := start(t, again)
	together(t, a, b, back)

	// Without waiting to be taken for dead it has its id, too.
	back.Close()
	again.Self.Epoch, again.Self.Weight = 3, 7
	third := start(t, again)
	until(t, "the later start counts", func() bool {
		n, _ := a.Ring().Node(c.c.Self.ID)
		return n.Epoch == 3 && n.Weight == 7
	})
	if n := a.Ring().Nodes(); len(n) != 3 {
		t.Errorf("%d nodes", len(n))
	}
	// At the same address, too, when it comes again.
	third.Close()
	again.Self.Epoch, again.Bind = 4, third.Address()
	fourth := start(t, again)
	together(t, a, b, fourth)
	until(t, "the earlier starts are forgotten", func() bool { return len(a.list.Members()) == 3 })
	together(t, a, b, fourth)

	// One that leaves is gone without being taken for dead, nor reached for.
	if err := fourth.Leave(t.Context()); err != nil {
		t.Error(err)
	}
	together(t, a, b)
	fourth.Close()
	a.mu.Lock()
	if _, ok := a.gone[fourth.Address()]; ok {
		t.Error("who left is reached for")
	}
	a.mu.Unlock()
}

func stateAt(at, of *node) ring.State {
	n, _ := at.Ring().Node(of.c.Self.ID)
	return n.State
}

func TestTwoNodesWithOneId(t *testing.T) {
	nodes := startAll(t, 2, nil)
	a, b := nodes[0], nodes[1]
	c := config()
	c.Self.ID, c.Self.Epoch, c.Self.Weight, c.Join = b.c.Self.ID, 5, 77, []string{a.Address()}
	late := start(t, c)
	until(t, "the later start counts on all", func() bool {
		for _, n := range []*node{a, b, late} {
			if s, _ := n.Ring().Node(c.Self.ID); s.Weight != 77 {
				return false
			}
		}
		return true
	})
	until(t, "the other one is loud", func() bool { return b.logs.lines("level=ERROR", "two nodes run with one id") == 1 })
	if b.Stats().Conflicts == 0 || late.logs.lines("level=ERROR") > 0 {
		t.Error("not counted, or the later one is loud")
	}
	// Of one start, too: the first stays.
	c.Self.Weight = 78
	same := start(t, c)
	until(t, "a copied start is found", func() bool { return same.logs.lines("level=ERROR", "two nodes run with one id") > 0 })
	if n, _ := a.Ring().Node(c.Self.ID); n.Weight != 77 {
		t.Errorf("weight %d", n.Weight)
	}
}

func TestOthersAreRefusedInOneLine(t *testing.T) {
	key, other := NewKey(), NewKey()
	nodes := startAll(t, 2, func(_ int, c *Config) { c.Keyring = keyFile(t, key) })
	a := nodes[0]
	for what, change := range map[string]func(*Config){
		"label":    func(c *Config) { c.Label, c.Keyring = "another", keyFile(t, key) },
		"key":      func(c *Config) { c.Keyring = keyFile(t, other) },
		"no key":   func(*Config) {},
		"no label": func(c *Config) { c.Label, c.Keyring = "", keyFile(t, key) },
	} {
		t.Run(strings.ReplaceAll(what, " ", "_"), func(t *testing.T) {
			before := a.Stats()
			c := config()
			c.Join = []string{a.Address(), nodes[1].Address()}
			change(&c)
			x := start(t, c)
			// Each try is counted.
			until(t, "refused twice", func() bool {
				s := a.Stats()
				switch what {
				case "label":
					return s.WrongLabel >= before.WrongLabel+2
				case "no label":
					return s.NoLabel >= before.NoLabel+2
				}
				return s.WrongKey >= before.WrongKey+2
			})
			until(t, "it knows that it is alone", func() bool { return x.logs.lines("alone: no other node answers") == 1 })
			if a.Count() != 2 || x.Count() != 1 {
				t.Errorf("%d nodes, and %d", a.Count(), x.Count())
			}
		})
	}
	for _, why := range []refusal{wrongLabel, noLabel, wrongKey} {
		if n := a.logs.lines("gossip refused", why.String()); n != 1 {
			t.Errorf("%d lines say %q", n, why)
		}
	}
	if strings.Contains(a.logs.all(), key) || strings.Contains(a.logs.all(), other) {
		t.Error("a key is in the log")
	}
	// Garbage, on both ways in.
	for _, network := range []string{"udp", "tcp"} {
		conn, err := net.Dial(network, a.Address())
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			_, _ = conn.Write([]byte(strings.Repeat("GET / HTTP/1.1\r\n", 4)))
		}
		conn.Close()
	}
	until(t, "garbage is counted", func() bool { s := a.Stats(); return s.WrongLabel+s.Garbled+s.WrongKey > 10 })
	together(t, nodes...)
}

func TestNoGapWhileKeysRotate(t *testing.T) {
	old, new := NewKey(), NewKey()
	nodes := startAll(t, 3, func(_ int, c *Config) { c.Keyring, c.keysEach = keyFile(t, old), 20*time.Millisecond })
	ctx := t.Context()
	if nodes[0].UseKey(ctx, new) == nil || nodes[0].RemoveKey(ctx, old) == nil || nodes[0].AddKey(ctx, "short") == nil {
		t.Fatal("a step out of order is taken")
	}
	lost := 0
	for _, n := range nodes {
		defer n.Watch(func(_, now *ring.Ring) {
			if len(now.Nodes()) != 3 {
				lost++
			}
		})()
	}
	told := 0
	tell := func() { // each node must hear all others at every step
		told++
		for _, n := range nodes {
			if err := n.SetState(ctx, ring.State(told%2)); err != nil {
				t.Fatal(err)
			}
		}
		until(t, "all are heard by all", func() bool {
			for _, n := range nodes {
				for _, m := range nodes {
					if stateAt(n, m) != ring.State(told%2) {
						return false
					}
				}
			}
			return true
		})
	}
	for _, step := range []func(*node) error{
		func(n *node) error { return n.AddKey(ctx, new) },
		func(n *node) error { return n.UseKey(ctx, new) },
		func(n *node) error { return n.RemoveKey(ctx, old) },
	} {
		for _, n := range nodes {
			if err := step(n); err != nil {
				t.Fatal(err)
			}
			tell()
		}
	}
	for _, n := range nodes {
		if s := n.Stats(); s.WrongKey > 0 {
			t.Errorf("%d messages could not be read", s.WrongKey)
		}
		if b, err := os.ReadFile(n.c.Keyring); err != nil || string(b) != new+"\n" {
			t.Errorf("the file holds other keys: %v", err)
		}
		if len(n.Keys()) != 1 {
			t.Error(n.Keys())
		}
	}
	// The file counts when it changes; a broken one changes nothing.
	third := NewKey()
	if err := os.WriteFile(nodes[0].c.Keyring, []byte(new+"\n"+third+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "the file is read again", func() bool { return len(nodes[0].Keys()) == 2 })
	if err := os.WriteFile(nodes[0].c.Keyring, []byte(third+"\nsecret-garbage\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "a broken file is told of", func() bool { return nodes[0].logs.lines("gossip keys stay", "line 2") == 1 })
	if len(nodes[0].Keys()) != 2 || strings.Contains(nodes[0].logs.all(), "secret-garbage") {
		t.Error("a broken file counts, or is told of too much")
	}
	tell()
	if lost > 0 {
		t.Errorf("%d times a node was lost", lost)
	}
}

func TestAPartitionHeals(t *testing.T) {
	w := &wires{}
	var first string
	nodes := startAll(t, 4, func(i int, c *Config) {
		tr := w.transport(t)
		c.Transport = tr
		if i == 0 {
			first = tr.own
			return
		}
		// Named once: later only what was seen leads back.
		asked := false
		c.Join, c.Table = nil, func(context.Context) ([]string, error) {
			if asked {
				return nil, errors.New("away")
			}
			asked = true
			return []string{first}, nil
		}
	})
	w.set(map[string]int{nodes[2].Address(): 1, nodes[3].Address(): 1})
	together(t, nodes[:2]...)
	together(t, nodes[2:]...)
	// Both sides go on, and change.
	if err := nodes[3].SetState(t.Context(), ring.Draining); err != nil {
		t.Fatal(err)
	}
	time.Sleep(600 * time.Millisecond) // beyond gossip to the dead: that alone would heal it
	healed := time.Now()
	w.set(nil)
	together(t, nodes...)
	until(t, "the change is known", func() bool { return stateAt(nodes[0], nodes[3]) == ring.Draining })
	t.Logf("healed in %v", time.Since(healed))
}

func TestANodeThatMakesNoSenseIsLeftOut(t *testing.T) {
	nodes := startAll(t, 2, nil)
	liar := config()
	liar.Join = []string{nodes[0].Address()}
	x := start(t, liar)
	together(t, append(nodes, x)...)
	x.mu.Lock()
	x.self.ID = uuid.NewString() // tells of another one than it is
	x.mu.Unlock()
	if err := x.SetState(t.Context(), ring.Ready); err != nil {
		t.Fatal(err)
	}
	together(t, nodes...)
	for _, n := range nodes {
		if n.Stats().BadMeta != 1 || n.logs.lines("left out") != 1 {
			t.Errorf("%d counted, %d lines", n.Stats().BadMeta, n.logs.lines("left out"))
		}
	}
	// However often it says so.
	if err := x.SetState(t.Context(), ring.Draining); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		until(t, "it is counted again", func() bool { return n.Stats().BadMeta > 1 })
		if got := n.logs.lines("left out"); got != 1 {
			t.Errorf("%d lines", got)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for what, change := range map[string]func(*Config){
		"profile":   func(c *Config) { c.Profile = "moon" },
		"join":      func(c *Config) { c.Join = []string{"10.0.0.1"} },
		"dns":       func(c *Config) { c.Join = []string{"dns::7946"} },
		"bind":      func(c *Config) { c.Bind = "n1.example:7946" },
		"advertise": func(c *Config) { c.Advertise = "10.0.0.1" },
		"any":       func(c *Config) { c.Bind = "[::]:0" },
		"label":     func(c *Config) { c.Label = strings.Repeat("x", 65) },
		"no keys":   func(c *Config) { c.Keyring = keyFile(t) },
		"bad key":   func(c *Config) { c.Keyring = keyFile(t, NewKey(), "c2VjcmV0") },
		"no file":   func(c *Config) { c.Keyring = "/nowhere/keys" },
		"id":        func(c *Config) { c.Self.ID = "n1" },
	} {
		c := config()
		change(&c)
		c.Log = nil
		if m, err := New(c); err == nil {
			m.Close()
			t.Errorf("%s: no error", what)
		} else if strings.Contains(err.Error(), "c2VjcmV0") {
			t.Errorf("%s: a key is in %q", what, err)
		}
	}
	for bind, ok := range map[string]bool{"127.0.0.1:7946": true, "[::1]:7946": true, "localhost:1": true, "0.0.0.0:7946": false, ":7946": false, "10.0.0.1:7946": false, "x": false} {
		if err := Check(bind, false); (err == nil) != ok {
			t.Errorf("%s: %v", bind, err)
		}
	}
	if err := Check("0.0.0.0:7946", true); err != nil {
		t.Error(err)
	}
	m := start(t, config())
	if err := m.AddKey(t.Context(), NewKey()); !errors.Is(err, errNoKeys) {
		t.Error(err)
	}
}
