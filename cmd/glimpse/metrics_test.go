package main

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// The names are a contract with dashboards.
func TestTheMetricsHaveTheirNames(t *testing.T) {
	m := newMetrics(prometheus.NewRegistry())
	m.observeQuery("get", 1)
	m.watchCluster(nil)
	m.observeStore("main").Opened()
	m.http.WithLabelValues("r", "200").Observe(1)
	families, err := m.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	all := strings.Join(names, " ")
	for _, want := range []string{
		"glimpse_origin_read_bytes_total", "glimpse_origin_reads_total", "glimpse_peer_read_bytes_total", "glimpse_registry_query_seconds",
		"glimpse_http_request_seconds", "glimpse_members",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%s is missing", want)
		}
	}
	var described []string
	for _, d := range []*prometheus.Desc{descSent, descCache, descEvicted, descFailures} {
		described = append(described, d.String())
	}
	for _, want := range []string{"glimpse_sent_bytes_total", "glimpse_cache_bytes", "glimpse_cache_evicted_bytes_total", "glimpse_chunk_verify_failures_total"} {
		if !strings.Contains(strings.Join(described, " "), want) {
			t.Errorf("%s is missing", want)
		}
	}
}
