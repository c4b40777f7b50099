package source

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
)

const (
	hotFor   = 10 * time.Second // within which two make an extent hot, and how long it stays so
	mostHeat = 4096             // extents of which it is known, here and of others each
)

// heat knows which extents are wanted often: what this node sees of its own
// clients, what owners tell it, and what other nodes ask of it as an owner. What
// was not wanted for longest is forgotten first.
type heat struct {
	mu    sync.Mutex
	here  *simplelru.LRU[spot, warmth]
	asked *simplelru.LRU[place, askers]
}

// spot is an extent.
type spot struct {
	key    chunk.Key
	extent int
}

// warmth is when an extent was wanted here: by the last two responses to clients;
// and when its owner said that it is hot.
type warmth struct{ last, before, told time.Time }

// askers are the last two different nodes that asked for an extent.
type askers struct{ last, before asker }

type asker struct {
	id string
	at time.Time
}

func newHeat() heat {
	return heat{here: newLRU[spot, warmth](mostHeat), asked: newLRU[place, askers](mostHeat)}
}

// newLRU is a map of at most n entries.
func newLRU[K comparable, V any](n int) *simplelru.LRU[K, V] {
	l, err := simplelru.NewLRU[K, V](n, nil)
	if err != nil {
		panic(err) // n is not positive
	}
	return l
}

// Seen notes that a response to a client of this node has come to an extent.
func (r *Router) Seen(o chunk.Object, extent int) {
	h, s := &r.heat, spot{o.Key, extent}
	h.mu.Lock()
	defer h.mu.Unlock()
	w, _ := h.here.Get(s)
	w.last, w.before = time.Now(), w.last
	h.here.Add(s, w)
}

// Hot says whether this node does well to keep a copy of an extent that another
// one owns: two responses to its clients came to it within ten seconds, or the
// owner says that two nodes ask for it. It does not block.
func (r *Router) Hot(o chunk.Object, extent int) bool {
	h := &r.heat
	h.mu.Lock()
	defer h.mu.Unlock()
	w, ok := h.here.Peek(spot{o.Key, extent})
	return ok && (w.last.Sub(w.before) <= hotFor && time.Since(w.last) <= hotFor || time.Since(w.told) <= hotFor)
}

// tell notes that an extent's owner says that it is hot.
func (h *heat) tell(s spot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w, _ := h.here.Get(s)
	w.told = time.Now()
	h.here.Add(s, w)
}

// ask notes that a node asks for an extent as of its owner, and says whether
// another one did so lately.
func (h *heat) ask(p place, id string) (hot bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a, _ := h.asked.Get(p)
	if a.last.id != id {
		a.before = a.last
	}
	a.last = asker{id, time.Now()}
	h.asked.Add(p, a)
	return a.before.id != "" && time.Since(a.before.at) <= hotFor
}

// heed takes up what an owner's answer says of its extent.
func (r *Router) heed(o chunk.Object, off int64, st chunk.Stream) {
	if cluster.IsHot(st) {
		g := r.c.Geometry
		r.heat.tell(spot{o.Key, g.ExtentOf(g.Index(off))})
	}
}
