package main

import (
	"log/slog"

	"glimpse/backends"
	"glimpse/cachestore"
	"glimpse/proxy/ops"

	"github.com/prometheus/client_golang/prometheus"
)

// The cache's and the learner's counters, read when somebody asks.
var (
	descSent     = prometheus.NewDesc("glimpse_sent_bytes_total", "Bytes sent to clients, by where they came from.", []string{"tier"}, nil)
	descCache    = prometheus.NewDesc("glimpse_cache_bytes", "Bytes that the cache holds.", []string{"tier"}, nil)
	descEvicted  = prometheus.NewDesc("glimpse_cache_evicted_bytes_total", "Bytes that the cache let go to make room.", []string{"tier"}, nil)
	descFailures = prometheus.NewDesc("glimpse_chunk_verify_failures_total", "Chunks that did not match their digest.", []string{"source"}, nil)
	descNotKept  = prometheus.NewDesc("glimpse_cache_not_kept_bytes_total", "Bytes served but not kept: the disk was full, failing or stalled, or the chunk did not earn a place.", nil, nil)
	descSlabs    = prometheus.NewDesc("glimpse_slabs", "Chunk buffers, by state.", []string{"state"}, nil)
	descFailing  = prometheus.NewDesc("glimpse_cache_disk_failing", "1 while the disk tier can't be written.", nil, nil)
	descLearned  = prometheus.NewDesc("glimpse_learned_images_total", "Images of another's making whose bytes were folded, by what came out.", []string{"result"}, nil)
)

type cacheCollector struct {
	cache *cachestore.Store
	ops   *ops.Service
}

func (c cacheCollector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

func (c cacheCollector) Collect(ch chan<- prometheus.Metric) {
	st := c.cache.Stats()
	emit := func(d *prometheus.Desc, t prometheus.ValueType, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, t, float64(v), labels...)
	}
	for tier, n := range map[string]int64{"memory": st.SentMemory, "disk": st.SentDisk, "peer": st.SentPeer, "origin": st.SentOrigin} {
		emit(descSent, prometheus.CounterValue, n, tier)
	}
	for tier, n := range map[string]int64{"memory": st.MemoryBytes, "disk": st.DiskBytes} {
		emit(descCache, prometheus.GaugeValue, n, tier)
	}
	for tier, n := range map[string]int64{"memory": st.EvictedMemory, "disk": st.EvictedDisk} {
		emit(descEvicted, prometheus.CounterValue, n, tier)
	}
	for source, n := range st.VerifyFailures {
		emit(descFailures, prometheus.CounterValue, n, source)
	}
	for state, n := range map[string]int{"all": st.Slabs, "used": st.SlabsInUse, "dirty": st.SlabsDirty, "waited_for": st.SlabsWaiting} {
		emit(descSlabs, prometheus.GaugeValue, int64(n), state)
	}
	emit(descNotKept, prometheus.CounterValue, st.NotKept)
	failing := int64(0)
	if st.DiskFailing {
		failing = 1
	}
	emit(descFailing, prometheus.GaugeValue, failing)
	learned := c.ops.Stats()
	emit(descLearned, prometheus.CounterValue, learned.Learned, "match")
	emit(descLearned, prometheus.CounterValue, learned.Mismatched, "mismatch")
}

// observeAway tells of servers of a store that are left alone because they keep
// failing.
func (m *metrics) observeAway(id string, log *slog.Logger) func(int) {
	gauge := m.away.WithLabelValues(id)
	return func(change int) {
		gauge.Add(float64(change))
		if change > 0 {
			log.Error("a store keeps failing and is left alone for a while", "store", id)
			return
		}
		log.Info("a store is back", "store", id)
	}
}

// observeStore counts what a store gives.
func (m *metrics) observeStore(id string) backends.Observer {
	reads := m.reads.WithLabelValues(id)
	fill, audit := m.read.WithLabelValues(id, string(backends.ForFill)), m.read.WithLabelValues(id, string(backends.ForAudit))
	return backends.Observer{
		Opened: reads.Inc,
		Read: func(n int, p backends.Purpose) {
			if p == backends.ForAudit {
				audit.Add(float64(n))
				return
			}
			fill.Add(float64(n))
		},
	}
}
