package cachestore

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"glimpse/cachestore/chunk"
)

// id names a chunk of an object.
type id struct {
	key   chunk.Key
	index int
}

// policy decides which chunk leaves the memory tier first. It owns no data and
// is called by one goroutine at a time.
type policy interface {
	Insert(k id, cost int64) // has become resident
	Touch(k id)              // has been read
	Remove(k id)             // is gone for another reason than Evict
	// Evict offers chunks in the order in which they should leave until one may
	// go, forgets it and returns it.
	Evict(may func(id) bool) (id, bool)
}

// entry is a slab with the bytes of one chunk. Its slab goes back to the pool
// when the entry is out of the index, unpinned and clean.
type entry struct {
	slab *slab
	n    int // bytes of the chunk

	mu      sync.Mutex
	id      id           // changes when the object is renamed
	about   chunk.Object // as it was when the chunk came; of key and size that of id counts
	digest  chunk.Digest
	pins    int
	senders int  // pins that a slow client can hold for long
	dirty   bool // the disk does not have it yet; it has a place in the dirty half
	indexed bool
	dropped bool // must not reach the disk
	freed   bool

	place *place // of what a fill brought; nil: it came otherwise
}

func (e *entry) bytes() []byte { return e.slab.b[:e.n] }

// evictableLocked says whether the slab could be taken for something else.
func (e *entry) evictableLocked() bool { return e.indexed && e.pins == 0 && !e.dirty }

const shards = 64

type shard struct {
	mu sync.RWMutex
	m  map[id]*entry
}

// memory is the memory tier: an index of slabs, and the policy of what stays.
type memory struct {
	seed    maphash.Seed
	shard   [shards]shard
	free    atomic.Int64 // entries that could be evicted
	bytes   atomic.Int64
	evicted atomic.Int64 // bytes
	pool    *pool
	sending atomic.Int32 // entries that are being sent straight out of their slab
	maxSend int32
	awaited awaited

	polMu sync.Mutex
	pol   policy
}

func newMemory(pol policy) *memory {
	m := &memory{seed: maphash.MakeSeed(), pol: pol}
	for i := range m.shard {
		m.shard[i].m = map[id]*entry{}
	}
	return m
}

// setPool closes the circle between the tier and the pool that its slabs are of.
func (m *memory) setPool(p *pool) {
	m.pool = p
	m.maxSend = int32(max(1, p.total/4))
	m.awaited.max = max(1, p.total/4)
}

func (m *memory) at(k id) *shard { return &m.shard[m.shardOf(k)] }

func (m *memory) shardOf(k id) int { return int(maphash.Comparable(m.seed, k) % shards) }

// pin finds a chunk and keeps it from being evicted until unpin.
func (m *memory) pin(k id) *entry {
	sh := m.at(k)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	e := sh.m[k]
	if e != nil {
		m.repin(e)
	}
	return e
}

// repin pins an entry that can't be freed meanwhile.
func (m *memory) repin(e *entry) {
	m.change(e, func() { e.pins++ })
}

// has says whether a chunk is resident.
func (m *memory) has(k id) bool {
	sh := m.at(k)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.m[k] != nil
}

func (m *memory) unpin(e *entry) {
	m.release(e, func() { e.pins-- })
}

// clean says that the disk has the chunk, or never will.
func (m *memory) clean(e *entry) {
	m.release(e, func() { e.dirty = false })
	m.pool.clean()
}

// touch tells the policy of a use.
func (m *memory) touch(k id) {
	m.polMu.Lock()
	m.pol.Touch(k)
	m.polMu.Unlock()
}

// change alters an entry and keeps count of what can be evicted. It reports
// whether the slab is nobody's now.
func (m *memory) change(e *entry, fn func()) (orphan bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	was := e.evictableLocked()
	fn()
	switch is := e.evictableLocked(); {
	case is && !was:
		m.free.Add(1)
	case was && !is:
		m.free.Add(-1)
	}
	if !e.indexed && e.pins == 0 && !e.dirty && !e.freed {
		e.freed = true
		return true
	}
	return false
}

// release is change for what may free the slab or let a waiter go on.
func (m *memory) release(e *entry, fn func()) {
	if m.change(e, fn) {
		m.pool.put(e.slab)
		return
	}
	m.pool.kick()
}

