package source

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
)

// stall is how long a node is waited for that is known to have what is wanted.
const stall = time.Second

// askAll asks nodes at once for what they have; nil: none has it, or says so in
// time. The calls that are not taken end at once. One that is known to have it is
// waited for as long as an owner is, also where it is busy; "": none is.
func (r *Router) askAll(ctx context.Context, p place, nodes []ring.Node, known string, o chunk.Object, off, n int64) *lookStream {
	nodes = r.pace.answering(nodes, known)
	q := &questions{answers: make(chan answer, len(nodes)), left: len(nodes), cancels: make([]context.CancelFunc, len(nodes))}
	heard, began := make([]bool, len(nodes)), time.Now()
	for i, node := range nodes {
		var one context.Context
		one, q.cancels[i] = context.WithCancel(ctx)
		sure := node.ID == known
		go func() { q.answers <- answer{i, r.question(one, p, node, sure, o, off, n)} }()
	}
	t := time.NewTimer(r.c.LookFor)
	defer t.Stop()
	for late := false; q.left > 0; {
		select {
		case a := <-q.answers:
			q.left--
			if heard[a.from] = true; ctx.Err() == nil {
				r.pace.heard(nodes[a.from].ID)
			}
			if a.st != nil {
				return q.take(a, nodes[a.from])
			}
			if nodes[a.from].ID == known {
				known = ""
			}
		case <-t.C:
			if late {
				known = ""
			}
			late = true
			t.Reset(max(stall-r.c.LookFor, 0))
		}
		if late && known == "" && q.left > 0 {
			r.pace.lateLook()
			for i, node := range nodes {
				if !heard[i] {
					r.pace.unheard(node.ID, began)
				}
			}
			q.end(-1)
			q.drain()
		}
	}
	q.end(-1)
	return nil
}

// question asks one node; nil: it does not have it.
func (r *Router) question(ctx context.Context, p place, node ring.Node, known bool, o chunk.Object, off, n int64) chunk.Stream {
	for {
		st, err := r.c.Peers.OpenRange(ctx, node, r.ask(o, p.level, true), off, n)
		if err == nil {
			return st
		}
		if !known || !errors.Is(err, cluster.ErrBusy) || !pause(ctx) {
			return nil
		}
	}
}

// pause waits before a busy node is asked anew; false where nobody waits any more.
func pause(ctx context.Context) bool {
	select {
	case <-time.After(20*time.Millisecond + rand.N(20*time.Millisecond)):
		return true
	case <-ctx.Done():
		return false
	}
}

// answer is what a node said; nil: it has nothing.
type answer struct {
	from int
	st   chunk.Stream
}

// questions are asks of several nodes at once.
type questions struct {
	answers chan answer
	left    int // of them still to come
	cancels []context.CancelFunc
}

// end gives all up but one; -1: all.
func (q *questions) end(but int) {
	for i, c := range q.cancels {
		if i != but {
			c()
		}
	}
}

// drain waits for those that were given up.
func (q *questions) drain() {
	for ; q.left > 0; q.left-- {
		if a := <-q.answers; a.st != nil {
			_ = a.st.Close() // nothing was read of it
		}
	}
}

// take takes one answer, and gives the others up.
func (q *questions) take(a answer, from ring.Node) *lookStream {
	q.end(a.from)
	w := &lookStream{Stream: a.st, from: from, cancel: q.cancels[a.from], drained: make(chan struct{})}
	go func() {
		defer close(w.drained)
		q.drain()
	}()
	return w
}

// lookStream is the answer that was taken.
type lookStream struct {
	chunk.Stream
	from    ring.Node // the node that gives it
	cancel  context.CancelFunc
	drained chan struct{}
	once    sync.Once
}

// Close ends the stream, and waits for the calls that were not taken.
func (w *lookStream) Close() (err error) {
	w.once.Do(func() {
		w.cancel()
		err = w.Stream.Close()
		<-w.drained
	})
	return err
}
