package replicator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
	"glimpse/cluster/wire"
)

// lookedAt bounds the chunks that are looked up for one page.
const lookedAt = 1 << 16

// Holdings lists what is here of the extents that the asker owns by the ring here.
// Not available: that ring does not have it yet.
func (r *Replicator) Holdings(ctx context.Context, q cluster.Claim) (cluster.Page, error) {
	rg := r.c.Members.Ring()
	asker, ok := rg.Node(q.From)
	if !ok {
		return cluster.Page{}, errNotYet(q.From)
	}
	objects := r.c.Cache.Objects()
	slices.SortFunc(objects, func(a, b chunk.Object) int { return strings.Compare(string(a.Key), string(b.Key)) })
	from, _ := slices.BinarySearchFunc(objects, q.After.Key, func(o chunk.Object, k chunk.Key) int { return strings.Compare(string(o.Key), string(k)) })
	p := pager{room: wire.NewFitter()}
	for _, o := range objects[from:] {
		index := 0
		if o.Key == q.After.Key {
			index = q.After.Index
		}
		owned := func(extent int) bool { return r.owns(rg, asker, q.Level, o, extent) }
		if !r.list(&p, o, index, owned) || ctx.Err() != nil {
			break
		}
	}
	return p.page, ctx.Err()
}

// pager fills a page.
type pager struct {
	page   cluster.Page
	room   wire.Fitter
	looked int
}

// list adds what is here of an object from a chunk on; false: the page is full,
// and says where the next one begins.
func (r *Replicator) list(p *pager, o chunk.Object, index int, owned func(extent int) bool) bool {
	g := r.c.Geometry
	var own bool
	for begun, count := index, g.Count(o.Size); index < count; index++ {
		if index == begun || index%g.Extent == 0 {
			if own = owned(g.ExtentOf(index)); !own {
				index = (g.ExtentOf(index)+1)*g.Extent - 1
				continue
			}
		}
		p.looked++
		if p.looked > lookedAt || r.c.Cache.Resident(o, index) && !p.add(o, index) {
			p.page.Next = cluster.Cursor{Key: o.Key, Index: index}
			return false
		}
	}
	return true
}

// add adds a chunk, if there is room.
func (p *pager) add(o chunk.Object, index int) bool {
	last := len(p.page.Holdings) - 1
	if last < 0 || p.page.Holdings[last].Object.Key != o.Key {
		if !p.room.Object(o) {
			return false
		}
		p.page.Holdings = append(p.page.Holdings, cluster.Holding{Object: o, Runs: []cluster.Run{{First: index, Count: 1}}})
		return true
	}
	h := &p.page.Holdings[last]
	if end := &h.Runs[len(h.Runs)-1]; end.First+end.Count == index {
		end.Count++
		return true
	}
	if !p.room.Run() {
		return false
	}
	h.Runs = append(h.Runs, cluster.Run{First: index, Count: 1})
	return true
}

// HandOver has the others take over what this node holds, which the ring must say
// already that it does not own. It returns when nothing is left that they would
// take, or an error with what was given until then when ctx ends.
func (r *Replicator) HandOver(ctx context.Context) (all cluster.Account, err error) {
	r.do("handing over")
	defer r.do("")
	var last error
	for {
		rg := r.c.Members.Ring()
		round, err := r.handRound(ctx, rg)
		if err == nil || ctx.Err() == nil {
			last = err
		}
		all.Add(cluster.Account{Chunks: round.Chunks, Bytes: round.Bytes})
		all.Left = round.Left
		r.do(fmt.Sprintf("handing over: %d MiB given", all.Bytes>>20))
		if err == nil && round.Left == 0 && ring.SameShares(rg, r.c.Members.Ring()) {
			return all, nil
		}
		if !pause(ctx, again) {
			return all, errors.Join(context.Cause(ctx), last)
		}
	}
}

// handRound asks all nodes at once to take what is theirs.
func (r *Replicator) handRound(ctx context.Context, rg *ring.Ring) (all cluster.Account, err error) {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex // of what follows
		errs []error
	)
	self := r.c.Members.Self()
	for _, n := range rg.Nodes() {
		if n.ID == self.ID || n.Role == ring.Client || n.State == ring.Draining {
			continue
		}
		wg.Go(func() {
			a, err := r.c.Peers.Take(ctx, n)
			if errors.Is(err, cluster.ErrUnknown) {
				r.c.Log.WarnContext(ctx, "a node of an earlier version takes nothing over", "node", n.ID, "name", n.Name)
				err = nil
			}
			mu.Lock()
			defer mu.Unlock()
			if a.Chunks > 0 {
				r.given.Add(a.Bytes)
				r.c.Log.InfoContext(ctx, "handed over", "node", n.ID, "name", n.Name, "chunks", a.Chunks, "bytes", a.Bytes, "left", a.Left)
			}
			all.Add(a)
			if err != nil {
				errs = append(errs, fmt.Errorf("node %s: %w", n.ID, err))
			}
		})
	}
	wg.Wait()
	return all, errors.Join(errs...)
}
