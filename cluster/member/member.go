package member

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"glimpse/cluster"
	"glimpse/cluster/ring"
)

// Profiles: how soon a node counts as dead, and how often nodes talk.
const (
	LAN   = "lan"   // dead after some 10 s
	WAN   = "wan"   // dead after some 40 s
	Local = "local" // all nodes on one machine; dead after some 4 s
)

const (
	// maxLabel leaves room for the largest rumour in a packet.
	maxLabel     = 64
	keysInterval = 5 * time.Second // between two looks at the keyring file
	leaveTimeout = 5 * time.Second
	tellTimeout  = 2 * time.Second
)

// Messages are what else travels with the gossip. Nothing of it may wait, or call
// Members.
type Messages interface {
	// Take is given a message; it may not keep b.
	Take(b []byte)
	// Give returns messages for a packet, limit bytes together with overhead for
	// each. nodes is how many are alive.
	Give(nodes, overhead, limit int) [][]byte
	// State and Merge are what is exchanged when two nodes compare all they know.
	State() []byte
	Merge(b []byte)
}

// Config says who a node is, and where it finds the others.
type Config struct {
	// Self is what others are told. The host of an address may be empty: the
	// gossip address then counts.
	Self      ring.Node
	Bind      string // host:port of gossip, UDP and TCP; the host an IP address
	Advertise string // host:port that others reach it by; "": Bind, or a private address where that is 0.0.0.0
	Label     string // the cluster's name: nodes of another one are refused
	Keyring   string // file of gossip keys; "": gossip is not encrypted
	Join      []string
	// Table returns more gossip addresses, host:port. It may be nil.
	Table    func(ctx context.Context) ([]string, error)
	Profile  string   // "" is LAN
	Messages Messages // may be nil
	Log      *slog.Logger
	// Transport takes the place of UDP and TCP at Bind where it is not nil.
	Transport memberlist.Transport

	tune     func(*memberlist.Config) // by tests
	keysEach time.Duration            // by tests; 0: keysInterval
}

// Stats counts what a node sees of its cluster.
type Stats struct {
	States     map[string]int // members by state: warming, ready, draining, client; this node too
	WrongLabel uint64         // messages of other clusters
	NoLabel    uint64         // connections of none, or that said nothing
	WrongKey   uint64         // messages that no gossip key reads
	Garbled    uint64         // messages that make no sense
	Overrun    uint64         // messages that came faster than they could be handled
	Conflicts  uint64         // other nodes with this node's id, or two of one start
	BadMeta    uint64         // descriptions of nodes that make no sense
}

// Members is a node's part in the gossip.
type Members struct {
	c    Config
	name string // this start's, in the gossip
	log  *slog.Logger
	says *gossipLog
	keys *keys // nil: none
	far  *distances
	list *memberlist.Memberlist

	address string // of gossip, as others reach it

	ring     atomic.Pointer[ring.Ring]
	watchers cluster.Listeners[[2]*ring.Ring]
	dirty    chan struct{} // the table has changed
	loss     chan struct{} // a member is gone

	telling chan struct{} // a place for who tells the others what this node is

	mu     sync.Mutex
	self   ring.Node
	table  map[string]entry     // by the name in the gossip
	others []ring.Node          // that don't gossip here
	gone   map[string]time.Time // gossip addresses of the lost

	ended    atomic.Bool
	joining  context.CancelFunc
	joins    sync.WaitGroup
	stop     context.CancelFunc
	services sync.WaitGroup
}

var _ cluster.Members = (*Members)(nil)

// entry is one start of a node that is alive. node is false where what it tells
// of itself makes no sense.
type entry struct {
	node   ring.Node
	ok     bool
	gossip string
}

// nameOf names one start of a node in the gossip. With the id alone a node that
// starts again at another address would be refused until its former self is
// found to be dead; so the new name is taken at once, and of two with one id the
// later start counts.
func nameOf(n ring.Node) string { return n.ID + "#" + strconv.FormatUint(uint64(n.Epoch), 10) }

