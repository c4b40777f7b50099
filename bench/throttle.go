package main

import (
	"context"
	"io"
	"net"
	"sync"

	"golang.org/x/time/rate"
)

// throttle stands before an origin server and gives no more bytes a second than
// it may, so that a node and another client have the same origin to read from.
type throttle struct {
	addr  string // host:port
	dial  func(context.Context) (net.Conn, error)
	total *rate.Limiter // over all connections; nil: no limit
	each  rate.Limit    // of one connection; 0: no limit
	ln    net.Listener
	ctx   context.Context
	end   context.CancelFunc
	wg    sync.WaitGroup
}

// burst is what may come at once: what a timer that is late by some milliseconds
// has to make up for.
const burst = 2 << 20

// throttle starts one at an address before a server that dial reaches; total and
// each are bytes a second, 0 for no limit. It ends with the row.
func (l *lab) throttle(at string, dial func(context.Context) (net.Conn, error), total, each int64) *throttle {
	ln, err := (&net.ListenConfig{}).Listen(l.ctx, "tcp", at)
	if err != nil {
		l.Fatal(err)
	}
	t := &throttle{addr: ln.Addr().String(), dial: dial, each: rate.Limit(each), ln: ln}
	t.ctx, t.end = context.WithCancel(l.ctx)
	if total > 0 {
		t.total = rate.NewLimiter(rate.Limit(total), burst)
	}
	t.wg.Go(t.accept)
	l.Cleanup(t.stop)
	return t
}

func (t *throttle) stop() {
	t.end()
	t.ln.Close()
	t.wg.Wait()
}

func (t *throttle) accept() {
	for {
		conn, err := t.ln.Accept()
		if err != nil {
			return // closed
		}
		t.wg.Go(func() { t.serve(conn) })
	}
}

// serve passes one connection on, until either end closes it.
func (t *throttle) serve(client net.Conn) {
	defer client.Close()
	server, err := t.dial(t.ctx)
	if err != nil {
		return
	}
	defer server.Close()
	stop := context.AfterFunc(t.ctx, func() { client.Close(); server.Close() })
	defer stop()
	t.wg.Go(func() {
		defer server.Close() // the client has left
		_, _ = io.Copy(server, client)
	})
	limits := []*rate.Limiter{t.total}
	if t.each > 0 {
		limits = append(limits, rate.NewLimiter(t.each, burst))
	}
	buf := make([]byte, 256<<10)
	for {
		n, err := server.Read(buf)
		for _, l := range limits {
			if l != nil && l.WaitN(t.ctx, n) != nil {
				return
			}
		}
		if _, werr := client.Write(buf[:n]); werr != nil || err != nil {
			return
		}
	}
}
