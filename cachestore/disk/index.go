package disk

import (
	"path/filepath"
	"sync"

	"glimpse/cachestore/chunk"
)

const shards = 64

// id names a chunk to the policy.
type id struct {
	h     hash
	index uint32
}

// entry is what is known of a chunk's file.
type entry struct {
	length, gen uint32
	pin         *pin // nil: not opened yet
	state       uint8
	known       bool // digest was read from the trailer, or written
	digest      chunk.Digest
}

const (
	stFound    uint8 = iota // was there at Open, or written, and not read since
	stSuspect               // was there at Open after a stop that was not clean
	stVerified              // has been verified whole
)

// shard is a part of the index.
type shard struct {
	mu      sync.Mutex
	objects map[hash]*object
}

// object is a folder. Its fields are guarded by the shard's lock.
type object struct {
	s       *shard
	h       hash
	chunks  map[uint32]entry
	zeros   map[uint32]struct{}
	lastGen uint32
	about   *chunk.Object // what it is; nil: not known
	users   int           // calls at work on the folder
	made    bool          // the folder and its key file are there
	leaving chan struct{} // not nil: the folder is being removed; closed at the end
}

func (t *Tier) shardOf(h hash) *shard { return &t.shards[h[0]%shards] }

// hold keeps an object's folder from being removed until letGo. It waits while
// an older folder of that name goes. Without make, nil: there is none.
func (t *Tier) hold(h hash, make bool) *object {
	s := t.shardOf(h)
	for {
		s.mu.Lock()
		o := s.objects[h]
		if o != nil && o.leaving != nil {
			wait := o.leaving
			s.mu.Unlock()
			<-wait // bounded: a few removals by the goroutine in letGo
			continue
		}
		if o == nil && make {
			o = newObject(s, h)
			s.objects[h] = o
		}
		if o != nil {
			o.users++
		}
		s.mu.Unlock()
		return o
	}
}

func newObject(s *shard, h hash) *object {
	return &object{s: s, h: h, chunks: map[uint32]entry{}}
}

// letGo ends a hold; the last one removes the folder of an empty object.
func (t *Tier) letGo(o *object) {
	o.s.mu.Lock()
	o.users--
	if o.users > 0 || len(o.chunks) > 0 || len(o.zeros) > 0 {
		o.s.mu.Unlock()
		return
	}
	gone := make(chan struct{})
	o.leaving = gone
	o.s.mu.Unlock()
	dir := o.h.dir(t.root)
	_ = t.fs.Remove(filepath.Join(dir, zerosFile)) // what stays is found and removed at the next Open
	_ = t.fs.Remove(filepath.Join(dir, aboutFile))
	_ = t.fs.Remove(filepath.Join(dir, keyFile))
	_ = t.fs.Remove(dir)
	o.s.mu.Lock()
	delete(o.s.objects, o.h)
	o.s.mu.Unlock()
	close(gone)
}

func (o *object) isZero(index uint32) bool {
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	_, ok := o.zeros[index]
	return ok
}

// Has says what the index knows of a chunk. A zero chunk has no length and no
// file. The digest of a chunk that was found at Open is all 0xff until it is
// first read. It does no I/O.
func (t *Tier) Has(key chunk.Key, index int) (d chunk.Digest, length int, zero, ok bool) {
	h := hashOf(key)
	s := t.shardOf(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[h]
	if o == nil || index < 0 {
		return d, 0, false, false
	}
	if _, zero = o.zeros[uint32(index)]; zero {
		return d, 0, true, true
	}
	e, ok := o.chunks[uint32(index)]
	if ok && !e.known {
		copy(d[:], chunk.NewSegment(1))
		return d, int(e.length), false, true
	}
	return e.digest, int(e.length), false, ok
}
