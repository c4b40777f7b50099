package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"glimpse/registry/image"
)

// bodyReader reads a request's body under deadlines that roll: a client that
// sends something within each stall timeout, and no less than the least rate over
// such a time, lives. It knows a body that ends early, which fasthttp does not
// tell.
type bodyReader struct {
	conn    net.Conn
	stream  io.Reader
	size    int64 // Content-Length; negative: chunked
	stall   time.Duration
	minRate int64
	over    atomic.Bool
	ended   bool // all of it was read
	broken  bool // no more can be read

	got   int64
	spent time.Duration // waiting for the client, in this window
	moved int64         // in this window
}

func newBodyReader(conn net.Conn, stream io.Reader, size int64, stall time.Duration, minRate int64) *bodyReader {
	return &bodyReader{conn: conn, stream: stream, size: size, stall: stall, minRate: minRate}
}

// interrupt ends a Read that waits, and all that follow.
func (b *bodyReader) interrupt() {
	b.over.Store(true)
	_ = b.conn.SetReadDeadline(time.Unix(1, 0))
}

func (b *bodyReader) Read(p []byte) (int, error) {
	start := time.Now()
	if err := b.conn.SetReadDeadline(start.Add(b.stall)); err != nil {
		return 0, bodyCut(err)
	}
	if b.over.Load() { // after the deadline was set: interrupt's may have been overwritten
		return 0, bodyCut(os.ErrDeadlineExceeded)
	}
	n, err := b.stream.Read(p)
	b.got += int64(n)
	b.moved += int64(n)
	b.spent += time.Since(start)
	switch {
	case err == io.EOF: // an error that wraps it is no end
		return n, b.end()
	case err != nil:
		return n, b.failed(err)
	}
	if b.spent >= b.stall {
		if b.moved < int64(b.spent.Seconds()*float64(b.minRate)) {
			return n, image.Errorf(image.Timeout, "The body came too slowly.")
		}
		b.spent, b.moved = 0, 0
	}
	return n, nil
}

func (b *bodyReader) end() error {
	if b.size >= 0 && b.got != b.size {
		return image.Errorf(image.Invalid, "The body ended after %d of %d bytes.", b.got, b.size)
	}
	b.ended = true
	return io.EOF
}

func (b *bodyReader) failed(err error) error {
	b.broken = !b.over.Load()
	if errors.Is(err, os.ErrDeadlineExceeded) && !b.over.Load() {
		return image.Errorf(image.Timeout, "No data came for %s.", b.stall)
	}
	return bodyCut(err)
}

func bodyCut(err error) error {
	return image.Wrap(image.Invalid, err, "The body could not be read to its end.")
}
