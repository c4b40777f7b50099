package member

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/cachestore/chunk"
	"glimpse/cluster/ring"
)

const (
	// healed is within how long nodes that reach each other again are one cluster.
	healed = 30 * time.Second
	// dead is within how long a crash is noticed by all. Of few nodes, of which several
	// crashed, that is several times what a profile says: who gets no answers asks less
	// often.
	dead = 3 * time.Minute
)

// town is a cluster of real members on a lossy network, in virtual time.
type town struct {
	t     *testing.T
	net   *lossy
	key   string
	prof  string // the profile
	nodes []*node
}

func addressOf(i int) string { return fmt.Sprintf("10.0.%d.%d:7946", i/250, 1+i%250) }

func newTown(t *testing.T, profile string, seed uint64) *town {
	w := &town{t: t, net: newLossy(seed), key: NewKey(), prof: profile}
	t.Cleanup(w.end)
	return w
}

// config describes the i'th node; all are told of the first three.
func (w *town) config(i int) Config {
	c := config()
	c.tune = nil
	c.Self.ID, c.Self.Name = fmt.Sprintf("00000000-0000-4000-8000-%012d", i), fmt.Sprint("n", i)
	c.Self.Zone = string(rune('a' + i%3))
	c.Bind, c.Profile, c.Keyring = addressOf(i), w.prof, keyFile(w.t, w.key)
	c.Join = []string{addressOf(0), addressOf(1), addressOf(2)}
	return c
}

func (w *town) start(c Config) *node {
	w.t.Helper()
	n := &node{c: c, logs: &logs{}}
	c.Transport = w.net.open(c.Bind)
	c.Log = slog.New(slog.NewTextHandler(n.logs, nil))
	m, err := New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	n.Members = m
	w.t.Cleanup(m.Close)
	return n
}

// crash ends a node without a word.
func (w *town) crash(n *node) {
	n.Close() // its port goes with it
	w.nodes = slices.DeleteFunc(w.nodes, func(o *node) bool { return o == n })
}

// within waits until something is so, and says how long it took.
func (w *town) within(most time.Duration, what string, ok func() bool) {
	w.t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > most {
			for _, n := range w.nodes {
				w.t.Logf("%s sees %d: %s", n.c.Self.Name, n.Count(), names(n.Ring()))
			}
			w.t.Fatalf("%v without: %s", most, what)
		}
		time.Sleep(100 * time.Millisecond)
	}
	w.t.Logf("%s: after %v", what, time.Since(began).Round(100*time.Millisecond))
}

func names(r *ring.Ring) (all string) {
	for _, n := range r.Nodes() {
		all += fmt.Sprintf(" %s/%d/%s", n.Name, n.Epoch, n.State)
	}
	return all
}

// see says whether each of nodes has the same ring, of these nodes as they are.
func see(nodes []*node) bool {
	want := make([]ring.Node, 0, len(nodes))
	for _, n := range nodes {
		want = append(want, n.Self())
	}
	r := ring.New(want, nil)
	return !slices.ContainsFunc(nodes, func(n *node) bool { return !slices.Equal(n.Ring().Nodes(), r.Nodes()) })
}

// agree fails unless all nodes give the same answers for many extents.
func (w *town) agree() {
	w.t.Helper()
	first := w.nodes[0].Ring()
	for i := range 1000 {
		k := chunk.Key(fmt.Sprint("p:", i))
		home := first.Home(k, i%7, 3, "")
		for _, n := range w.nodes {
			r := n.Ring()
			if got := r.Home(k, i%7, 3, ""); !slices.Equal(got, home) {
				w.t.Fatalf("%s: %v for %s, and not %v", n.c.Self.Name, got, k, home)
			}
			for _, zone := range first.Zones() {
				a, _ := first.Owner(zone, k, i%7)
				if b, _ := r.Owner(zone, k, i%7); a != b {
					w.t.Fatalf("%s: %v owns %s in zone %s, and not %v", n.c.Self.Name, b, k, zone, a)
				}
			}
		}
	}
}

// end gives what memberlist does not wait for time to end: a probe lasts eight of
// its intervals at most. All nodes are closed.
func (w *town) end() {
	time.Sleep(2 * time.Minute)
	w.net.mu.Lock()
	c := w.net.count
	w.net.mu.Unlock()
	w.t.Logf("%d packets, %d dropped, %d doubled, %d cut off, %d dials", c.packets, c.dropped, c.doubled, c.cut, c.dials)
	if c.dropped == 0 || c.doubled == 0 || c.cut == 0 {
		w.t.Error("the network lost nothing: the test shows nothing")
	}
}

// Real members on a bad network: they join at once, crash, come back, are apart, and
// flap; strangers knock. Each time those that live and reach each other become one
// cluster again, with one ring.
func TestMembersInVirtualTime(t *testing.T) {
	for _, size := range []int{3, 8, 50} {
		t.Run(fmt.Sprint(size, " nodes"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTown(t, LAN, uint64(size))
				for i := range size {
					w.nodes = append(w.nodes, w.start(w.config(i)))
				}
				w.one(healed, "all have joined")
				w.crashes(min(size/3, 2))
				w.partition(2 * time.Minute)
				w.one(healed, "a partition has healed")
				if size < 50 { // a race detector takes its time
					w.flaps(w.nodes[1])
					w.one(healed, "one has flapped")
					w.strangers()
					w.one(healed, "strangers have knocked")
				}
				w.agree()
			})
		})
	}
}

