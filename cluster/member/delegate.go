package member

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/hashicorp/memberlist"

	"glimpse/cluster/ring"
)

// delegate is what memberlist calls, mostly under its own lock: nothing here
// waits, or calls it back.
type delegate Members

func (d *delegate) m() *Members { return (*Members)(d) }

// NodeMeta describes this node.
func (d *delegate) NodeMeta(int) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	b, _ := encodeMeta(d.self) // New has tried it; a state changes no length
	return b
}

func (d *delegate) NotifyMsg(b []byte) {
	if d.c.Messages != nil {
		d.c.Messages.Take(b)
	}
}

func (d *delegate) GetBroadcasts(overhead, limit int) [][]byte {
	if d.c.Messages == nil {
		return nil
	}
	d.mu.Lock()
	nodes := len(d.table)
	d.mu.Unlock()
	return d.c.Messages.Give(nodes, overhead, limit)
}

func (d *delegate) LocalState(bool) []byte {
	if d.c.Messages == nil {
		return nil
	}
	return d.c.Messages.State()
}

func (d *delegate) MergeRemoteState(b []byte, _ bool) {
	if d.c.Messages != nil {
		d.c.Messages.Merge(b)
	}
}

// NotifyJoin tells of a node that is alive.
func (d *delegate) NotifyJoin(n *memberlist.Node) { d.m().take(n) }

// NotifyUpdate tells of a node that describes itself anew.
func (d *delegate) NotifyUpdate(n *memberlist.Node) { d.m().take(n) }

// NotifyLeave tells of a node that left or died.
func (d *delegate) NotifyLeave(n *memberlist.Node) {
	if d.ended.Load() { // its timers outlive memberlist
		return
	}
	d.mu.Lock()
	e := d.table[n.Name]
	delete(d.table, n.Name)
	if n.Name != d.name && e.node.State != ring.Draining {
		if len(d.gone) >= maxGone {
			for a := range d.gone { // any
				delete(d.gone, a)
				break
			}
		}
		d.gone[e.gossip] = time.Now()
		signal(d.loss)
	}
	d.mu.Unlock()
	d.far.forget(n.Name)
	signal(d.dirty)
	d.log.InfoContext(context.Background(), "a node is gone", "node", n.Name, "name", e.node.Name)
}

// NotifyConflict tells of two addresses that claim one start of a node: a data
// folder was copied.
func (d *delegate) NotifyConflict(known, other *memberlist.Node) {
	d.m().usurped(known.Name, other.Address())
}

// take notes what a living node tells of itself. memberlist may change n later.
func (m *Members) take(n *memberlist.Node) {
	ip, _ := netip.AddrFromSlice(n.Addr)
	e := entry{gossip: net.JoinHostPort(ip.Unmap().String(), strconv.Itoa(int(n.Port)))}
	node, err := decodeMeta(n.Meta, ip.Unmap())
	e.node, e.ok = node, err == nil && nameOf(node) == n.Name

	m.mu.Lock()
	_, known := m.table[n.Name]
	m.table[n.Name] = e
	delete(m.gone, e.gossip)
	later := e.ok && node.ID == m.self.ID && node.Epoch > m.self.Epoch
	m.mu.Unlock()
	signal(m.dirty)

	switch ctx := context.Background(); {
	case later:
		m.usurped(n.Name, e.gossip)
	case !e.ok:
		if m.says.first(badMeta, e.gossip) && m.says.rate.Allow() {
			m.log.WarnContext(ctx, "a node is left out", "because", badMeta.String(), "node", n.Name, "gossip", e.gossip)
		}
	case !known && n.Name != m.name:
		m.log.InfoContext(ctx, "a node is here", "node", n.Name, "name", node.Name, "zone", node.Zone, "gossip", e.gossip)
	}
}

// usurped is loud: two nodes with one id each own what the other one owns.
func (m *Members) usurped(name, address string) {
	if m.says.first(conflict, address) {
		m.log.ErrorContext(context.Background(), "two nodes run with one id: the later start counts; stop the other one, and remove node-id from its data_dir if it was copied",
			"node", name, "this", m.name, "other", address)
	}
}

// signal wakes who waits on c, once for any number of calls.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
