package main

import (
	"context"
	"sync/atomic"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"

	"github.com/prometheus/client_golang/prometheus"
)

// counted counts what comes from other nodes, by whether they are in this zone.
type counted struct {
	cluster.Peers
	zone        string
	same, other atomic.Int64 // bytes
}

func (p *counted) OpenRange(ctx context.Context, at ring.Node, q cluster.Ask, off, n int64) (chunk.Stream, error) {
	st, err := p.Peers.OpenRange(ctx, at, q, off, n)
	if err != nil {
		return nil, err
	}
	to := &p.same
	if at.Zone != p.zone {
		to = &p.other
	}
	return &countedStream{st, to}, nil
}

type countedStream struct {
	chunk.Stream
	to *atomic.Int64
}

func (s *countedStream) Hot() bool { return cluster.IsHot(s.Stream) }

func (s *countedStream) Next() (chunk.Piece, error) {
	p, err := s.Stream.Next()
	if err == nil {
		s.to.Add(int64(len(p.Data))) // zeros are not sent
	}
	return p, err
}

// clusterCollector exports what a node sees of its cluster; of a node alone, that
// it is one.
type clusterCollector struct{ c *clusterNode }

var (
	membersDesc     = prometheus.NewDesc("glimpse_members", "Nodes by state, this one too.", []string{"state"}, nil)
	peerReadDesc    = prometheus.NewDesc("glimpse_peer_read_bytes_total", "Bytes read from other nodes.", []string{"zone"}, nil)
	peerAsksDesc    = prometheus.NewDesc("glimpse_peer_failures_total", "Why other nodes were taken to be away.", []string{"why"}, nil)
	refusedDesc     = prometheus.NewDesc("glimpse_peer_refused_total", "What other nodes were refused, by reason.", []string{"why"}, nil)
	askedDesc       = prometheus.NewDesc("glimpse_peer_asks_total", "Asks of owners.", nil, nil)
	hedgeDesc       = prometheus.NewDesc("glimpse_peer_hedges_total", "Asks of owners of which other nodes were asked as well, by why.", []string{"why"}, nil)
	hedgeWonDesc    = prometheus.NewDesc("glimpse_peer_hedges_won_total", "Of them, those in which another node gave the bytes sooner.", []string{"why"}, nil)
	freshDesc       = prometheus.NewDesc("glimpse_uploads_fetched_bytes_total", "Bytes of uploads through other nodes that this node fetched as their owner.", nil, nil)
	freshMissedDesc = prometheus.NewDesc("glimpse_uploads_missed_chunks_total", "Chunks of uploads through other nodes that their nodes did not have.", nil, nil)
	rumorsDesc      = prometheus.NewDesc("glimpse_rumors_total", "Rumours by what became of them.", []string{"what"}, nil)
	lateLooksDesc   = prometheus.NewDesc("glimpse_peer_late_looks_total", "Looks around for what others have that ended before all had answered.", nil, nil)
	silentDesc      = prometheus.NewDesc("glimpse_lease_silent_total", "Nodes that did not say in time that they forgot a record which was written.", nil, nil)
	certDesc        = prometheus.NewDesc("glimpse_cluster_certificate_seconds", "How long this node's certificate is still good.", nil, nil)
	movedDesc       = prometheus.NewDesc("glimpse_handover_bytes_total", "Bytes that moved to a new owner: in from others, out on a drain.", []string{"direction"}, nil)
	savedDesc       = prometheus.NewDesc("glimpse_peer_saved_bytes_total", "Bytes that nodes of other zones did not send, for they packed what they sent.", nil, nil)
	linksDesc       = prometheus.NewDesc("glimpse_edge_links", "Links between nodes of edge zones and others that end here and are up.", nil, nil)
)

// Describe has no fixed set to tell: nodes alone export less.
func (clusterCollector) Describe(chan<- *prometheus.Desc) {}

// Collect reads the counters.
func (c clusterCollector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v int64, label string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), label)
	}
	if c.c == nil {
		gauge(membersDesc, 1, "ready")
		count(peerReadDesc, 0, "same")
		count(peerReadDesc, 0, "other")
		return
	}
	seen := c.c.members.Stats()
	for state, n := range seen.States {
		gauge(membersDesc, float64(n), state)
	}
	count(peerReadDesc, c.c.counted.same.Load(), "same")
	count(peerReadDesc, c.c.counted.other.Load(), "other")
	r := c.c.router.Counts()
	out <- prometheus.MustNewConstMetric(askedDesc, prometheus.CounterValue, float64(r.Asked))
	out <- prometheus.MustNewConstMetric(lateLooksDesc, prometheus.CounterValue, float64(r.LateLooks))
	count(hedgeDesc, r.Hedged, "late")
	count(hedgeDesc, r.Stalled, "stalled")
	count(hedgeWonDesc, r.HedgesWon, "late")
	count(hedgeWonDesc, r.PassedOver, "stalled")
	f := c.c.fresh.Counts()
	out <- prometheus.MustNewConstMetric(freshDesc, prometheus.CounterValue, float64(f.Bytes))
	out <- prometheus.MustNewConstMetric(freshMissedDesc, prometheus.CounterValue, float64(f.Missed))
	u := c.c.rumors.Stats()
	for what, n := range map[string]uint64{
		"told": u.Told, "heard": u.Heard, "repeated": u.Repeated, "garbled": u.Garbled, "too many": u.TooMany, "unheard": u.Unheard + uint64(f.Dropped),
	} {
		count(rumorsDesc, int64(n), what)
	}
	count(movedDesc, c.c.handover.Taken(), "in")
	count(movedDesc, c.c.handover.Given(), "out")
	p := c.c.peers.Counts()
	out <- prometheus.MustNewConstMetric(savedDesc, prometheus.CounterValue, float64(p.Saved))
	gauge(linksDesc, float64(c.c.far.Links()))
	for why, n := range map[string]int64{
		"unreached": p.Unreached, "refused": p.Refused, "stalled": p.Stalled, "slow": p.Slow, "broken": p.Broken, "garbage": p.Garbage, "damaged": p.Damaged, "digest": r.Wrong,
	} {
		count(peerAsksDesc, n, why)
	}
	s := c.c.server.Counts()
	for why, n := range map[string]int64{
		"busy": s.Busy, "connections": s.Crowded, "certificate": s.Refused, "bad ask": s.Bad, "no request": s.Cut, "node list": c.c.far.Garbled(),
		"same id": int64(seen.Conflicts), "node description": int64(seen.BadMeta),
		"label": int64(seen.WrongLabel), "no label": int64(seen.NoLabel), "gossip flood": int64(seen.Overrun), "gossip key": int64(seen.WrongKey), "garbled gossip": int64(seen.Garbled),
	} {
		count(refusedDesc, n, why)
	}
	out <- prometheus.MustNewConstMetric(silentDesc, prometheus.CounterValue, float64(c.c.silent.Load()))
	if c.c.identity != nil {
		gauge(certDesc, c.c.identity.Left().Seconds())
	}
}

func (m *metrics) watchCluster(c *clusterNode) { m.reg.MustRegister(clusterCollector{c}) }