// insert makes an entry findable. It returns false when the chunk is there
// already; the entry then stays outside.
func (m *memory) insert(e *entry) bool {
	k := e.id
	sh := m.at(k)
	sh.mu.Lock()
	if sh.m[k] != nil {
		sh.mu.Unlock()
		return false
	}
	sh.m[k] = e
	m.bytes.Add(int64(e.n))
	m.change(e, func() { e.indexed = true })
	sh.mu.Unlock()
	m.polMu.Lock()
	m.pol.Insert(k, 1)
	m.polMu.Unlock()
	m.pool.settle(e.slab)
	return true
}

// remove takes a chunk out of the index; who has it pinned goes on reading. A
// dirty one does not reach the disk any more.
func (m *memory) remove(k id) {
	sh := m.at(k)
	sh.mu.Lock()
	e := sh.m[k]
	if e != nil {
		m.unindexLocked(sh, e)
	}
	sh.mu.Unlock()
	if e == nil {
		return
	}
	m.polMu.Lock()
	m.pol.Remove(k)
	m.polMu.Unlock()
	m.release(e, func() { e.pins-- })
}

// unindexLocked leaves the entry pinned once, for the caller to release.
func (m *memory) unindexLocked(sh *shard, e *entry) {
	delete(sh.m, e.id)
	m.bytes.Add(-int64(e.n))
	m.change(e, func() { e.indexed, e.dropped, e.pins = false, true, e.pins+1 })
}

// keys lists the resident chunks of an object.
func (m *memory) keys(key chunk.Key) (list []id) {
	for i := range m.shard {
		sh := &m.shard[i]
		sh.mu.RLock()
		for k := range sh.m {
			if k.key == key {
				list = append(list, k)
			}
		}
		sh.mu.RUnlock()
	}
	return list
}

// rename gives a resident chunk another name. What is there under that name
// already stays, and the chunk goes.
func (m *memory) rename(from, to id, about chunk.Object) {
	a, b := m.shardOf(from), m.shardOf(to)
	unlock := m.lockTwo(a, b)
	e, taken := m.shard[a].m[from], m.shard[b].m[to] != nil
	if e == nil || taken {
		unlock()
		m.remove(from)
		return
	}
	delete(m.shard[a].m, from)
	m.shard[b].m[to] = e
	e.mu.Lock()
	e.id, e.about = to, about
	e.mu.Unlock()
	unlock()
	m.polMu.Lock()
	m.pol.Remove(from)
	m.pol.Insert(to, 1)
	m.polMu.Unlock()
}

func (m *memory) lockTwo(a, b int) (unlock func()) {
	a, b = min(a, b), max(a, b)
	m.shard[a].mu.Lock()
	if a == b {
		return m.shard[a].mu.Unlock
	}
	m.shard[b].mu.Lock()
	return func() { m.shard[b].mu.Unlock(); m.shard[a].mu.Unlock() }
}

// evictable and evict serve the pool.
func (m *memory) evictable() int64 { return m.free.Load() }

func (m *memory) evict(awaited bool) *slab {
	m.polMu.Lock()
	defer m.polMu.Unlock()
	s := m.evictLocked(false)
	if s == nil && awaited {
		s = m.evictLocked(true)
	}
	return s
}

func (m *memory) evictLocked(awaited bool) (s *slab) {
	may := func(k id) (gone bool) {
		s, gone = m.tryEvict(k, awaited)
		return gone
	}
	for s == nil {
		if _, ok := m.pol.Evict(may); !ok {
			return nil
		}
	}
	return s
}

// tryEvict takes the slab of a chunk that nobody needs; of one that is awaited only
// if that is said. gone is also true for one that has left the index already: the
// policy may forget it.
func (m *memory) tryEvict(k id, awaited bool) (s *slab, gone bool) {
	sh := m.at(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.m[k]
	if e == nil {
		return nil, true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.evictableLocked() || !awaited && m.awaited.has(e.place) {
		return nil, false
	}
	e.indexed, e.freed = false, true
	m.free.Add(-1)
	delete(sh.m, k)
	m.bytes.Add(-int64(e.n))
	m.evicted.Add(int64(e.n))
	return e.slab, true
}

// send asks to write to a client straight out of a pinned slab. A slow client
// can hold such a slab for long and nobody can take it away, so no more than a
// quarter of the slabs may be out at once; who is refused copies.
func (m *memory) send(e *entry) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.senders == 0 {
		if m.sending.Add(1) > m.maxSend {
			m.sending.Add(-1)
			return false
		}
	}
	e.senders++
	return true
}

func (m *memory) sent(e *entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.senders--; e.senders == 0 {
		m.sending.Add(-1)
	}
}
