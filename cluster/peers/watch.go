package peers

import (
	"context"
	"net/http/httptrace"
	"time"
)

// watch ends an exchange whose peer is silent for too long. It runs from when there
// is a connection, and only while somebody waits for the peer.
type watch struct {
	stall time.Duration
	timer *time.Timer
}

func newWatch(stall time.Duration, end context.CancelCauseFunc) *watch {
	w := &watch{stall: stall, timer: time.AfterFunc(stall, func() { end(errStalled) })}
	w.timer.Stop() // before it can have begun, unless stall is next to nothing
	return w
}

// alive begins anew.
func (w *watch) alive() { w.timer.Reset(w.stall) }

func (w *watch) rest() { w.timer.Stop() }

// trace begins when a connection is there: getting one has its own bound.
func (w *watch) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { w.alive() },
	})
}
