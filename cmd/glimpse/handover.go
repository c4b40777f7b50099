package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"glimpse/cachestore"
	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/replicator"
	"glimpse/cluster/ring"
	"glimpse/proxy/ops"
	"glimpse/registry"
)

const (
	// passEvery is how often a node looks whether extents have become its own.
	passEvery = 2 * time.Second
	// meetFor is how long a node that starts waits to see others, where there are
	// said to be some.
	meetFor = 5 * time.Second
	// drainFor is how long a drained node hands over, unless it is told otherwise.
	drainFor = time.Hour
	askFor   = time.Second // how long other nodes are asked for their vitals
)

// handover moves extents, and answers others about it. The cache comes later, by
// levels, and before anybody asks.
type handover struct {
	*replicator.Replicator
	cache  *cachestore.Store
	moving context.Context // ends when the node is to leave; set before it serves

	once   sync.Once
	asked  chan struct{} // closed when the node is told to drain
	within time.Duration
}

// movedCache is the cache as extents are moved: by the zone level, which is home's
// too for what this node is home to.
type movedCache struct {
	*cachestore.Store
	zone *cachestore.Level
}

func (c movedCache) Pull(ctx context.Context, o chunk.Object, index int, from chunk.Source) error {
	return c.zone.Pull(ctx, o, index, from)
}

// here is what other nodes' objects are to this one.
func here(svc *ops.Service) func(ctx context.Context, o chunk.Object) (chunk.Object, bool) {
	return func(ctx context.Context, o chunk.Object) (chunk.Object, bool) {
		return svc.Here(ctx, o), svc.Current(ctx, o)
	}
}

// Vitals tells of this node.
func (h *handover) Vitals() cluster.Vitals {
	st := h.cache.Stats()
	return cluster.Vitals{
		MemoryBytes: st.MemoryBytes, DiskBytes: st.DiskBytes,
		SentMemory: st.SentMemory, SentDisk: st.SentDisk, SentPeer: st.SentPeer, SentOrigin: st.SentOrigin,
		TakenBytes: h.Taken(), GivenBytes: h.Given(), Handover: h.Doing(),
	}
}

// Take takes over from another node, unless this one leaves itself.
func (h *handover) Take(ctx context.Context, from string) (cluster.Account, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.moving, cancel)()
	return h.Replicator.Take(ctx, from)
}

// drain has the node hand over and end. The first call counts.
func (h *handover) drain(within time.Duration) {
	h.once.Do(func() {
		h.within = within
		close(h.asked)
	})
}

// warm takes the node into the ring: it owns its share from now on, and is ready
// when that is here. Then it goes on to take over what becomes its own.
func (cl *clusterNode) warm(ctx context.Context, log *slog.Logger, became func()) {
	cl.meet(ctx)
	cl.handover.Warm(ctx)
	if ctx.Err() == nil {
		cl.ready(ctx, log)
	}
	became()
	registry.Run(ctx, "replicator", passEvery, func(ctx context.Context) (registry.Report, error) {
		a, err := cl.handover.Pass(ctx)
		return registry.Report{Seen: a.Chunks + a.Left, Done: a.Chunks, Kept: a.Left}, err
	}, log)
}

// meet waits until another node is seen, for a moment, if there should be one.
func (cl *clusterNode) meet(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, meetFor)
	defer cancel()
	if others, err := cl.addresses(ctx, cl.members.Self().ID); err == nil && len(others) == 0 && !cl.joins {
		return
	}
	t := time.NewTicker(50 * time.Millisecond)
	defer t.Stop()
	for cl.members.Count() < 2 {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// handOver gives what this node holds to those who own it, after it was told to
// drain.
func (cl *clusterNode) handOver(ctx context.Context, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, cl.handover.within)
	defer cancel()
	begun := time.Now()
	a, err := cl.handover.HandOver(ctx)
	took := time.Since(begun).Round(time.Millisecond)
	if err != nil {
		log.Warn("drained, but not all was handed over: it is asked for again when it is read", "chunks", a.Chunks, "bytes", a.Bytes, "left", a.Left, "took", took, "error", err)
		return
	}
	log.Info("drained: all was handed over", "chunks", a.Chunks, "bytes", a.Bytes, "took", took)
}

// vitals asks all nodes about themselves, at once and not for long.
func (cl *clusterNode) vitals(ctx context.Context, nodes []ring.Node) map[string]cluster.Vitals {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	var (
		wg  sync.WaitGroup
		mu  sync.Mutex // of all
		all = map[string]cluster.Vitals{}
	)
	self := cl.members.Self().ID
	turns := make(chan struct{}, 64)
	for _, n := range nodes {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			v, err := cl.handover.Vitals(), error(nil)
			if n.ID != self {
				v, err = cl.peers.Vitals(ctx, n)
			}
			if err != nil {
				return // it is of an earlier version, or does not answer
			}
			mu.Lock()
			defer mu.Unlock()
			all[n.ID] = v
		})
	}
	wg.Wait()
	return all
}

// mine says whether a node that somebody names is this one, which alone it can
// drain.
func (cl *clusterNode) mine(name string) error {
	self := cl.members.Self()
	if name == "" || name == self.ID || name == self.Name {
		return nil
	}
	for _, n := range cl.members.Ring().Nodes() {
		if n.ID == name || n.Name == name {
			return errors.New("this is node " + self.Name + ", and a node drains by its own listen.ops only: run this on the machine of " + name + " (its Image API is at " + n.API + "), or with --at")
		}
	}
	return errors.New("there is no node " + name + " in the cluster; glimpse cluster status lists them")
}