// New starts to gossip and to join. Close ends it.
func New(c Config) (*Members, error) {
	m := &Members{
		c: c, name: nameOf(c.Self), log: c.Log, says: newGossipLog(c.Log), self: c.Self,
		table: map[string]entry{}, gone: map[string]time.Time{}, dirty: make(chan struct{}, 1), loss: make(chan struct{}, 1),
		telling: make(chan struct{}, 1),
	}
	mc, err := m.configure()
	if err != nil {
		return nil, err
	}
	if m.far, err = newDistances(); err != nil {
		return nil, err
	}
	if m.list, err = memberlist.Create(mc); err != nil {
		return nil, fmt.Errorf("gossip on %s: %w", c.Bind, err)
	}
	m.mu.Lock()
	m.address = m.table[m.name].gossip
	m.mu.Unlock()
	m.publish()
	ctx, stop := context.WithCancel(context.Background())
	joinCtx, joining := context.WithCancel(ctx)
	m.stop, m.joining = stop, joining
	m.joins.Go(func() { m.keepJoined(joinCtx) })
	m.services.Go(func() { m.watchKeys(ctx) })
	m.services.Go(func() { m.keepPublishing(ctx) })
	return m, nil
}

func (m *Members) configure() (*memberlist.Config, error) {
	c := m.c
	if _, err := encodeMeta(c.Self); err != nil {
		return nil, err
	}
	if len(c.Label) > maxLabel {
		return nil, fmt.Errorf("cluster.label is longer than %d bytes", maxLabel)
	}
	for _, a := range c.Join {
		if err := checkJoin(a); err != nil {
			return nil, err
		}
	}
	mc, err := profile(c.Profile)
	if err != nil {
		return nil, err
	}
	mc.Name, mc.Label = m.name, c.Label
	mc.Logger = log.New(m.says, "", 0)
	mc.Delegate, mc.Events, mc.Conflict = (*delegate)(m), (*delegate)(m), (*delegate)(m)
	mc.Ping = (*pings)(m)
	if mc.BindAddr, mc.BindPort, err = split("listen.gossip", c.Bind); err != nil {
		return nil, err
	}
	mc.AdvertisePort = mc.BindPort
	if c.Advertise != "" {
		if mc.AdvertiseAddr, mc.AdvertisePort, err = split("cluster.advertise.gossip", c.Advertise); err != nil {
			return nil, err
		}
	} else if mc.BindAddr == "::" {
		return nil, errors.New("listen.gossip is [::]: set cluster.advertise.gossip to an address that others reach")
	}
	if c.Keyring != "" {
		if m.keys, err = openKeys(c.Keyring); err != nil {
			return nil, err
		}
		mc.Keyring = m.keys.ring
	}
	mc.Transport = c.Transport
	if c.tune != nil {
		c.tune(mc)
	}
	return mc, nil
}

// split takes an IP address and a port; memberlist takes no names.
func split(what, address string) (string, int, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("%s: %q is not host:port", what, address)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("%s: %q has no port number", what, address)
	}
	switch host {
	case "localhost":
		host = "127.0.0.1"
	case "":
		host = "0.0.0.0"
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return "", 0, fmt.Errorf("%s: %q must have an IP address", what, address)
	}
	return host, int(n), nil
}

// profile gives probes more time than memberlist's defaults do: a node that
// serves a storm on few processors answers late, and is not dead. And it has
// nodes compare all they know more often: of many that start at once some were
// told of too seldom, and news of them waits for that.
func profile(name string) (*memberlist.Config, error) {
	var mc *memberlist.Config
	switch name {
	case LAN, "":
		mc = memberlist.DefaultLANConfig()
		mc.ProbeInterval, mc.ProbeTimeout = 2*time.Second, time.Second
		mc.TCPTimeout, mc.PushPullInterval = 5*time.Second, 10*time.Second
	case WAN:
		mc = memberlist.DefaultWANConfig()
		mc.TCPTimeout, mc.PushPullInterval = 10*time.Second, 20*time.Second
	case Local:
		mc = memberlist.DefaultLocalConfig()
		mc.ProbeTimeout, mc.PushPullInterval, mc.RetransmitMult = 500*time.Millisecond, 2*time.Second, 4
	default:
		return nil, fmt.Errorf("cluster.profile: %q is not lan or wan", name)
	}
	return mc, nil
}

// Self returns what is told of this node now.
func (m *Members) Self() ring.Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.table[m.name]; ok && e.ok {
		return e.node // with the gossip address where it had no host
	}
	return m.self
}

// Ring returns all nodes that are alive, as far as this node knows.
func (m *Members) Ring() *ring.Ring { return m.ring.Load() }

// Near returns the nodes of this gossip, this one too.
func (m *Members) Near() (nodes []ring.Node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.table {
		if e.ok {
			nodes = append(nodes, e.node)
		}
	}
	return nodes
}

