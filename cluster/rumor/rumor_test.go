package rumor

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"glimpse/cluster"
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

// listener keeps what a node hears.
type listener struct {
	*Rumors
	mu    sync.Mutex
	heard map[string]int
}

func listen(t *testing.T) *listener {
	t.Helper()
	l := &listener{Rumors: New(), heard: map[string]int{}}
	stop := l.Hear(func(r cluster.Rumor) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.heard[r.Kind+":"+string(r.Body)]++
	})
	t.Cleanup(func() { stop(); l.Close() })
	return l
}

// times says how often a rumour was heard.
func (l *listener) times(rumor string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard[rumor]
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

// gossip has each node give a packet to three others, as memberlist does, until
// all are silent. It returns how many packets that took.
func gossip(r *rand.Rand, nodes []*listener) (packets int) {
	for quiet := 0; quiet < len(nodes); {
		for _, from := range nodes {
			sent := false
			for range 3 {
				msgs := from.Give(len(nodes), 3, 1287)
				for _, m := range msgs {
					nodes[r.IntN(len(nodes))].Take(m)
				}
				sent = sent || len(msgs) > 0
				packets++
			}
			if quiet++; sent {
				quiet = 0
			}
		}
	}
	return packets
}

func TestARumourReachesAllOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	missed, all := 0, 0
	for round := range 20 {
		nodes := make([]*listener, 30)
		for i := range nodes {
			nodes[i] = listen(t)
		}
		if err := nodes[0].Spread(cluster.Rumor{Kind: "hot", Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		gossip(r, nodes)
		for i, n := range nodes[1:] {
			all++
			if s := n.Stats(); s.Heard == 0 {
				missed++
			} else if s.Heard != 1 {
				t.Errorf("round %d: node %d heard it %d times", round, i, s.Heard)
			}
		}
		if s := nodes[0].Stats(); s.Heard != 0 {
			t.Error("a node hears itself")
		}
	}
	if missed > all/100 {
		t.Errorf("%d of %d missed it", missed, all)
	}
}

func TestWhatIsNotKnownIsToldOn(t *testing.T) {
	a, b, c := New(), listen(t), listen(t)
	defer a.Close()
	later, err := encode(id{7, 1}, cluster.Rumor{Kind: "k", Body: []byte("later")})
	if err != nil {
		t.Fatal(err)
	}
	later[0] = version + 1
	b.Take(later)
	if err := a.Spread(cluster.Rumor{Kind: "of-tomorrow", Body: []byte("1")}); err != nil {
		t.Fatal(err)
	}
	for _, m := range a.Give(3, 3, 1287) {
		b.Take(m)
	}
	for _, m := range b.Give(3, 3, 1287) {
		c.Take(m)
	}
	until(t, "an unknown kind is heard", func() bool { return c.times("of-tomorrow:1") == 1 })
	if s := c.Stats(); s.Heard != 2 || s.Garbled != 0 {
		t.Errorf("%+v", s)
	}
	if c.times("k:later") != 0 {
		t.Error("a rumour of a later version is heard")
	}
}

func TestWhoComesLateHearsItByComparing(t *testing.T) {
	a, b, c := listen(t), listen(t), listen(t)
	for i := range 3 {
		if err := a.Spread(cluster.Rumor{Kind: "k", Body: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	b.Merge(a.State())
	b.Merge(a.State())
	if s := b.Stats(); s.Heard != 3 || s.Repeated != 3 {
		t.Fatalf("%+v", s)
	}
	until(t, "all three", func() bool { return b.times("k:0") == 1 && b.times("k:1") == 1 && b.times("k:2") == 1 })
	if len(b.State()) > 0 {
		t.Error("what was learned by comparing is compared again, and lives for ever")
	}
	// It is told on all the same.
	for _, m := range b.Give(3, 3, 1287) {
		c.Take(m)
	}
	until(t, "all three, told on", func() bool { return c.times("k:0")+c.times("k:1")+c.times("k:2") == 3 })
}

func TestSizesAreBounded(t *testing.T) {
	r := New()
	defer r.Close()
	for what, x := range map[string]cluster.Rumor{
		"no kind": {}, "long kind": {Kind: strings.Repeat("k", 33)}, "large": {Kind: "k", Body: make([]byte, cluster.MaxRumor+1)},
	} {
		if r.Spread(x) == nil {
			t.Errorf("%s: no error", what)
		}
	}
	for range 190 {
		if err := r.Spread(cluster.Rumor{Kind: strings.Repeat("k", maxKind), Body: make([]byte, cluster.MaxRumor)}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.State()); n > maxState || n < maxState-maxMessage-2 {
		t.Errorf("%d bytes to compare", n)
	}
	for _, m := range r.Give(1000, 3, 1287) {
		if len(m) > 1287-3 {
			t.Errorf("%d bytes find no room in a packet", len(m))
		}
	}
}

// A flood costs bounded room, is counted, and drowns nobody else.
func TestFloods(t *testing.T) {
	l := listen(t)
	block, in := make(chan struct{}), make(chan struct{}, 1)
	stop := l.Hear(func(cluster.Rumor) { // one that is slow at first
		select {
		case in <- struct{}{}:
		default:
		}
		<-block
	})
	defer stop()
	defer close(block)
	flood := func(origin uint64, n int) {
		for i := range n {
			b, err := encode(id{origin, uint64(i + 1)}, cluster.Rumor{Kind: "flood", Body: fmt.Append(nil, origin, i)})
			if err != nil {
				t.Fatal(err)
			}
			l.Take(b)
		}
	}
	flood(1, 20_000)
	s := l.Stats()
	if s.TooMany == 0 || s.Heard < hearBurst || s.Heard > 20_000/2 || s.Heard+s.TooMany != 20_000 {
		t.Errorf("%+v", s)
	}
	for origin := range uint64(5) {
		before := l.Stats().Heard
		if flood(2+origin, 300); l.Stats().Heard-before != 300 {
			t.Errorf("another origin is heard %d times of 300", l.Stats().Heard-before)
		}
	}
	before := l.Stats().Heard
	for origin := range uint64(20_000) { // forged ones
		flood(1000+origin, 1)
	}
	if n := l.Stats().Heard - before; n < newBurst-10 || n > newBurst*3/2 {
		t.Errorf("%d forged origins are heard", n)
	}
	if _, known := l.Rumors.heard.find(2); !known {
		t.Error("an origin is forgotten for forged ones")
	}
	if n := l.queue.NumQueued(); n > maxQueued {
		t.Errorf("%d messages in the queue", n)
	}
	<-in
	if s := l.Stats(); s.Unheard == 0 || s.Garbled > 0 {
		t.Errorf("%+v", s)
	}
	for i := 0; i < 1000; i++ {
		if err := l.Spread(cluster.Rumor{Kind: "own"}); err != nil {
			if i < spreadBurst {
				t.Errorf("only %d told", i)
			}
			return
		}
	}
	t.Error("a node may flood")
}

func TestOriginsAreBounded(t *testing.T) {
	h := newHeard()
	for i := range uint64(3 * maxOrigins) {
		h.add(i)
		h.find(0)
	}
	_, used := h.find(0)
	_, silent := h.find(1)
	if len(h.origins) != maxOrigins || h.used.Len() != maxOrigins || !used || silent {
		t.Errorf("%d origins; that in use is known: %v, that long silent: %v", len(h.origins), used, silent)
	}
}

// The window answers as a set of all numbers would, except that what is far below
// the highest counts as heard.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, set, high := &origin{}, map[uint64]bool{}, uint64(0)
		for range 200 {
			base := rapid.SampledFrom([]uint64{0, 1, 500, 511, 512, 513, 1 << 40, 1<<40 + 700}).Draw(t, "base")
			n := base + rapid.Uint64Range(0, 600).Draw(t, "n")
			want := set[n] || n+window <= high
			if got := o.has(n); got != want {
				t.Fatalf("%d heard: %v, with the highest %d", n, got, high)
			}
			if !want {
				o.note(n)
				set[n], high = true, max(high, n)
			}
		}
	})
}

func FuzzMessages(f *testing.F) {
	b, _ := encode(id{1, 2}, cluster.Rumor{Kind: "k", Body: []byte("b")})
	f.Add(b)
	f.Add(append([]byte{0, byte(len(b))}, b...))
	r := New()
	f.Cleanup(r.Close)
	f.Fuzz(func(t *testing.T, b []byte) {
		r.Take(b)
		r.Merge(b)
		i, x, err := decode(b)
		if err != nil || x.Kind == "" {
			return
		}
		if again, err := encode(i, x); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x is written as %x, %v", b, again, err)
		}
	})
}
