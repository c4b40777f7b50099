package pull

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// board says which chunks are to be fetched, and by whom. Chunks that are done
// stay done.
type board struct {
	mu      sync.Mutex
	todo    []span
	running map[*run]struct{}
	done    []bool
	wrong   map[int][]*node // who gave wrong bytes for a chunk, each time
	left    int             // chunks that are not done
	moved   time.Time       // when the last chunk was done
	changed chan struct{}   // closed at each change, and made anew
}

// span is a run of chunks that lie side by side.
type span struct{ from, to int }

// run is a span that is being fetched. Its end may move nearer: others take from
// it. Only the board touches what is below.
type run struct {
	from int
	node *node
	end  context.CancelCauseFunc // of its fetch

	at, to int // the chunk under way, and where it ends
	since  time.Time
	double bool // of its last chunk another run is on the way
}

// newBoard makes a board of the chunks that are wanted, in spans of at most extent
// chunks that do not cross a multiple of it.
func newBoard(want []bool, extent int) *board {
	b := &board{running: map[*run]struct{}{}, wrong: map[int][]*node{}, done: make([]bool, len(want)), moved: time.Now(), changed: make(chan struct{})}
	for i, w := range want {
		b.done[i] = !w
		if !w {
			continue
		}
		b.left++
		if k := len(b.todo) - 1; k >= 0 && b.todo[k].to == i && i%extent != 0 {
			b.todo[k].to++
		} else {
			b.todo = append(b.todo, span{i, i + 1})
		}
	}
	return b
}

func (b *board) changeLocked() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// A run is halved for somebody who has nothing else to do when it has much before
// it, or is slow: what its node has sent already is lost.
const (
	muchLeft  = 4 // chunks
	slowAfter = 500 * time.Millisecond
)

// doubleAfter is how long a chunk may be under way before somebody who has nothing
// else to do fetches it too.
const doubleAfter = 2 * time.Second

// take returns the next run, and who had better not fetch it. Where nothing is to be begun it
// takes half of what another run has before it, or doubles the chunk that has
// been under way for longest. It waits until there is something; nil: all is done.
func (b *board) take(ctx context.Context) (*run, shunned, error) {
	tick := time.NewTicker(doubleAfter / 4)
	defer tick.Stop()
	for {
		b.mu.Lock()
		if b.left == 0 {
			b.mu.Unlock()
			return nil, shunned{}, nil
		}
		r, avoid := b.nextLocked(time.Now())
		changed := b.changed
		b.mu.Unlock()
		if r != nil {
			return r, avoid, nil
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
			return nil, shunned{}, context.Cause(ctx)
		}
	}
}

// shunned are the nodes that gave wrong bytes for a chunk, and the one that is slow
// at it.
type shunned struct {
	wrong []*node
	slow  *node
}

func (b *board) nextLocked(now time.Time) (*run, shunned) {
	if len(b.todo) > 0 {
		s := b.todo[0]
		b.todo = b.todo[1:]
		return b.beginLocked(s, now), shunned{wrong: b.wrong[s.from]}
	}
	var most, oldest *run
	for r := range b.running {
		switch rest := r.to - r.at; {
		case rest > 1 && (rest >= muchLeft || now.Sub(r.since) >= slowAfter):
			if most == nil || rest > most.to-most.at {
				most = r
			}
		case rest == 1 && !r.double && now.Sub(r.since) >= doubleAfter && (oldest == nil || r.since.Before(oldest.since)):
			oldest = r
		}
	}
	switch {
	case most != nil:
		end := most.to
		most.to -= (most.to - most.at) / 2
		return b.beginLocked(span{most.to, end}, now), shunned{slow: most.node}
	case oldest != nil:
		oldest.double = true
		r := b.beginLocked(span{oldest.at, oldest.to}, now)
		r.double = true
		return r, shunned{b.wrong[r.from], oldest.node}
	}
	return nil, shunned{}
}

func (b *board) beginLocked(s span, now time.Time) *run {
	r := &run{from: s.from, at: s.from, to: s.to, since: now}
	b.running[r] = struct{}{}
	return r
}

// by notes who fetches a run, and returns where it ends for now. end is called when
// others have done all of it.
func (b *board) by(r *run, n *node, end context.CancelCauseFunc) (to int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.node, r.end = n, end
	b.endLocked(r)
	return r.to
}

// errDone ends a fetch that others have overtaken.
var errDone = errors.New("others have done it")

func (b *board) endLocked(r *run) {
	if r.end != nil && !slices.Contains(b.done[r.at:r.to], false) {
		r.end(errDone)
	}
}

// wants says whether chunk i is still the run's to fetch.
func (b *board) wants(r *run, i int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return i < r.to && !b.done[i]
}

// finish notes that a run has written its next chunk, and says whether it was the
// first to do so.
func (b *board) finish(r *run, i int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := !b.done[i]
	if first {
		b.done[i] = true
		b.left--
	}
	r.at, r.since, b.moved = i+1, time.Now(), time.Now()
	for other := range b.running {
		if other != r && other.at <= i && i < other.to {
			b.endLocked(other)
		}
	}
	b.changeLocked()
	return first
}

// spoilt notes that a node gave wrong bytes for the run's next chunk, which is to be
// fetched anew, and returns how often that was.
func (b *board) spoilt(r *run, i int, n *node) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrong[i] = append(b.wrong[i], n)
	r.at, r.since = i+1, time.Now()
	if !b.done[i] && !b.aloneLocked(i) {
		b.todo = slices.Insert(b.todo, 0, span{i, i + 1})
	}
	b.changeLocked()
	return len(b.wrong[i])
}

// leave ends a run; what it has not done is to be fetched by others.
func (b *board) leave(r *run) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.running, r)
	var back []span
	for i := r.at; i < r.to; i++ {
		switch {
		case b.done[i] || b.aloneLocked(i):
		case len(back) > 0 && back[len(back)-1].to == i:
			back[len(back)-1].to++
		default:
			back = append(back, span{i, i + 1})
		}
	}
	b.todo = slices.Insert(b.todo, 0, back...)
	b.changeLocked()
}

// aloneLocked says whether a run has chunk i before it, after another one that had
// it has ended. Such a run may be doubled again.
func (b *board) aloneLocked(i int) bool {
	for r := range b.running {
		if r.at <= i && i < r.to {
			r.double = false
			return true
		}
	}
	return false
}

// idle is how long no chunk has been done.
func (b *board) idle() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Since(b.moved)
}

// await waits until chunk i is done.
func (b *board) await(ctx context.Context, i int) error {
	for {
		b.mu.Lock()
		done, changed := b.done[i], b.changed
		b.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
