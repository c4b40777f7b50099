package cachestore

import (
	"container/list"
	"sync"
)

// staleAfter says when a place is stale: so many times as many as there are have
// been taken since, so its reader is that much slower than the others.
const staleAfter = 4

// awaited is the chunks that readers have asked for and are not past yet, on their
// way or in memory. They leave memory after all others, so that none is read from
// the origin twice; it is a preference and no pin. There are places for a quarter
// of the slabs, which all but zone and home leave free anyway: only a fill that
// others wait for evicts what is awaited.
//
// A chunk that a reader has come to takes the oldest place when none is free. Ahead
// of a reader only so much is asked for as there are places, or stale ones: the
// windows of all readers together hold no more than memory keeps for them.
type awaited struct {
	max int

	mu    sync.Mutex
	list  list.List // of *place, the oldest first
	taken int       // places, ever
}

// place is what a chunk has while it is awaited. Its fields are under awaited.mu.
type place struct {
	at    *list.Element // nil: it is not awaited
	since int           // awaited.taken when it was taken
}

// take is for a chunk that a reader has come to. It may be called again.
func (a *awaited) take(p *place) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.at != nil {
		return
	}
	if a.list.Len() >= a.max {
		a.removeLocked(a.oldestLocked())
	}
	a.addLocked(p)
}

// ahead is for a chunk that no reader has come to: false when there is no place.
func (a *awaited) ahead(p *place) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.list.Len() >= a.max {
		oldest := a.oldestLocked()
		if a.taken-oldest.since < staleAfter*a.max {
			return false
		}
		a.removeLocked(oldest)
	}
	a.addLocked(p)
	return true
}

// leave gives a place back. It may be called again, and with nil.
func (a *awaited) leave(p *place) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.removeLocked(p)
}

// has says whether a chunk is awaited; nil is the place of one that never was.
func (a *awaited) has(p *place) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return p != nil && p.at != nil
}

func (a *awaited) oldestLocked() *place { return a.list.Front().Value.(*place) }

func (a *awaited) addLocked(p *place) {
	a.taken++
	p.at, p.since = a.list.PushBack(p), a.taken
}

func (a *awaited) removeLocked(p *place) {
	if p != nil && p.at != nil {
		a.list.Remove(p.at)
		p.at = nil
	}
}
