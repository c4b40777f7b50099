package source

import (
	"context"
	"slices"
	"sync"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
)

// Again is the source of a fill that is begun once more. It does not look around:
// whoever would be found may be waiting for that very fill. The nodes that gave what
// is wrong are asked last, and have had a hint by then: they may have what is right.
func (t route) Again(bad []string) chunk.Source {
	t.again = true
	t.bad = append(slices.Clip(t.bad), bad...)
	t.r.pace.wrong(len(bad))
	return t
}

// anew are the steps of a fill that is begun once more.
func (t route) anew(steps []step) []step {
	steps = slices.DeleteFunc(steps, func(s step) bool { return s.looks })
	if len(t.bad) == 0 {
		return steps
	}
	rank := func(s step) int {
		switch {
		case s.last:
			return 2
		case slices.Contains(t.bad, s.at.ID):
			return 1
		}
		return 0
	}
	slices.SortStableFunc(steps, func(a, b step) int { return rank(a) - rank(b) })
	for i := range steps {
		steps[i].away = false // who comes before is not all that there is
		steps[i].not = t.bad
	}
	return steps
}

// tell gives nodes the hint to look at their own copies of a chunk. It waits for
// them, since others may look for that chunk with them; not longer than a look around
// takes.
func (r *Router) tell(ctx context.Context, ids []string, o chunk.Object, off int64) {
	ctx, cancel := context.WithTimeout(ctx, r.c.LookFor)
	defer cancel()
	var told sync.WaitGroup
	defer told.Wait()
	rg := r.c.Members.Ring()
	for i, id := range ids {
		n, ok := rg.Node(id)
		if !ok || slices.Contains(ids[:i], id) {
			continue
		}
		told.Go(func() {
			q := r.ask(o, cluster.Zone, true)
			q.Doubt = true
			if st, err := r.c.Peers.OpenRange(ctx, n, q, off, 1); err == nil {
				_ = st.Close() // by its own word its copy is right
			}
		})
	}
}

// giver is a node as the cache hears of it.
func giver(n ring.Node) chunk.Giver { return chunk.Giver{ID: n.ID, Name: n.Name} }

// By says who gave the last piece.
func (r *relay) By() chunk.Giver { return chunk.GivenBy(r.st) }

// By says who gave the last piece.
func (x *race) By() chunk.Giver {
	if x.other != nil {
		return chunk.GivenBy(x.other.st)
	}
	return giver(x.s.at)
}

// By says who gives all pieces.
func (w *lookStream) By() chunk.Giver { return giver(w.from) }

// given is what one node gives.
type given struct {
	chunk.Stream
	at ring.Node
}

// By says who that is.
func (g given) By() chunk.Giver { return giver(g.at) }
