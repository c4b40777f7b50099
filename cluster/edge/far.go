package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"glimpse/cluster"
	"glimpse/cluster/ring"
	"glimpse/cluster/wire"
)

const (
	tellEvery  = 2 * time.Second // an edge node tells what it is
	trade      = 3 * time.Second // nodes that gossip compare what they know of edge nodes
	tellTime   = 10 * time.Second
	spreadWide = 8 // nodes told of news at once
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
		c: c, soon: make(chan struct{}, 1), known: map[string]record{}, heard: map[string][]ring.Node{}, links: map[string]*link{},
		inward: map[string]*yamux.Session{}, failed: map[string]time.Time{},
	}
	f.base, f.end = context.WithCancel(context.Background())
	return f
}

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
	every := trade
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

// trade compares what this node knows of edge nodes with another one.
func (f *Far) trade(ctx context.Context) {
	f.mu.Lock()
	gone, none := expire(f.known, time.Now()), len(f.known) == 0
	f.mu.Unlock()
	if gone {
		f.publish()
	}
	others := f.others()
	if none || len(others) == 0 {
		return
	}
	_ = f.exchange(ctx, others[rand.N(len(others))], f.edges(nil)) // there is a next time
}

// others are the nodes of this gossip, but this one.
func (f *Far) others() []ring.Node {
	id := f.c.Members.Self().ID
	return slices.DeleteFunc(slices.Clone(f.c.Members.Near()), func(n ring.Node) bool { return n.ID == id || n.Edge })
}

// edges are the edge nodes that are known, as they are told; of some alone where
// these are named.
func (f *Far) edges(some []record) (k book) {
	now := time.Now()
	if some == nil {
		f.mu.Lock()
		for _, r := range f.known {
			some = append(some, r)
		}
		f.mu.Unlock()
	}
	for _, r := range some {
		k.Edge = append(k.Edge, r.entry(now))
	}
	return k
}

// exchange gives a node a book and takes its own.
func (f *Far) exchange(ctx context.Context, n ring.Node, k book) error {
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	b, err := json.Marshal(k)
	if err != nil {
		return err
	}
	if b, err = f.c.Peers.Members(ctx, n, b); err != nil {
		return err
	}
	got, err := decode(b)
	if err != nil {
		return err
	}
	f.take(n.ID, got)
	return nil
}

// take notes what another node told, and returns what is news of it.
func (f *Far) take(from string, k book) (news []record) {
	self := f.c.Members.Self()
	list := slices.DeleteFunc(k.Edge, func(e entry) bool { return self.Edge && e.Zone == self.Zone })
	f.mu.Lock()
	news = merge(f.known, list, time.Now())
	if self.Edge && len(k.Core) > 0 {
		core := make([]ring.Node, 0, len(k.Core))
		for _, e := range k.Core {
			if !e.Edge && e.Zone != self.Zone {
				core = append(core, e.node())
			}
		}
		f.heard[from] = core
		for id := range f.heard { // the last list from before a cut
			if f.links[id] == nil && id != from {
				delete(f.heard, id)
			}
		}
	}
	f.mu.Unlock()
	f.publish()
	return news
}

// spread tells the nodes of this gossip of news. They tell nobody: it is news to
// none of them then.
func (f *Far) spread(news []record, but string) {
	k := f.edges(news)
	f.background(func() {
		var all sync.WaitGroup
		places := make(chan struct{}, spreadWide)
		for _, n := range f.others() {
			if n.ID == but {
				continue
			}
			places <- struct{}{}
			all.Go(func() {
				_ = f.exchange(f.base, n, k) // it hears of it by and by
				<-places
			})
		}
		all.Wait()
	})
}

// background runs fn until Close.
func (f *Far) background(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.task.Go(fn)
	}
}

// publish tells the gossip's side of the nodes that are not of it.
func (f *Far) publish() {
	f.mu.Lock()
	var lists [][]ring.Node
	for _, l := range f.heard {
		lists = append(lists, l)
	}
	far := make([]ring.Node, 0, len(f.known))
	for _, r := range f.known {
		far = append(far, r.node)
	}
	f.mu.Unlock()
	f.c.Members.SetFar(union(append(lists, far)...))
}

// Members answers a node that told its list.
func (f *Far) Members(from string, b []byte) ([]byte, error) {
	k, err := decode(b)
	if err != nil {
		return nil, err
	}
	self := f.c.Members.Self()
	k.Core = nil // none but who was asked says that
	teller := slices.IndexFunc(k.Edge, func(e entry) bool { return e.ID == from })
	// Who holds the link spreads the news; whoever hears of it from there does not.
	if news := f.take(from, k); teller >= 0 && len(news) > 0 && !self.Edge {
		f.spread(news, from)
	}
	answer := f.edges(nil)
	if teller >= 0 && !self.Edge {
		for _, n := range f.c.Members.Near() {
			answer.Core = append(answer.Core, entryOf(n))
		}
	}
	return json.Marshal(answer)
}

// Reach connects to a node that nobody dials; false: it is dialled as any other.
func (f *Far) Reach(ctx context.Context, n ring.Node) (net.Conn, bool, error) {
	if self := f.c.Members.Self(); !n.Edge || n.Zone == self.Zone {
		return nil, false, nil
	}
	if c, err := f.Open(n.ID); err == nil {
		return c, true, nil
	}
	f.mu.Lock()
	via := slices.Clone(f.known[n.ID].via)
	f.mu.Unlock()
	err := errNoLink
	for _, i := range rand.Perm(len(via)) {
		at, ok := f.c.Members.Ring().Node(via[i])
		if !ok || at.Edge || at.ID == f.c.Members.Self().ID {
			continue
		}
		var c net.Conn
		if c, err = f.c.Peers.Switch(ctx, at, wire.Via, wire.Ask{Through: n.ID}); err == nil {
			return c, true, nil
		}
	}
	return nil, true, fmt.Errorf("%w: %w", cluster.ErrAway, err)
}

var errNoLink = errors.New("no link to the node is known")
