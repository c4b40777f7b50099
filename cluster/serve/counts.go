package serve

import "sync/atomic"

// Counts are the server's counters since its start.
type Counts struct {
	Asks    int64 // streams, stats and drops that were taken on
	Bytes   int64 // of chunks that were sent
	Waits   int64 // waiting frames
	Gone    int64 // streams whose asker left or took no bytes
	Failed  int64 // that were answered with an error
	Busy    int64 // turned away for want of a place
	Crowded int64 // connections over the bound
	Refused int64 // no certificate or a wrong one, another node's name
	Bad     int64 // asks that make no sense
	Cut     int64 // connections that sent something and never came to a whole request
}

type counters struct {
	asks, bytes, waits, gone, failed, busy, crowded, refused, bad, cut atomic.Int64
}

// Counts returns the counters as they are now.
func (s *Server) Counts() Counts {
	c := &s.counts
	return Counts{
		Asks: c.asks.Load(), Bytes: c.bytes.Load(), Waits: c.waits.Load(), Gone: c.gone.Load(), Failed: c.failed.Load(),
		Busy: c.busy.Load(), Crowded: c.crowded.Load(), Refused: c.refused.Load(), Bad: c.bad.Load(), Cut: c.cut.Load(),
	}
}
