package edge

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
	"golang.org/x/time/rate"

	"glimpse/cluster/ring"
	"glimpse/cluster/wire"
)

const (
	tellEvery  = 2 * time.Second // an edge node tells what it is
	tradeEvery = 3 * time.Second // nodes that gossip compare what they know of edge nodes
)

// Members is the node's own gossip.
type Members interface {
	Self() ring.Node
	Ring() *ring.Ring
	Near() []ring.Node        // those of this gossip, this node too
	SetFar(nodes []ring.Node) // the others
	Watch(fn func(old, now *ring.Ring)) (stop func())
}

// Peers asks other nodes.
type Peers interface {
	// Members gives a node a list, and returns its own.
	Members(ctx context.Context, n ring.Node, book []byte) ([]byte, error)
	// Switch asks for a connection to be something else from then on.
	Switch(ctx context.Context, n ring.Node, path string, a wire.Ask) (net.Conn, error)
}

// Config of a Far.
type Config struct {
	Members Members
	Peers   Peers
	Take    func(net.Conn)                                 // serves a connection of the peer plane
	Table   func(ctx context.Context) ([]ring.Node, error) // nodes that may be dialled, as the registry lists them
	Log     *slog.Logger
}

// Far is a node's part in reaching nodes that don't gossip with it. Run comes
// before everything else.
type Far struct {
	c    Config
	base context.Context // of links
	end  context.CancelFunc
	task sync.WaitGroup
	soon chan struct{} // there is something to tell

	garbled atomic.Int64  // lists that made no sense
	lines   *rate.Limiter // bounds what others can write into the log

	mu     sync.Mutex
	known  map[string]record         // edge nodes, but those of this gossip
	heard  map[string][]ring.Node    // on an edge node: what each link's node sees of the others
	links  map[string]*link          // on an edge node: by the other end
	inward map[string]*yamux.Session // on others: the links of edge nodes
	failed map[string]time.Time      // when no link could be made to a node
	said   bool                      // that there is no link; until there is one
	seq    uint32
	closed bool
}

// New returns a Far of a node.
func New(c Config) *Far {
	f := &Far{
		c: c, soon: make(chan struct{}, 1), lines: rate.NewLimiter(rate.Every(time.Minute), 1), known: map[string]record{}, heard: map[string][]ring.Node{}, links: map[string]*link{},
		inward: map[string]*yamux.Session{}, failed: map[string]time.Time{},
	}
	f.base, f.end = context.WithCancel(context.Background())
	return f
}

// Garbled is how many nodes' answers were lists that made no sense, and were not
// taken.
func (f *Far) Garbled() int64 { return f.garbled.Load() }

// Close ends all links and waits for them.
func (f *Far) Close() {
	f.mu.Lock()
	f.closed = true
	open := make([]*yamux.Session, 0, len(f.inward))
	for _, s := range f.inward {
		open = append(open, s)
	}
	f.mu.Unlock()
	f.end()
	for _, s := range open {
		s.Close()
	}
	f.task.Wait()
}

// Run tells and hears until ctx ends.
func (f *Far) Run(ctx context.Context) {
	stop := f.c.Members.Watch(func(_, _ *ring.Ring) { f.wake() })
	defer stop()
	every := tradeEvery
	if f.c.Members.Self().Edge {
		every = tellEvery
	}
	for {
		if f.c.Members.Self().Edge {
			f.reach(ctx)
			f.tell(ctx)
		} else {
			f.trade(ctx)
		}
		t := time.NewTimer(every*3/4 + rand.N(every/2))
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-f.soon:
			t.Stop()
		case <-t.C:
		}
	}
}

func (f *Far) wake() {
	select {
	case f.soon <- struct{}{}:
	default:
	}
}
