package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"glimpse/cluster/wire"
)

var errClosed = errors.New("the stream is closed")

var buffers = sync.Pool{New: func() any { return new([wire.FrameBytes]byte) }}

// exchange is one ask and what comes back. It holds a place from begin to end.
type exchange struct {
	at     *peer
	ctx    context.Context // the caller's
	in     context.Context // its own
	cancel context.CancelCauseFunc
	unbase func() bool
	give   func()
	watch  *watch
	tell   func(error) // the breaker
	body   io.ReadCloser
	buf    *[wire.FrameBytes]byte
	began  time.Time // of the frame that is being read
}

func (at *peer) begin(ctx context.Context, places chan struct{}) (*exchange, error) {
	give, err := at.take(ctx, places)
	if err != nil {
		return nil, err
	}
	tell, err := at.breaker.Allow()
	if err != nil {
		give()
		at.p.counts.leftAlone.Add(1)
		return nil, at.away("it has failed just now and is left alone")
	}
	x := &exchange{at: at, ctx: ctx, give: give, tell: tell, buf: buffers.Get().(*[wire.FrameBytes]byte)}
	x.in, x.cancel = context.WithCancelCause(ctx)
	x.unbase = context.AfterFunc(at.p.base, func() { x.cancel(errLeft) })
	x.watch = newWatch(at.p.cfg.Stall, x.cancel)
	return x, nil
}

// end closes the connection, unless the answer came to its end, and gives the place
// back. Nobody reads any more.
func (x *exchange) end() {
	x.cancel(errClosed)
	x.watch.rest()
	x.unbase()
	if x.body != nil {
		x.body.Close()
	}
	x.give()
}

// reuse gives the buffer back.
func (x *exchange) reuse() {
	buffers.Put(x.buf)
	x.buf = nil
}

func (x *exchange) verdict(err error) error { return x.at.verdict(x.ctx, x.in, x.tell, err) }

// later tells the breaker of a stream that failed after it was opened.
func (at *peer) later(err error) {
	if err == nil || errors.Is(err, errLeft) {
		return
	}
	if tell, no := at.breaker.Allow(); no == nil {
		tell(err)
	}
}

// open sends an ask and waits until the range is open. hot: several nodes ask for it.
func (x *exchange) open(a wire.Ask) (hot bool, err error) {
	f, err := x.first(wire.Open, a, wire.Opened)
	return err == nil && f.Hot(), err
}

// call sends an ask and waits for all of its answer, which lies in the buffer.
func (x *exchange) call(path string, a wire.Ask) ([]byte, error) {
	f, err := x.first(path, a, wire.Answer)
	if err == nil {
		err = x.last(nil)
	}
	return f.Data(), err
}

// first sends an ask and returns the first frame that counts.
func (x *exchange) first(path string, a wire.Ask, want wire.Type) (wire.Frame, error) {
	defer x.watch.rest()
	body, err := x.at.ask(x.in, x.watch, path, a)
	if err != nil {
		return wire.Frame{}, err
	}
	x.body = body
	f, err := x.frame()
	switch {
	case err != nil:
		return f, err
	case f.Type == wire.Error:
		return f, x.last(f.Err())
	case f.Type != want:
		return f, fmt.Errorf("%w: frame %d comes first", wire.ErrGarbage, f.Type)
	}
	return f, nil
}

// frame reads the next frame that is not there to be passed over.
func (x *exchange) frame() (wire.Frame, error) {
	var idle idleness
	for {
		x.began = time.Now()
		f, err := wire.Read((*progress)(x), x.buf[:])
		switch {
		case errors.Is(err, io.EOF):
			return f, io.ErrUnexpectedEOF // an answer ends with a frame that says so
		case err != nil:
			return f, err
		case f.Type != wire.Waiting && f.Type < wire.Skippable:
			return f, nil
		case !idle.bearable(x.began):
			return f, fmt.Errorf("%w: a flood of empty frames", wire.ErrGarbage)
		case f.Type == wire.Waiting:
			x.at.p.counts.waits.Add(1)
		}
	}
}

// last returns what the last frame said, once nothing has followed it; that also
// lets the connection be used again. One that breaks here has done its work.
func (x *exchange) last(said error) error {
	var b [1]byte
	if n, _ := (*progress)(x).Read(b[:]); n > 0 {
		return fmt.Errorf("%w: bytes behind the end", wire.ErrGarbage)
	}
	return said
}

// progress reads the answer and notes that it goes on.
type progress exchange

func (x *progress) Read(b []byte) (int, error) {
	n, err := x.body.Read(b)
	if n > 0 {
		x.watch.alive()
		if time.Since(x.began) > x.at.p.cfg.Slow {
			return n, errSlow
		}
	}
	return n, err
}

// idleness bounds empty frames: a waiting peer sends five a second.
type idleness struct {
	since time.Time
	n     int
}

func (i *idleness) bearable(now time.Time) bool {
	if i.n == 0 {
		i.since = now
	}
	i.n++
	return i.n <= 32+int(now.Sub(i.since)/(50*time.Millisecond))
}
