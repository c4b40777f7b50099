package edge

import (
	"cmp"
	"context"
	"hash/fnv"
	"io"
	"math"
	"slices"
	"time"

	"github.com/hashicorp/yamux"

	"glimpse/cluster/ring"
	"glimpse/cluster/wire"
)

const (
	links     = 2 // of an edge node
	dialTime  = 10 * time.Second
	tableTime = 5 * time.Second
	restTime  = 20 * time.Second // for a node that no link could be made to, where there are others
	// A link whose other end does not answer for this long together has failed.
	keepAlive = 5 * time.Second
	linkWrite = 10 * time.Second
)

// link is one of an edge node's.
type link struct {
	to ring.Node
	up bool // under Far.mu
}

// mux is how a link carries streams.
func mux() *yamux.Config {
	c := yamux.DefaultConfig()
	c.KeepAliveInterval, c.ConnectionWriteTimeout = keepAlive, linkWrite
	c.MaxStreamWindowSize = 2 << 20 // 80 ms of 25 MB/s
	c.LogOutput = io.Discard
	return c
}

// reach begins links until there are enough.
func (f *Far) reach(ctx context.Context) {
	f.mu.Lock()
	want := links - len(f.links)
	f.mu.Unlock()
	if want <= 0 {
		return
	}
	all := f.candidates(ctx)
	zones := map[string]bool{}
	f.mu.Lock()
	for _, l := range f.links {
		zones[l.to.Zone] = true
	}
	f.mu.Unlock()
	for _, fresh := range []bool{true, false} { // in a zone that there is no link to, then anywhere
		for _, n := range all {
			if want > 0 && (!fresh || !zones[n.Zone]) && f.begin(n) {
				zones[n.Zone] = true
				want--
			}
		}
	}
}

// candidates are the nodes to link to, in an order that is this node's own, so
// that edge nodes spread over them.
func (f *Far) candidates(ctx context.Context) []ring.Node {
	self := f.c.Members.Self()
	usable := func(n ring.Node) bool {
		return n.ID != self.ID && n.Zone != self.Zone && !n.Edge && n.Role == ring.Member && n.State != ring.Draining && n.Peer != ""
	}
	var all []ring.Node
	for _, n := range f.c.Members.Ring().Nodes() {
		if usable(n) {
			all = append(all, n)
		}
	}
	// The list may be from before a cut: the table is asked too where no link is up.
	if !f.linked() {
		ctx, cancel := context.WithTimeout(ctx, tableTime)
		defer cancel()
		rows, err := f.c.Table(ctx)
		if err != nil && len(all) == 0 {
			f.c.Log.WarnContext(ctx, "an edge node finds no node to link to: the node table can't be read", "error", err)
		}
		rows = slices.DeleteFunc(rows, func(n ring.Node) bool { return !usable(n) })
		if len(rows) > 0 {
			all = rows
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	score := func(n ring.Node) uint64 {
		if time.Since(f.failed[n.ID]) < restTime {
			return math.MaxUint64
		}
		h := fnv.New64a()
		_, _ = io.WriteString(h, self.ID+n.ID) // never fails
		return h.Sum64()
	}
	slices.SortFunc(all, func(a, b ring.Node) int { return cmp.Compare(score(a), score(b)) })
	return all
}

func (f *Far) linked() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.links {
		if l.up {
			return true
		}
	}
	return false
}

// Links is how many links this node has or holds.
func (f *Far) Links() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.inward)
	for _, l := range f.links {
		if l.up {
			n++
		}
	}
	return n
}

// begin keeps a link to a node until it fails; false: there is one.
func (f *Far) begin(n ring.Node) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.links[n.ID] != nil {
		return false
	}
	l := &link{to: n}
	f.links[n.ID] = l
	f.task.Go(func() {
		err := f.keep(l)
		f.mu.Lock()
		delete(f.links, n.ID)
		say := !f.closed && (l.up || !f.said)
		f.said = f.said || say
		if l.up && len(f.heard) > 1 {
			delete(f.heard, n.ID) // the last list of all is kept
		}
		if !l.up {
			f.failed[n.ID] = time.Now()
		}
		f.mu.Unlock()
		if say {
			f.c.Log.Warn("this edge node has no link to another one", "to", n.Name, "peer", n.Peer, "why", err)
		}
		if l.up {
			f.wake()
		}
	})
	return true
}

// keep is the life of a link.
func (f *Far) keep(l *link) error {
	ctx, cancel := context.WithTimeout(f.base, dialTime)
	defer cancel()
	c, err := f.c.Peers.Switch(ctx, l.to, wire.Link, wire.Ask{})
	if err != nil {
		return err
	}
	s, err := yamux.Server(c, mux())
	if err != nil {
		c.Close()
		return err
	}
	defer s.Close()
	defer context.AfterFunc(f.base, func() { s.Close() })()
	f.mu.Lock()
	l.up, f.said = true, false
	delete(f.failed, l.to.ID)
	f.mu.Unlock()
	f.c.Log.Info("this edge node has a link", "to", l.to.Name, "peer", l.to.Peer)
	f.wake()
	for {
		stream, err := s.AcceptStream()
		if err != nil {
			return err
		}
		f.c.Take(stream)
	}
}
