package peers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/wire"
)

// Counts are the client's counters since its start.
type Counts struct {
	Asks  int64 // sent, over all peers
	Bytes int64 // of chunks that arrived and were right
	Saved int64 // bytes that did not have to be sent, for they came packed
	Waits int64 // waiting frames
	Busy  int64 // asks that a full peer put off

	// What made a peer count as away, by kind.
	Unreached int64 // no connection
	Refused   int64 // no handshake, another node's certificate, an ask that it does not take
	Stalled   int64 // neither bytes nor a waiting frame
	Slow      int64 // a group of bytes that took too long
	Broken    int64 // a connection that broke
	Garbage   int64 // bytes that make no sense, in the wrong order, too many, too few
	Damaged   int64 // wrong checksum
	LeftAlone int64 // it had failed just before
}

type counters struct {
	asks, bytes, saved, waits, busy                                        atomic.Int64
	unreached, refused, stalled, slow, broken, garbage, damaged, leftAlone atomic.Int64
}

// Counts returns the counters as they are now.
func (p *Peers) Counts() Counts {
	c := &p.counts
	return Counts{
		Asks: c.asks.Load(), Bytes: c.bytes.Load(), Saved: c.saved.Load(), Waits: c.waits.Load(), Busy: c.busy.Load(),
		Unreached: c.unreached.Load(), Refused: c.refused.Load(), Stalled: c.stalled.Load(), Slow: c.slow.Load(),
		Broken: c.broken.Load(), Garbage: c.garbage.Load(), Damaged: c.damaged.Load(), LeftAlone: c.leftAlone.Load(),
	}
}

var (
	errStalled = errors.New("neither bytes nor a sign of life")
	errSlow    = errors.New("its bytes come too slowly")
)

// verdict turns what an ask or a stream failed with into what the caller gets to
// hear, counts it, and tells the breaker. in is the context of the exchange, ctx
// the caller's.
func (at *peer) verdict(ctx, in context.Context, tell func(error), err error) error {
	c := &at.p.counts
	count := func(n *atomic.Int64, f fault) error {
		n.Add(1)
		at.complain(f, err)
		err := at.away("%v", err)
		tell(err)
		return err
	}
	switch cause := context.Cause(in); {
	case ctx.Err() != nil:
		tell(errLeft)
		return ctx.Err()
	case at.p.base.Err() != nil:
		tell(errLeft)
		return at.away("this node stops")
	case errors.Is(cause, errStalled):
		err = cause
		return count(&c.stalled, stalls)
	case errors.Is(cause, errClosed):
		tell(errLeft)
		return errClosed
	}
	var (
		no       refusal
		rejected rejection
		alert    tls.AlertError
		away     nowhere
	)
	switch {
	case errors.Is(err, errSlow):
		return count(&c.slow, dribbles)
	case errors.Is(err, wire.ErrSum):
		return count(&c.damaged, damages)
	case errors.Is(err, wire.ErrGarbage):
		return count(&c.garbage, babbles)
	case errors.Is(err, cluster.ErrUnknown):
		tell(nil)
		return fmt.Errorf("node %s at %s: %w", at.id, at.addr, cluster.ErrUnknown)
	case errors.Is(err, wire.ErrGeometry), errors.As(err, &rejected):
		c.refused.Add(1)
		at.complain(refuses, err)
		tell(nil) // it is there
		return at.away("%v", err)
	case errors.As(err, &no), errors.As(err, &alert):
		return count(&c.refused, refuses)
	case errors.As(err, &away):
		return count(&c.unreached, unreached)
	case answered(err):
		tell(nil)
		return err
	default:
		return count(&c.broken, breaks)
	}
}

// answered: errors that a peer has sent show that it is there.
func answered(err error) bool {
	for _, e := range []error{
		cluster.ErrCannot, cluster.ErrNotResident, chunk.ErrChanged, chunk.ErrNotFound, chunk.ErrCorrupt, chunk.ErrRange, chunk.ErrUnavailable,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	var other *cluster.AskOther
	return errors.As(err, &other)
}
