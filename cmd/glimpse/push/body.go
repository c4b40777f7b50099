package push

import (
	"context"
	"crypto/sha512"
	"errors"
	"hash"
	"io"
	"sync"
	"time"

	"glimpse/cmd/glimpse/imageapi"
)

// answerTimeout is how long the service may take to make all that it was sent
// durable in its store.
const answerTimeout = 10 * time.Minute

var (
	errStalled = imageapi.Errorf(imageapi.Unreachable, "nothing moved in time")
	errOver    = errors.New("these bytes are sent no longer")
)

// body is what is sent. The transport reads it in a goroutine of its own, which goes
// on where the answer came before its end.
type body struct {
	c     Config
	r     io.Reader
	left  int64 // of a file; -1: not known
	timer *time.Timer

	mu    sync.Mutex
	sum   hash.Hash
	n     int64 // bytes that were read
	begun bool
	whole bool // all of it was read
	over  bool // nobody is to read it any more
}

// body begins what is to be sent. stop ends the upload where nothing moves. Who gets
// it ends it.
func (c Config) body(stream io.Reader, stop context.CancelCauseFunc) *body {
	b := &body{c: c, r: stream, left: -1, sum: sha512.New()}
	if c.File != nil {
		b.r, b.left = io.NewSectionReader(c.File, 0, c.Size), c.Size
		b.whole = c.Size == 0
	}
	b.timer = time.AfterFunc(c.Stall, func() { stop(errStalled) })
	return b
}

// Read is for the transport.
func (b *body) Read(p []byte) (int, error) {
	if !b.begin() {
		return 0, errOver
	}
	n, err := b.r.Read(p)
	if !b.took(p[:n], err) {
		return 0, errOver
	}
	b.c.Progress(int64(n))
	if errors.Is(err, io.EOF) && b.left >= 0 && b.sent() < b.left {
		err = io.ErrUnexpectedEOF // it has become shorter
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = imageapi.Wrap(imageapi.Failed, err, "the file can't be read")
	}
	return n, err
}

func (b *body) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.timer.Stop() // the file may be slow
	b.begun = true
	return !b.over
}

func (b *body) took(p []byte, err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return false
	}
	b.sum.Write(p)
	b.n += int64(len(p))
	b.whole = b.n == b.left || b.left < 0 && errors.Is(err, io.EOF)
	wait := b.c.Stall
	if b.whole || err != nil {
		wait = max(wait, answerTimeout)
	}
	b.timer.Reset(wait)
	return true
}

// end has nothing more read, and says whether something was, or is being.
func (b *body) end() (begun bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.timer.Stop()
	b.over = true
	return b.begun
}

// all says whether all of it was read.
func (b *body) all() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.whole
}

func (b *body) sent() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n
}

// digest is the sha512 of what was read.
func (b *body) digest() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sum.Sum(nil)
}

// abandonable is a stream whose reads end with ctx, though a read of a terminal or a
// pipe can't be: who reads it is left behind, and ends with the process.
func abandonable(ctx context.Context, stream io.Reader) io.Reader {
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { r.CloseWithError(context.Cause(ctx)) })
	go func() {
		_, err := io.Copy(w, stream)
		w.CloseWithError(err)
	}()
	return r
}
