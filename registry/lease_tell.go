package registry

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"glimpse/registry/image"
)

// unknownLease is taken for the leases of other nodes while none has been met.
const unknownLease = time.Second

// Others speaks to the other nodes.
type Others interface {
	// Drop has the node call Leases.Drop; it returns when that is done, or when ctx
	// ends.
	Drop(ctx context.Context, node NodeRow, imageID string) error
}

// Cluster is what keeps the leases of many nodes true.
//
// After the commit of a write to an image that nodes may have cached, the writer
// reads the live rows and tells those nodes; the write returns when each has
// answered or, for the silent ones, when the leases that they held at the commit
// have run out. Nodes that are not among the rows hold no leases: a node begins
// and uses them only while Live.
//
// A read that runs beside the write may give the record from before it or from
// after it, whatever another such read gave.
type Cluster struct {
	Self     string // this node's id
	Nodes    Nodes
	Others   Others
	Live     func() bool       // Heart.Live; never true on a node that is to cache nothing
	OnSilent func(node string) // told of each node that did not answer; "": the rows could not be read. It may be nil
	Log      *slog.Logger
}

// live says whether this node may hold leases.
func (c *Cluster) live() bool { return c == nil || c.Live() }

// mustAsk says of a read that was joined that it doesn't do: it began before the
// caller came, and what it found no node is told of when it changes.
func (l *Leases) mustAsk(id string, f *flight) bool {
	if l.c.Cluster == nil {
		return false
	}
	select {
	case <-f.done:
	default:
		return false // the caller didn't wait for it
	}
	if f.err != nil {
		return image.KindOf(f.err) != image.Unavailable
	}
	return f.record.ID != id || !leased(f.record.Status)
}

// update runs an Update and ends the leases on the record, here and elsewhere.
func (l *Leases) update(ctx context.Context, on Images, id string, fn func(*image.Image) error) (image.Image, error) {
	var told string // the record's id, if nodes may have cached it or may do so now
	m, err := on.Update(ctx, id, func(m *image.Image) error {
		told = ""
		name, before := m.ID, leased(m.Status)
		if err := fn(m); err != nil {
			return err
		}
		if before || leased(m.Status) {
			told = name
		}
		return nil
	})
	l.written(id, m, err)
	if told != "" && mayStand(err) {
		l.tell(ctx, told)
	}
	return m, err
}

// wrote ends the leases on an image of which something was written that nodes
// cache.
func (l *Leases) wrote(ctx context.Context, imageID string, err error) {
	l.Drop(imageID)
	if mayStand(err) {
		l.tell(ctx, imageID)
	}
}

// mayStand says whether the write is in the database, or may be.
func mayStand(err error) bool {
	if err == nil {
		return true
	}
	k := image.KindOf(err)
	return k == image.Unavailable || k == image.Internal
}

// tell ends the leases on a record that was just written on the other nodes. It
// runs on when ctx ends: the write is there, and its caller may yet say so.
func (l *Leases) tell(ctx context.Context, imageID string) {
	c := l.c.Cluster
	if c == nil {
		return
	}
	committed := time.Now()
	ctx = context.WithoutCancel(ctx)
	var wg sync.WaitGroup
	for _, n := range l.rows(ctx, committed) {
		if n.ID != c.Self && n.Lease > 0 {
			wg.Go(func() { l.tellOne(ctx, n, imageID, committed.Add(n.Lease)) })
		}
	}
	wg.Wait()
}

// tellOne returns when the node has dropped the record, or can hold no lease
// from before the write any more.
func (l *Leases) tellOne(ctx context.Context, n NodeRow, imageID string, until time.Time) {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	err := l.c.Cluster.Others.Drop(ctx, n, imageID)
	if err == nil {
		return
	}
	l.silent(ctx, n, err)
	<-ctx.Done()
}

// rows returns the live nodes; none, after the longest lease, where they can't be
// read.
func (l *Leases) rows(ctx context.Context, committed time.Time) []NodeRow {
	l.mu.Lock()
	longest := max(l.c.MaxStaleness, l.widest, unknownLease)
	l.mu.Unlock()
	ctx, cancel := context.WithDeadline(ctx, committed.Add(longest))
	defer cancel()
	all, err := l.c.Cluster.Nodes.Live(ctx)
	if err != nil {
		l.silent(ctx, NodeRow{}, err)
		<-ctx.Done()
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range all {
		l.widest = max(l.widest, n.Lease)
	}
	return all
}

// silent counts a node that didn't answer, and logs it once in a minute.
func (l *Leases) silent(ctx context.Context, n NodeRow, err error) {
	c := l.c.Cluster
	if c.OnSilent != nil {
		c.OnSilent(n.ID)
	}
	if !l.sayNow(n.ID, time.Now()) {
		return
	}
	if n.ID == "" {
		c.Log.WarnContext(ctx, "the node table can't be read: writes wait until the leases of all nodes have run out", "error", err)
		return
	}
	c.Log.WarnContext(ctx, "a node does not answer: writes wait until its leases have run out", "node", n.ID, "name", n.Name, "peer", n.Peer, "error", err)
}

// sayNow says whether nothing was logged about the node for a minute.
func (l *Leases) sayNow(node string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, at := range l.logged {
		if now.Sub(at) >= time.Minute {
			delete(l.logged, id)
		}
	}
	if _, ok := l.logged[node]; ok {
		return false
	}
	l.logged[node] = now
	return true
}
