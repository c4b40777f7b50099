package cachestore

import (
	"hash/maphash"
	"sync/atomic"
)

// heatSlots counters of four bytes tell which disk chunks are read often, by hash.
// heatDecay hits halve them all, so that old reads fade.
const (
	heatSlots = 1 << 12
	heatDecay = heatSlots
)

// heat counts recent reads of disk chunks, roughly.
type heat struct {
	slot [heatSlots]atomic.Uint32
	hits atomic.Uint32
}

// hit counts a read and returns how many there were lately.
func (h *heat) hit(seed maphash.Seed, k id) uint32 {
	if h.hits.Add(1)%heatDecay == 0 {
		for i := range h.slot {
			h.slot[i].Store(h.slot[i].Load() / 2)
		}
	}
	return h.slot[maphash.Comparable(seed, k)%heatSlots].Add(1)
}
