package cachestore

import "sync/atomic"

// tierName says where bytes came from.
type tierName uint8

const (
	tierMemory tierName = iota
	tierDisk
	tierPeer
	tierOrigin
	tiers
)

func (t tierName) String() string {
	return [tiers]string{"memory", "disk", "peer", "origin"}[t]
}

// Stats are the store's counters since its start, and its gauges.
type Stats struct {
	// Bytes sent to readers, by where they came from. Peer and origin are bytes
	// that the reader had to wait for.
	SentMemory, SentDisk, SentPeer, SentOrigin int64
	MemoryBytes, DiskBytes                     int64 // resident now
	EvictedMemory, EvictedDisk                 int64 // bytes
	// VerifyFailures counts chunks with wrong bytes, by source: memory, disk, peer,
	// origin.
	VerifyFailures map[string]int64
	// NotKept counts bytes that were served but did not get to the disk, which was
	// full, failing or stalled.
	NotKept      int64
	Slabs        int // chunk buffers in all
	SlabsInUse   int // of them not empty
	SlabsDirty   int // of them waiting for the disk
	SlabsWaiting int // requests that wait for a buffer
	DiskFailing  bool
}

type counters struct {
	sent    [tiers]atomic.Int64
	failed  [tiers]atomic.Int64
	notKept atomic.Int64
}

func (c *counters) sentBy(t tierName) *atomic.Int64 { return &c.sent[t] }
func (c *counters) verifyFailed(t tierName)         { c.failed[t].Add(1) }

// Stats returns the counters and gauges as they are now.
func (s *Store) Stats() Stats {
	st := Stats{
		SentMemory: s.stats.sent[tierMemory].Load(), SentDisk: s.stats.sent[tierDisk].Load(),
		SentPeer: s.stats.sent[tierPeer].Load(), SentOrigin: s.stats.sent[tierOrigin].Load(),
		MemoryBytes: s.mem.bytes.Load(), EvictedMemory: s.mem.evicted.Load(),
		NotKept: s.stats.notKept.Load(), Slabs: s.pool.total, SlabsInUse: s.pool.inUse(),
		SlabsWaiting:   int(s.pool.waiting.Load()),
		VerifyFailures: map[string]int64{},
	}
	for t := range tiers {
		st.VerifyFailures[t.String()] = s.stats.failed[t].Load()
	}
	s.pool.mu.Lock()
	st.SlabsDirty, st.DiskFailing = s.pool.dirty, s.pool.diskDown
	s.pool.mu.Unlock()
	if s.disk != nil {
		st.DiskBytes, st.EvictedDisk = s.disk.t.Bytes()
	}
	return st
}
