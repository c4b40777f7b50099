package cachestore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// class says who asks the pool for slabs. The order of the first three is the
// order in which levels wait for one another: client for zone, zone for home,
// home for the origin. Each leaves room to the ones that it waits for, so that
// every wait ends.
type class uint8

const (
	classNone class = iota
	classHome
	classZone
	classClient
	classUpload
	classAhead // read-ahead and promotion: takes what nobody waits for, never waits
	classes
)

// A want is what is asked of the pool at once.
type want struct {
	class class
	n     int
	dirty bool // the bytes are to be written to the disk: they count against the dirty half
}

type waiter struct {
	want
	slabs  []*slab
	credit bool
	ready  chan struct{} // closed with slabs set, or when the pool closes
}

// evictor gives slabs back that hold cached bytes.
type evictor interface {
	// evict returns nil when nothing can go now. awaited says that what readers
	// await may go too, when nothing else can.
	evict(awaited bool) *slab
	evictable() int64 // slabs that could go
}

// pool is the node's one budget of chunk buffers. Who finds none waits in the
// order of asking.
type pool struct {
	cache    evictor
	total    int
	dirtyMax int
	waiting  atomic.Int32 // waiters, read without the lock

	mu       sync.Mutex
	free     []*slab
	queue    []*waiter
	held     [classes]int // slabs out with fills and uploads
	dirty    int          // places of the dirty half that are taken
	diskDown bool         // nothing is kept on disk now: the dirty half does not bind
	closed   bool
}

func newPool(slabs []*slab, cache evictor) *pool {
	return &pool{cache: cache, total: len(slabs), dirtyMax: len(slabs) / 2, free: slabs}
}

// reserve is how many slabs a class must leave to the others.
func (p *pool) reserve(c class) int {
	switch c {
	case classHome:
		return 0
	case classZone:
		return max(1, p.total/8)
	default:
		return max(2, p.total/4)
	}
}

func (p *pool) uploadQuota() int { return p.total / 2 }

// take waits until w can be had. credit says whether the slabs count against the
// dirty half; they then do until settle or clean gives the place back.
func (p *pool) take(ctx context.Context, w want) (slabs []*slab, credit bool, err error) {
	if w.class == classUpload && w.n > p.uploadQuota() {
		return nil, false, fmt.Errorf("cachestore: %d buffers at once, the quota of uploads is %d", w.n, p.uploadQuota())
	}
	q := &waiter{want: w, ready: make(chan struct{})}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, false, errClosed
	}
	p.queue = append(p.queue, q)
	p.waiting.Add(1)
	p.grantLocked()
	p.mu.Unlock()
	select {
	case <-q.ready:
	case <-ctx.Done():
		p.leave(q)
		return nil, false, context.Cause(ctx)
	}
	if q.slabs == nil {
		return nil, false, errClosed
	}
	return q.slabs, q.credit, nil
}

// leave takes a waiter that gave up out of the queue, or gives back what it was
// granted in the same moment.
func (p *pool) leave(q *waiter) {
	p.mu.Lock()
	for i, o := range p.queue {
		if o == q {
			p.queue = append(p.queue[:i], p.queue[i+1:]...)
			p.waiting.Add(-1)
			break
		}
	}
	if q.slabs != nil {
		p.putLocked(q.slabs)
		if q.credit {
			p.dirty -= q.n
		}
	}
	p.grantLocked()
	p.mu.Unlock()
}

// try is take without waiting: nil when the slab can't be had now. Read-ahead
// stands behind everybody who waits.
func (p *pool) try(w want) (s *slab, credit bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || w.class == classAhead && len(p.queue) > 0 || p.refusal(w) != granted {
		return nil, false
	}
	slabs := p.popLocked(w)
	if slabs == nil {
		return nil, false
	}
	return slabs[0], p.creditLocked(w)
}

// tryDirty takes a place in the dirty half for bytes that have a slab already.
func (p *pool) tryDirty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dirty >= p.dirtyMax {
		return false
	}
	p.dirty++
	return true
}

// clean gives a place in the dirty half back.
func (p *pool) clean() {
	p.mu.Lock()
	p.dirty--
	p.grantLocked()
	p.mu.Unlock()
}

// put gives a slab back.
func (p *pool) put(s *slab) {
	p.mu.Lock()
	p.putLocked([]*slab{s})
	p.grantLocked()
	p.mu.Unlock()
}

// settle says that a slab now holds cached bytes: it no longer counts as work.
func (p *pool) settle(s *slab) {
	p.mu.Lock()
	p.held[s.class]--
	s.class = classNone
	p.grantLocked()
	p.mu.Unlock()
}

// kick looks whether a waiter can go on: a cached slab has become evictable.
func (p *pool) kick() {
	if p.waiting.Load() == 0 {
		return
	}
	p.mu.Lock()
	p.grantLocked()
	p.mu.Unlock()
}

// setDiskDown lifts or sets the bound of the dirty half.
func (p *pool) setDiskDown(down bool) {
	p.mu.Lock()
	p.diskDown = down
	p.grantLocked()
	p.mu.Unlock()
}

// close ends every wait.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	for _, q := range p.queue {
		close(q.ready)
	}
	p.queue = nil
	p.waiting.Store(0)
	p.mu.Unlock()
}

// idle says how many slabs are neither working nor needed.
func (p *pool) idle() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.availableLocked()
}

// inUse returns how many slabs hold anything.
func (p *pool) inUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total - len(p.free)
}

func (p *pool) availableLocked() int { return len(p.free) + int(p.cache.evictable()) }

func (p *pool) putLocked(slabs []*slab) {
	for _, s := range slabs {
		p.held[s.class]--
		s.class = classNone
		p.free = append(p.free, s)
	}
}

// popLocked takes w.n slabs, all or none.
func (p *pool) popLocked(w want) []*slab {
	awaited := p.reserve(w.class) < p.reserve(classClient)
	slabs := make([]*slab, 0, w.n)
	for len(slabs) < w.n {
		var s *slab
		if n := len(p.free); n > 0 {
			s, p.free = p.free[n-1], p.free[:n-1]
		} else if s = p.cache.evict(awaited); s == nil {
			p.free = append(p.free, slabs...)
			return nil
		}
		slabs = append(slabs, s)
	}
	for _, s := range slabs {
		s.class = w.class
	}
	p.held[w.class] += w.n
	return slabs
}

func (p *pool) creditLocked(w want) bool {
	if !w.dirty || p.diskDown {
		return false
	}
	p.dirty += w.n
	return true
}