// SetFar tells of nodes that are known in another way. They are in the ring, as
// long as they are not in the gossip.
func (m *Members) SetFar(nodes []ring.Node) {
	m.mu.Lock()
	m.others = nodes
	m.mu.Unlock()
	signal(m.dirty)
}

// Watch calls fn after each change of the ring, one call at a time; changes that
// come together are one call.
func (m *Members) Watch(fn func(old, now *ring.Ring)) (stop func()) {
	return m.watchers.Add(func(rings [2]*ring.Ring) { fn(rings[0], rings[1]) })
}

// Address returns the gossip address that others reach this node by.
func (m *Members) Address() string { return m.address }

// Count returns how many nodes are alive, this one too.
func (m *Members) Count() int { return len(m.Ring().Nodes()) }

// Stats returns the counts up to now.
func (m *Members) Stats() Stats {
	n := m.says.counts()
	s := Stats{
		States:     map[string]int{"warming": 0, "ready": 0, "draining": 0, "client": 0},
		WrongLabel: n[wrongLabel], NoLabel: n[noLabel], WrongKey: n[wrongKey], Garbled: n[garbled], Overrun: n[overrun], Conflicts: n[conflict], BadMeta: n[badMeta],
	}
	for _, node := range m.Ring().Nodes() {
		if node.Role == ring.Client {
			s.States["client"]++
		} else {
			s.States[node.State.String()]++
		}
	}
	return s
}

// SetState tells the others what this node is ready for. It returns when that is
// on its way; an error says that nobody was told yet, and that the next exchange
// of whole states will do it. One call at a time.
func (m *Members) SetState(ctx context.Context, s ring.State) error {
	m.mu.Lock()
	m.self.State = s
	m.mu.Unlock()
	return m.announce(ctx)
}

// announce tells the others what this node is now.
func (m *Members) announce(ctx context.Context) error {
	select { // of two calls at once the later number could be on the earlier state
	case m.telling <- struct{}{}:
		defer func() { <-m.telling }()
	case <-ctx.Done():
		return fmt.Errorf("telling the cluster of a new state: %w", context.Cause(ctx))
	}
	if m.ended.Load() {
		return nil
	}
	if err := m.list.UpdateNode(timeout(ctx, tellTimeout)); err != nil {
		return fmt.Errorf("telling the cluster of a new state: %w", err)
	}
	return nil
}

// timeout returns how long ctx lasts, at most most.
func timeout(ctx context.Context, most time.Duration) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		most = min(most, time.Until(end))
	}
	return max(most, time.Millisecond) // memberlist waits for ever for 0
}

// Leave tells the others that this node goes, so that it is not taken for dead.
// It comes before Close, if at all, and not beside it.
func (m *Members) Leave(ctx context.Context) error {
	m.joining()
	m.joins.Wait()
	// A draining node that is gone is not reached for again.
	err := m.SetState(ctx, ring.Draining)
	return errors.Join(err, m.list.Leave(timeout(ctx, leaveTimeout)))
}

// Close ends all, without a word to the others. It waits for tries to join that
// are under way, as long as a connection may take; a last probe of memberlist's
// may outlive it by some seconds.
func (m *Members) Close() {
	if m.ended.Swap(true) {
		return
	}
	m.stop()
	m.says.end.Store(true)
	if err := m.list.Shutdown(); err != nil {
		m.log.WarnContext(context.Background(), "gossip does not end", "error", err)
	}
	m.joins.Wait()
	m.services.Wait()
}

func (m *Members) keepPublishing(ctx context.Context) {
	for {
		select {
		case <-m.dirty:
			m.publish()
		case <-ctx.Done():
			return
		}
	}
}

// publish makes a ring of the table, where that differs from the present one.
// One call at a time.
func (m *Members) publish() {
	m.mu.Lock()
	nodes := make([]ring.Node, 0, len(m.table)+len(m.others))
	here := map[string]bool{}
	for _, e := range m.table {
		if e.ok {
			nodes = append(nodes, e.node)
			here[e.node.ID] = true
		}
	}
	for _, n := range m.others {
		if !here[n.ID] {
			nodes = append(nodes, n)
		}
	}
	m.mu.Unlock()
	old := m.ring.Load()
	now := ring.New(nodes, old)
	if old != nil && slices.Equal(old.Nodes(), now.Nodes()) {
		return
	}
	m.ring.Store(now)
	if old != nil {
		m.watchers.Tell([2]*ring.Ring{old, now})
	}
}
