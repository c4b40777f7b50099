package push

import (
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync/atomic"
	"time"

	"glimpse/cmd/glimpse/imageapi"
)

// Config is what a push is made of.
type Config struct {
	Session    *imageapi.Session
	Nodes      []imageapi.Node // the nearest first, at least one
	Attributes map[string]any  // of the image; "id" may be among them
	Store      string          // "": the default store
	Stall      time.Duration   // an upload of which nothing moves for so long is given up
	Progress   func(bytes int64)

	// The bytes: a file, from its beginning, or a stream.
	File   io.ReaderAt // nil: Stream
	Size   int64       // of the file
	Stream io.Reader
}

const (
	tries         = 3
	removeTimeout = 15 * time.Second
	// answerTimeout is how long the service may take to make all that it was sent
	// durable in its store.
	answerTimeout = 10 * time.Minute
)

// Run returns the image, and what its bytes were compared by; "": its record has no
// hash.
func (c Config) Run(ctx context.Context) (imageapi.Image, string, error) {
	for try := 0; ; try++ {
		m, err := c.Session.Create(ctx, c.Attributes)
		if err != nil {
			return m, "", err
		}
		proof, err := c.once(ctx, &m, c.Nodes[try%len(c.Nodes)])
		if err == nil {
			return m, proof, nil
		}
		if rerr := c.remove(ctx, m.ID); rerr != nil {
			return m, "", fmt.Errorf("%w; and image %s could not be removed: %w", err, m.ID, rerr)
		}
		_, named := c.Attributes["id"] // which stays taken
		if ctx.Err() != nil || named || c.File == nil || try == tries-1 || imageapi.CodeOf(err) != imageapi.Unreachable {
			return m, "", err
		}
	}
}

func (c Config) remove(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	if err := c.Session.Delete(ctx, id); imageapi.CodeOf(err) != imageapi.NotFound {
		return err
	}
	return nil
}

// once uploads through a node and looks at what became of it.
func (c Config) once(ctx context.Context, m *imageapi.Image, n imageapi.Node) (string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	b := &body{c: c, left: -1, sum: sha512.New()}
	if c.File != nil {
		b.r, b.left = io.NewSectionReader(c.File, 0, c.Size), c.Size
	} else {
		b.r = abandonable(ctx, c.Stream)
	}
	b.timer = time.AfterFunc(c.Stall, func() { cancel(errStalled) })
	defer b.timer.Stop()
	err := c.Session.Upload(ctx, n.Base, m.ID, c.Store, b, b.left)
	if err != nil {
		c.Progress(-b.sent())
		return "", err
	}
	if *m, err = c.Session.Show(ctx, m.ID); err != nil {
		return "", err
	}
	return c.compare(*m, b)
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

var errStalled = imageapi.Errorf(imageapi.Unreachable, "nothing moved in time")

// compare looks whether the record tells of the bytes that were sent.
func (c Config) compare(m imageapi.Image, b *body) (string, error) {
	if m.Size == nil || *m.Size != b.sent() {
		return "", imageapi.Errorf(imageapi.Wrong, "%d bytes were sent, and the record does not say so", b.sent())
	}
	p := imageapi.NewProof(m)
	switch {
	case p.Algo == "sha512":
		return p.Algo, p.Compare(b.sum.Sum(nil))
	case p.Idle() || c.File == nil:
		return "", nil
	}
	if _, err := io.Copy(p, io.NewSectionReader(c.File, 0, c.Size)); err != nil {
		return "", err
	}
	return p.Conclude()
}

// body is what is sent. The transport reads it in a goroutine of its own, which has
// ended when the upload was answered well.
type body struct {
	c     Config
	r     io.Reader
	left  int64 // of a file; -1: not known
	sum   hash.Hash
	timer *time.Timer
	n     atomic.Int64
}

func (b *body) sent() int64 { return b.n.Load() }

func (b *body) Read(p []byte) (int, error) {
	b.timer.Stop() // the file may be slow
	n, err := b.r.Read(p)
	b.sum.Write(p[:n])
	b.n.Add(int64(n))
	b.c.Progress(int64(n))
	wait := b.c.Stall
	if err != nil || b.n.Load() == b.left {
		wait = max(wait, answerTimeout)
	}
	b.timer.Reset(wait)
	if errors.Is(err, io.EOF) && b.left >= 0 && b.n.Load() < b.left {
		err = io.ErrUnexpectedEOF // it has become shorter
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = imageapi.Wrap(imageapi.Failed, err, "the file can't be read")
	}
	return n, err
}
