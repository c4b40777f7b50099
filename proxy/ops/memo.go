package ops

import (
	"sync"
	"time"
)

// A resolved location changes only when its bytes have been hashed or found bad,
// by this node (which forgets it at once) or by another.
const (
	memoFor  = 5 * time.Second
	memoMost = 10_000
)

// memo remembers resolved locations, by row id.
type memo struct {
	mu struct {
		sync.Mutex
		m map[int64]memoized
	}
}

type memoized struct {
	target
	until time.Time
}

func (c *memo) get(location int64) (target, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.mu.m[location]
	return e.target, ok && time.Now().Before(e.until)
}

// old returns what was remembered, however long ago: it does for while the
// registry is away.
func (c *memo) old(location int64) (target, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.mu.m[location]
	return e.target, ok
}

func (c *memo) put(location int64, t target) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.m == nil || len(c.mu.m) >= memoMost {
		c.mu.m = map[int64]memoized{} // they are found again with one query each
	}
	c.mu.m[location] = memoized{t, time.Now().Add(memoFor)}
}

func (c *memo) forget(location int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.mu.m, location)
}
