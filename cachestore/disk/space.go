package disk

import (
	"path/filepath"
	"sync"
	"time"

	"glimpse/cachestore/chunk"
)

const (
	// limitEvery is how old the file system's free space may be; one disk writes
	// a few GB in that time, less than the share that is kept free.
	limitEvery = time.Second
	probeEvery = 5 * time.Second // how long a failing disk is left alone
	maxVictims = 64              // evictions for one reservation
)

// space is the account of the disk.
type space struct {
	mu              sync.Mutex
	bytes, reserved int64
	limit           int64
	measured        time.Time
	degraded        bool
	probe           time.Time // when a failing disk is tried again
	unclean         bool
}

// pin counts who has a chunk open; guarded by space.mu.
type pin struct {
	n    int
	gone bool // unlinked: the last Close gives back the bytes
	cost int64
}

// Reserve promises space for a chunk of n bytes, evicting others if it must. It
// refuses when that is not enough or the disk fails. Write uses the promise up;
// Release gives it back.
func (t *Tier) Reserve(n int) bool {
	if t.closed.Load() || !t.healthy() {
		return false
	}
	t.measure()
	c := cost(n)
	for range maxVictims {
		if t.take(c) {
			return true
		}
		if !t.evictOne() {
			return false
		}
	}
	return t.take(c)
}

// Release gives back a reservation that Write did not get.
func (t *Tier) Release(n int) { t.account(0, -cost(n)) }

func (t *Tier) take(c int64) bool {
	t.space.mu.Lock()
	defer t.space.mu.Unlock()
	if t.space.bytes+t.space.reserved+c > t.space.limit {
		return false
	}
	t.space.reserved += c
	return true
}

func (t *Tier) account(bytes, reserved int64) {
	t.space.mu.Lock()
	t.space.bytes += bytes
	t.space.reserved = max(0, t.space.reserved+reserved)
	t.space.mu.Unlock()
}

// measure renews the limit from the file system's free space.
func (t *Tier) measure() {
	t.space.mu.Lock()
	if time.Since(t.space.measured) < limitEvery {
		t.space.mu.Unlock()
		return
	}
	t.space.measured = time.Now()
	t.space.mu.Unlock()
	free, total, err := t.fs.Free(t.root)
	if err != nil {
		t.failed(err)
		return
	}
	t.space.mu.Lock()
	keep := int64(t.cfg.MinFree * float64(total))
	t.space.limit = min(t.cfg.Size, t.space.bytes+free-keep)
	t.space.mu.Unlock()
}

// failed takes the tier down, loudly and once.
func (t *Tier) failed(err error) {
	t.count.writeErrors.Add(1)
	t.space.mu.Lock()
	was := t.space.degraded
	t.space.degraded, t.space.probe = true, time.Now().Add(probeEvery)
	t.space.mu.Unlock()
	if !was {
		t.log.Error("the cache disk fails: nothing is written to it until it recovers", "path", t.root, "error", err)
	}
}

// healthy says whether the disk may be written to; a failing one is tried first
// when its time has come.
func (t *Tier) healthy() bool {
	t.space.mu.Lock()
	if !t.space.degraded {
		t.space.mu.Unlock()
		return true
	}
	if time.Now().Before(t.space.probe) {
		t.space.mu.Unlock()
		return false
	}
	t.space.probe = time.Now().Add(probeEvery)
	t.space.mu.Unlock()
	if t.tryDisk() != nil {
		return false
	}
	t.space.mu.Lock()
	t.space.degraded, t.space.measured = false, time.Time{}
	t.space.mu.Unlock()
	t.log.Info("the cache disk works again", "path", t.root)
	return true
}

// tryDisk makes the folder again if it is gone, and writes a small file.
func (t *Tier) tryDisk() error {
	if err := t.fs.MkdirAll(t.root); err != nil {
		return err
	}
	name := filepath.Join(t.root, t.tmpName())
	f, err := t.fs.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, page))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if rerr := t.fs.Remove(name); err == nil {
		err = rerr
	}
	return err
}

// Admit says whether a chunk is worth a place: always while there is room, and
// when the disk is full only if it was refused before, not long ago.
func (t *Tier) Admit(key chunk.Key, index int) bool {
	t.space.mu.Lock()
	room := t.space.bytes+t.space.reserved+cost(int(t.cfg.Geometry.Chunk)) <= t.space.limit
	t.space.mu.Unlock()
	if room {
		return true
	}
	t.polMu.Lock()
	defer t.polMu.Unlock()
	return t.pol.Admit(id{hashOf(key), uint32(index)})
}

// Touch notes a use of a chunk.
func (t *Tier) Touch(key chunk.Key, index int) {
	t.polMu.Lock()
	defer t.polMu.Unlock()
	t.pol.Touch(id{hashOf(key), uint32(index)})
}

// evictOne removes the chunk that is worth least.
func (t *Tier) evictOne() bool {
	var victim *object
	var e entry
	t.polMu.Lock()
	k, ok := t.pol.Evict(func(k id) bool {
		var gone bool
		victim, e, gone = t.tryEvict(k)
		return gone
	})
	t.polMu.Unlock()
	if !ok || victim == nil {
		return ok // a key without a chunk: the next one may do
	}
	t.count.evicted.Add(cost(int(e.length)))
	t.unlink(victim, k.index, e)
	t.letGo(victim)
	return true
}

func (t *Tier) tryEvict(k id) (o *object, e entry, gone bool) {
	s := t.shardOf(k.h)
	s.mu.Lock()
	defer s.mu.Unlock()
	o = s.objects[k.h]
	if o == nil || o.leaving != nil {
		return nil, e, true
	}
	e, ok := o.chunks[k.index]
	if !ok {
		return nil, e, true
	}
	if t.pinned(e) {
		return nil, e, false
	}
	delete(o.chunks, k.index)
	o.users++
	return o, e, true
}

func (t *Tier) pinned(e entry) bool {
	t.space.mu.Lock()
	defer t.space.mu.Unlock()
	return e.pin != nil && e.pin.n > 0
}
