package proxy

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"glimpse/cachestore/chunk"
)

// sender is a download's body. fasthttp calls WriteTo once the header is out;
// the bytes go straight to the connection. Close ends its goroutine.
type sender struct {
	s      *Server
	body   chunk.Body
	out    *connWriter
	size   int64
	cancel context.CancelFunc
	once   sync.Once
	stop   chan struct{} // closed by Close
	gone   chan struct{} // closed when the watcher has ended

	// For the log.
	requestID, image string
	start            time.Time
}

func (r *request) newSender(b chunk.Body, size int64, imageID string, cancel context.CancelFunc) *sender {
	d := &sender{
		s: r.s, body: b, size: size, cancel: cancel, requestID: r.id, image: imageID, start: time.Now(),
		out:  newConnWriter(r.http.Conn(), r.s.cfg.StallTimeout, r.s.cfg.MinRate),
		stop: make(chan struct{}), gone: make(chan struct{}),
	}
	r.s.active.Add(1)
	go d.watch()
	return d
}

// SupportsBodyWriteTo tells fasthttp to call WriteTo.
func (d *sender) SupportsBodyWriteTo() bool { return true }

// WriteTo sends the body past fasthttp's buffer, which is empty: the header was
// flushed. A body that ends early is an error, upon which the connection is cut.
func (d *sender) WriteTo(io.Writer) (int64, error) {
	n, err := d.body.WriteTo(d.out)
	if err == nil && n != d.size {
		err = fmt.Errorf("the body ended at %d of %d bytes", n, d.size)
	}
	level := d.s.cfg.Log.Debug
	if err != nil {
		level = d.s.cfg.Log.Warn
	}
	level("download", "request_id", d.requestID, "image", d.image, "bytes", n, "of", d.size, "took", time.Since(d.start).Round(time.Millisecond), "error", err)
	return n, err
}

func (d *sender) Read(p []byte) (int, error) { return d.body.Read(p) }

// Close ends the body's waits and the watcher.
func (d *sender) Close() error {
	d.once.Do(func() {
		close(d.stop)
		d.cancel()
		<-d.gone
		d.body.Close()
		d.s.active.Done()
	})
	return nil
}

// watchEvery is how often it is looked whether the client has gone, which
// nothing else tells while the body waits for bytes.
const watchEvery = time.Second

// watch ends the body's waits when the client hangs up.
func (d *sender) watch() {
	defer close(d.gone)
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for before := int64(-1); ; {
		select {
		case <-d.stop:
			return
		case <-t.C:
		}
		now := d.out.sent.Load()
		if d.out.hungUp(now == before) {
			d.cancel()
			_ = d.out.conn.SetWriteDeadline(time.Unix(1, 0))
			return
		}
		before = now
	}
}
