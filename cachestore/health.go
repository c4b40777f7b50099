package cachestore

import (
	"errors"
	"log/slog"
	"sync"
	"time"
)

var errStalled = errors.New("a write has taken too long")

// health says whether the disk is worth trying. One error takes it down, loudly
// and once; then one chunk in probeAfter is tried until one gets through.
type health struct {
	log  *slog.Logger
	turn func(down bool) // called without the lock, after each change

	mu    sync.Mutex
	down  bool
	probe time.Time // when the next try is due
}

// due says whether a try would be allowed now.
func (h *health) due() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.down || !time.Now().Before(h.probe)
}

// mayTry says whether a chunk may be written now.
func (h *health) mayTry() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.down {
		return true
	}
	now := time.Now()
	if now.Before(h.probe) {
		return false
	}
	h.probe = now.Add(probeAfter)
	return true
}

// note takes the outcome of a try.
func (h *health) note(err error) {
	h.mu.Lock()
	was := h.down
	h.down = err != nil
	if h.down {
		h.probe = time.Now().Add(probeAfter)
	}
	h.mu.Unlock()
	switch {
	case err != nil && !was:
		h.log.Warn("chunks are served but not kept until the cache disk recovers", "error", err)
		h.turn(true)
	case err == nil && was:
		h.log.Info("the cache disk works again")
		h.turn(false)
	}
}
