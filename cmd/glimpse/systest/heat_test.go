package systest

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// What is hot has copies: the fourth client of a node costs the others no byte,
// although its memory is far smaller than the image and it owns but a part of that.
// Then the others stop in turn, for 100 ms a second. Who reads elsewhere goes on with
// the copies, and no fill moves: the origin gives one copy.
func TestCopiesOfWhatIsHot(t *testing.T) {
	web := testenv.Nginx(t, "")
	nodes := testenv.Cluster(t, 3, append([]string{"cache.memory.size=64MiB"}, webStore...)...)
	together(t, nodes...)
	w := onWeb(t, nodes[0], web, 330<<20+99) // six extents
	got := func() float64 { return metric(t, nodes[0], `glimpse_peer_read_bytes_total{zone="same"}`) }
	var each []float64
	for range 4 {
		before := got()
		must(t, w.fetch(nodes[0]))
		each = append(each, got()-before)
	}
	t.Logf("bytes of others for each of four clients: %.0f", each)
	if each[0] == 0 {
		t.Error("the first node owns the whole image: the test shows nothing")
	}
	if each[3] > 0 {
		t.Errorf("the fourth client cost others %.0f bytes", each[3])
	}

	reader := beside(t, nodes)
	won := func() float64 {
		return metric(t, reader, `glimpse_peer_hedges_won_total{why="late"}`) + metric(t, reader, `glimpse_peer_hedges_won_total{why="stalled"}`)
	}
	quiet, every, victims := 1500*time.Millisecond, time.Second, nodes[1:]
	if os.Getenv("GLIMPSE_LONG") != "" { // one of them, as often as the design says
		quiet, every, victims = 15*time.Second, 2*time.Second, slices.Repeat(nodes[1:2], 15)
	}
	before := w.waits(reader, quiet)
	had, times := won(), 0
	var during []time.Duration
	for tries := 0; won() == had && tries < 8; tries++ {
		var wg sync.WaitGroup
		wg.Go(func() {
			for _, n := range victims {
				time.Sleep(every - 100*time.Millisecond)
				n.Signal(syscall.SIGSTOP)
				time.Sleep(100 * time.Millisecond)
				n.Signal(syscall.SIGCONT)
				times++
			}
		})
		during = append(during, w.waits(reader, every*time.Duration(len(victims))+200*time.Millisecond)...)
		wg.Wait()
	}
	t.Logf("wait for a chunk: %s; while nodes stopped %d times: %s; taken over %.0f times", spread(before), times, spread(during), won()-had)
	if times == 0 || won() == had {
		t.Error("nobody was passed over")
	}
	if g := w.given(); g > 1.01 {
		t.Errorf("the origin gave %.4f copies", g)
	}
}

// beside is a node that owns nothing and has room for next to nothing.
func beside(t *testing.T, nodes []*testenv.Node) *testenv.Node {
	dsn, join := "", ""
	for _, a := range nodes[0].Args() {
		if v, ok := strings.CutPrefix(a, "registry.url="); ok {
			dsn = v
		}
		if v, ok := strings.CutPrefix(a, "listen.gossip="); ok {
			join = v
		}
	}
	sets := append(testenv.Member(t, "reader", dsn, join, t.TempDir()), webStore...)
	n := testenv.Glimpse(t, append(sets, "node.role=client", "cache.memory.size=32MiB", "cache.disk.size=0", "cache.read_ahead=0")...)
	together(t, append(slices.Clone(nodes), n)...)
	return n
}

// waits reads chunks here and there for a while, some at once, and returns how long
// each took.
func (w *webImage) waits(n *testenv.Node, d time.Duration) (all []time.Duration) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	const chunk = 4 << 20
	end := time.Now().Add(d)
	for range 4 {
		wg.Go(func() {
			for time.Now().Before(end) {
				off := rand.Int64N(int64(len(w.data))/chunk) * chunk
				began := time.Now()
				r, err := http.NewRequestWithContext(w.t.Context(), "GET", n.URL("/v2/images/"+w.id+"/file"), nil)
				if err != nil {
					w.t.Error(err)
					return
				}
				r.Header.Set("Range", rangeHeader(off, chunk))
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					w.t.Error(err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || string(got) != string(w.data[off:off+chunk]) {
					w.t.Errorf("%d bytes at %d, %v", len(got), off, err)
					return
				}
				mu.Lock()
				all = append(all, time.Since(began))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return all
}

// spread tells of some waits.
func spread(d []time.Duration) string {
	if len(d) == 0 {
		return "none"
	}
	slices.Sort(d)
	at := func(of int) time.Duration { return d[len(d)*of/100].Round(time.Millisecond) }
	return fmt.Sprintf("%d, p50 %v, p99 %v", len(d), at(50), at(99))
}
