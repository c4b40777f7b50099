package systest

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"glimpse/cmd/testenv"
)

// wired is a node of a cluster whose ways from the others and to its database can
// be cut.
type wired struct {
	*testenv.Node
	peer, gossip, db *wire
	packets          *packets
}

// wiredCluster starts a node for each database. sets are keys of all of them.
func wiredCluster(t *testing.T, dsns []string, sets ...string) (nodes []*wired) {
	t.Helper()
	images, join := t.TempDir(), ""
	for i, dsn := range dsns {
		w := &wired{}
		var url string
		w.db, url = throughWire(t, dsn)
		own := testenv.Member(t, fmt.Sprint("n", i+1), url, join, images)
		listens := func(n int, key string) string { return strings.TrimPrefix(own[n], key+"=") }
		w.peer = newWire(t, listens(0, "listen.peer"))
		w.gossip, w.packets = newGossipWire(t, listens(1, "listen.gossip"))
		own = append(own, "cluster.advertise.peer="+w.peer.ln.Addr().String(), "cluster.advertise.gossip="+w.gossip.ln.Addr().String())
		if join == "" {
			join = w.gossip.ln.Addr().String()
		}
		w.Node = testenv.Glimpse(t, append(own, sets...)...)
		nodes = append(nodes, w)
	}
	together(t, plain(nodes)...)
	return nodes
}

func plain(nodes []*wired) (all []*testenv.Node) {
	for _, n := range nodes {
		all = append(all, n.Node)
	}
	return all
}

// deafen cuts what others send to a node's gossip, or lets it through again.
func (w *wired) deafen(cut bool) {
	w.packets.cut.Store(cut)
	w.gossip.set(cut)
}

// packets is the part of a gossip's way that goes by UDP. Answers go to where the
// asker says that it is, and not back this way.
type packets struct {
	cut     atomic.Bool
	dropped atomic.Int64
}

// newGossipWire is a way to a gossip's address, by TCP and UDP on one port.
func newGossipWire(t *testing.T, to string) (*wire, *packets) {
	t.Helper()
	for range 20 {
		w := newWire(t, to)
		in, err := net.ListenPacket("udp", w.ln.Addr().String())
		if err != nil {
			continue // another has the port
		}
		out, err := net.Dial("udp", to)
		must(t, err)
		p := &packets{}
		var wg sync.WaitGroup
		wg.Go(func() { p.carry(in, out) })
		t.Cleanup(func() { in.Close(); out.Close(); wg.Wait() })
		return w, p
	}
	t.Fatal("no port is free by TCP and UDP")
	return nil, nil
}

func (p *packets) carry(in net.PacketConn, out net.Conn) {
	b := make([]byte, 64<<10)
	for {
		n, _, err := in.ReadFrom(b)
		if err != nil {
			return
		}
		if p.cut.Load() {
			p.dropped.Add(1)
			continue
		}
		_, _ = out.Write(b[:n]) // refused while the node is away
	}
}