// one waits until all nodes have one ring.
func (w *town) one(most time.Duration, after string) {
	w.t.Helper()
	w.within(most, "one cluster, when "+after, func() bool { return see(w.nodes) })
}

// crashes has the last of the nodes crash and come back later, and before that
// another one, which is back before anybody has noticed, and once more elsewhere.
func (w *town) crashes(crashed int) {
	n := w.back(w.nodes[1], w.nodes[1].c.Bind)
	w.soon(n)
	w.one(healed, "one is back at once")
	n = w.back(n, addressOf(300))
	w.soon(n)
	w.one(healed, "it is back at another address")
	gone := slices.Clone(w.nodes[len(w.nodes)-1-crashed : len(w.nodes)-1])
	for _, n := range gone {
		w.crash(n)
	}
	w.one(dead, fmt.Sprint(crashed, " have crashed"))
	for _, n := range gone {
		w.back(n, n.c.Bind)
	}
	w.one(healed, "those that crashed are back")
}

// soon fails unless most nodes see a node's latest start before an earlier one can be
// found to be dead. Whom the news did not reach hears of it by comparing all.
func (w *town) soon(n *node) {
	w.t.Helper()
	w.within(5*time.Second, "most see its latest start", func() bool {
		see := 0
		for _, o := range w.nodes {
			if s, _ := o.Ring().Node(n.c.Self.ID); s.Epoch == n.c.Self.Epoch {
				see++
			}
		}
		return see > len(w.nodes)/2
	})
}

// back crashes a node, if it has not, and starts it at an address.
func (w *town) back(n *node, at string) *node {
	w.crash(n)
	c := n.c
	c.Self.Epoch++
	c.Bind = at
	n = w.start(c)
	w.nodes = append(w.nodes, n)
	return n
}

// flaps has a node come and go.
func (w *town) flaps(n *node) {
	for i, away := range []time.Duration{1, 5, 20, 3, 40, 2} {
		w.net.cut(map[string]int{n.c.Bind: 1})
		time.Sleep(away * time.Second)
		w.net.cut(nil)
		time.Sleep(time.Duration(1+i) * time.Second)
	}
}

// partition cuts the town in two, sees both sides go on alone, and mends it.
func (w *town) partition(d time.Duration) {
	w.t.Helper()
	side := map[string]int{}
	var sides [2][]*node
	for i, n := range w.nodes {
		side[n.c.Bind] = i % 2
		sides[i%2] = append(sides[i%2], n)
	}
	w.net.cut(side)
	time.Sleep(d / 2)
	for i, s := range sides { // both go on, and change
		if err := s[0].SetState(w.t.Context(), []ring.State{ring.Warming, ring.Draining}[i]); err != nil {
			w.t.Logf("side %d hears it later: %v", i, err)
		}
	}
	time.Sleep(d / 2)
	for i, s := range sides {
		if !see(s) {
			for _, n := range s {
				w.t.Logf("%s sees%s", n.c.Self.Name, names(n.Ring()))
			}
			w.t.Fatalf("after %v side %d is not alone: the test shows nothing", d, i)
		}
	}
	w.net.cut(nil)
}

// strangers have another label, another key, or none.
func (w *town) strangers() {
	before := w.refused()
	var all []*node
	for i, change := range []func(*Config){
		func(c *Config) { c.Label = "another" },
		func(c *Config) { c.Keyring = keyFile(w.t, NewKey()) },
		func(c *Config) { c.Keyring = "" },
	} {
		c := w.config(200 + i)
		change(&c)
		all = append(all, w.start(c))
	}
	time.Sleep(20 * time.Second)
	for _, n := range all {
		if n.Count() != 1 {
			w.t.Errorf("a stranger sees %d nodes", n.Count())
		}
		n.Close()
	}
	now := w.refused()
	if now[0] <= before[0] || now[1] <= before[1] {
		w.t.Errorf("labels refused: %d, and then %d; keys: %d, and then %d", before[0], now[0], before[1], now[1])
	}
}

// refused counts messages of another label, and of another key.
func (w *town) refused() (n [2]uint64) {
	for _, m := range w.nodes {
		s := m.Stats()
		n[0], n[1] = n[0]+s.WrongLabel, n[1]+s.WrongKey
	}
	return n
}

// Over a WAN nodes are found to be dead later; a partition heals as soon, however
// long it was.
func TestALongPartitionOfAWANHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, WAN, 1)
		w.net.delay = 150 * time.Millisecond
		for i := range 4 {
			w.nodes = append(w.nodes, w.start(w.config(i)))
		}
		w.one(healed, "all have joined")
		w.crashes(1)
		w.partition(time.Hour)
		w.one(healed, "a partition has healed")
		w.agree()
	})
}
