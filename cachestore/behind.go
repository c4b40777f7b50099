package cachestore

import (
	"context"
	"sync"
	"time"

	"glimpse/cachestore/chunk"
)

const (
	behindWorkers = 4 // chunks on their way to the disk at once
	// stallAfter is how long one chunk may take before the disk counts as stalled.
	stallAfter = 10 * time.Second
	// probeAfter is how long a failing disk is left alone before one chunk is tried.
	probeAfter = 5 * time.Second
)

// behind writes chunks to the disk behind the readers' backs. Every chunk in its
// queue has a place in the dirty half, so the queue is bounded.
type behind struct {
	s      *Store
	t      tier
	queue  chan *entry
	quit   chan struct{} // closed when nothing more is written
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	health health
}

func newBehind(s *Store, t tier) *behind {
	b := &behind{s: s, t: t, queue: make(chan *entry, s.pool.dirtyMax), quit: make(chan struct{})}
	b.health = health{log: s.log, turn: func(down bool) {
		s.pool.setDiskDown(down)
		if down {
			b.shed()
		}
	}}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	for range min(behindWorkers, max(1, s.pool.dirtyMax/2)) {
		b.wg.Go(b.work)
	}
	return b
}

// offer takes an entry that is in the index. It never waits.
func (b *behind) offer(e *entry) {
	e.mu.Lock()
	dirty := e.dirty
	e.mu.Unlock()
	if !dirty {
		if !b.health.due() || !b.s.pool.tryDirty() {
			b.notKept(e)
			return
		}
		b.s.mem.change(e, func() { e.dirty = true })
	}
	select {
	case b.queue <- e:
	default: // can't be: the queue has the room of the dirty half
		b.notKept(e)
		b.s.mem.clean(e)
	}
}

// used tells the disk of a read that memory served, so that what is hot does not
// leave the disk meanwhile. A chunk that a full disk refused is offered again: it
// has now been wanted twice. The caller has it pinned.
func (b *behind) used(e *entry) {
	k, ok := e.name()
	if !ok {
		return
	}
	if _, _, _, ok := b.t.Has(k.key, k.index); ok {
		b.t.Touch(k.key, k.index)
		return
	}
	b.offerClean(e)
}

// offerClean offers an entry that does not wait for the disk already.
func (b *behind) offerClean(e *entry) {
	e.mu.Lock()
	dirty := e.dirty
	e.mu.Unlock()
	if !dirty {
		b.offer(e)
	}
}

func (b *behind) notKept(e *entry) { b.s.stats.notKept.Add(int64(e.n)) }

func (b *behind) work() {
	for {
		select {
		case e := <-b.queue:
			b.keep(e)
		case <-b.quit:
			return
		}
	}
}

// shed drops what is queued: the disk doesn't take it.
func (b *behind) shed() {
	for {
		select {
		case e := <-b.queue:
			b.notKept(e)
			b.s.mem.clean(e)
		default:
			return
		}
	}
}

// keep writes one entry, again if its object was renamed meanwhile.
func (b *behind) keep(e *entry) {
	defer b.s.mem.clean(e)
	for {
		k, ok := e.name()
		if !ok {
			return
		}
		if !b.write(k, e) {
			b.notKept(e)
			return
		}
		now, ok := e.name()
		if ok && now == k {
			return
		}
		b.t.Remove(k.key, k.index)
	}
}

// name returns what an entry is called now, and whether it is still wanted.
func (e *entry) name() (id, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.id, !e.dropped
}

// write does one try. It says whether the disk has the chunk.
func (b *behind) write(k id, e *entry) bool {
	if !b.health.mayTry() || !b.t.Admit(k.key, k.index) || !b.t.Reserve(e.n) {
		return false
	}
	stalled := time.AfterFunc(stallAfter, func() { b.health.note(errStalled) })
	err := b.t.Write(b.ctx, k.key, k.index, e.bytes(), e.digest)
	stalled.Stop()
	if b.ctx.Err() != nil {
		return err == nil
	}
	b.health.note(err)
	if err == nil {
		b.t.Describe(e.object())
		b.s.mem.awaited.leave(e.place)
	}
	return err == nil
}

// markZero makes a zero mark durable.
func (b *behind) markZero(o chunk.Object, k id) {
	if !b.health.mayTry() {
		return
	}
	b.health.note(b.t.MarkZero(k.key, k.index))
	b.t.Describe(named(o, k.key))
}

// close writes what is queued while ctx lasts, then closes the disk.
func (b *behind) close(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { b.cancel(); b.shed() })
	defer stop()
	for { // the workers drain the queue; this goroutine helps
		select {
		case e := <-b.queue:
			b.keep(e)
			continue
		default:
		}
		break
	}
	close(b.quit)
	b.wg.Wait()
	b.cancel()
	return b.t.Close(ctx)
}

// rename moves an object's chunks on disk.
func (b *behind) rename(from chunk.Key, to chunk.Object) {
	if err := b.t.Rename(from, to.Key); err != nil {
		b.s.log.Warn("an object on disk could not be renamed, its chunks are dropped", "from", from, "to", to.Key, "error", err)
		b.t.Drop(from)
	}
	b.t.Describe(to)
}
