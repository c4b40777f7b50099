package pull

import (
	"context"
	"slices"
	"sync"
	"time"

	"glimpse/cmd/glimpse/imageapi"
)

// node is a place to fetch from. The pool guards its fields.
type node struct {
	imageapi.Node
	streams  int // under way
	failures int // in a row
	until    time.Time
	out      bool // it is not asked again
	gave     bool // bytes
}

// pool says which node is asked next.
type pool struct {
	mu   sync.Mutex
	all  []*node // the nearest first
	use  int
	last error // why the last one failed
}

// Waits after a failure: doubled each time, and a node is not asked again after
// refusals that trying again does not change.
const (
	firstWait = 250 * time.Millisecond
	longWait  = 10 * time.Second
)

// forgiven is after how many failures in a row a node is no longer waited for where
// the others gave wrong bytes.
const forgiven = 5

func newPool(list []imageapi.Node, use int) *pool {
	p := &pool{use: max(use, 1)}
	for _, n := range list {
		p.all = append(p.all, &node{Node: n})
	}
	return p
}

// pick returns the least busy of the nodes in use: none that gave wrong bytes if
// there is another, however far or soon to be asked again, and not the slow one if
// another is in use. It waits while none may be asked; an error says that none ever
// will. The caller gives the node back by failed or fine.
func (p *pool) pick(ctx context.Context, avoid shunned) (*node, error) {
	for {
		n, wait, err := p.next(avoid, time.Now())
		if n != nil || err != nil {
			return n, err
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, context.Cause(ctx)
		}
	}
}

func (p *pool) next(avoid shunned, now time.Time) (_ *node, wait time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var up, good []*node
	wait = longWait
	outs, hope := 0, false
	for _, n := range p.all {
		switch {
		case n.out:
			outs++
		case now.Before(n.until):
			wait = min(wait, n.until.Sub(now))
			hope = hope || n.failures <= forgiven && !slices.Contains(avoid.wrong, n)
		default:
			up = append(up, n)
			if !slices.Contains(avoid.wrong, n) {
				good = append(good, n)
			}
		}
	}
	switch {
	case outs == len(p.all):
		return nil, 0, p.last
	case len(up) == 0 || len(good) == 0 && hope:
		return nil, wait, nil
	case len(good) == 0:
		good = up
	}
	var best *node
	for _, n := range p.inUse(good) {
		if best == nil || best == avoid.slow || n != avoid.slow && n.streams < best.streams {
			best = n
		}
	}
	best.streams++
	return best, 0, nil
}

// inUse are those of the nodes that share the work: of the zone if one is there,
// else those that are about as near as the nearest.
func (p *pool) inUse(list []*node) []*node {
	for i, n := range list {
		first := list[0]
		if i == p.use || n.Near != first.Near || !n.Near && n.RTT > 2*first.RTT+2*time.Millisecond {
			return list[:i]
		}
	}
	return list
}

// fine gives a node back that did what it should.
func (p *pool) fine(n *node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n.streams--
	n.failures = 0
}

// failed gives a node back that did not.
func (p *pool) failed(n *node, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n.streams--
	p.last = err
	if c := imageapi.CodeOf(err); c == imageapi.NotAllowed || c == imageapi.NotFound {
		n.out = true
		return
	}
	now := time.Now()
	if now.Before(n.until) {
		return // a stream that broke off with others
	}
	n.until = now.Add(min(longWait, firstWait<<min(n.failures, 10)))
	n.failures++
}

// gave notes that a node gave bytes.
func (p *pool) gave(n *node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n.gave = true
	n.failures = 0
}

// givers are the nodes that gave bytes.
func (p *pool) givers() (list []*node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.all {
		if n.gave {
			list = append(list, n)
		}
	}
	return list
}

// why returns why the last node failed, or err where none did.
func (p *pool) why(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last != nil {
		return p.last
	}
	return err
}
