package main

import (
	"time"

	"glimpse/cachestore"
	"glimpse/proxy/ops"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics holds what a node counts. The names are a contract with dashboards.
type metrics struct {
	reg     *prometheus.Registry
	queries *prometheus.HistogramVec
	stale   prometheus.Counter
	http    *prometheus.HistogramVec
	read    *prometheus.CounterVec
	reads   *prometheus.CounterVec
	away    *prometheus.GaugeVec
}

func newMetrics(reg *prometheus.Registry) *metrics {
	m := &metrics{
		reg: reg,
		queries: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "glimpse_registry_query_seconds", Help: "How long the database took.", Buckets: prometheus.ExponentialBuckets(0.0001, 3, 11),
		}, []string{"op"}),
		stale: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "glimpse_registry_stale_total", Help: "Records served from memory while the database was away.",
		}),
		http: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "glimpse_http_request_seconds", Help: "From the request's header to the end of the answer.", Buckets: prometheus.ExponentialBuckets(0.0005, 4, 11),
		}, []string{"route", "code"}),
		read: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "glimpse_origin_read_bytes_total", Help: "Bytes read from an origin store.",
		}, []string{"store", "for"}),
		reads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "glimpse_origin_reads_total", Help: "Reads opened at an origin store.",
		}, []string{"store"}),
	}
	m.away = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "glimpse_store_away", Help: "Servers of a store that keep failing and are left alone.",
	}, []string{"store"})
	reg.MustRegister(m.queries, m.stale, m.http, m.read, m.reads, m.away,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) observeQuery(op string, d time.Duration) {
	m.queries.WithLabelValues(op).Observe(d.Seconds())
}

func (m *metrics) observeStale(string, time.Duration) { m.stale.Inc() }

// watch exports the cache's counters under their names.
func (m *metrics) watch(cache *cachestore.Store, svc *ops.Service) {
	m.reg.MustRegister(cacheCollector{cache, svc})
}
