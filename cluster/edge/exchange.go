package edge

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"glimpse/cluster/ring"
)

const (
	tellTime   = 10 * time.Second // for one exchange
	spreadWide = 8                // nodes told of news at once
)

// tell says over each link what this node is, and hears of the others.
func (f *Far) tell(ctx context.Context) {
	self := f.c.Members.Self()
	f.mu.Lock()
	expire(f.known, time.Now())
	var to []ring.Node
	var via []string
	for id, l := range f.links {
		if l.up {
			to = append(to, l.to)
			via = append(via, id)
		}
	}
	f.seq++
	own := record{node: self, via: via, seq: uint64(self.Epoch)<<32 | uint64(f.seq), made: time.Now()}
	f.mu.Unlock()
	slices.Sort(own.via)
	k := f.edges([]record{own})
	for _, n := range to {
		f.background(func() {
			if err := f.exchange(f.base, n, k); err != nil {
				f.c.Log.DebugContext(ctx, "a node does not take what this edge node tells", "node", n.Name, "error", err)
			}
		})
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
		f.garbled.Add(1)
		if f.lines.Allow() {
			f.c.Log.WarnContext(ctx, "a node answers with a list of nodes that makes no sense", "node", n.Name, "id", n.ID, "peer", n.Peer)
		}
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
	if teller >= 0 { // it speaks for itself alone
		k.Edge = k.Edge[teller : teller+1]
	}
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
