package pull

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"glimpse/cmd/glimpse/imageapi"

	"golang.org/x/sync/errgroup"
	"lukechampine.com/blake3"
)

// mostChunks is what one request asks for at most, on borders that are those of
// ownership in a cluster of the usual geometry. Where less is wanted it is a part of
// that, so that every connection has something to do from the beginning.
const mostChunks = 16

func perRequest(wanted, streams int) int {
	n := mostChunks
	for n > 1 && n*2*streams > wanted {
		n /= 2
	}
	return n
}

// chunkwise is a pull by chunks into a part file.
type chunkwise struct {
	Config
	board *board
	pool  *pool
	part  *part
	bufs  sync.Pool

	fetched atomic.Int64
	wrong   atomic.Int64
	failed  atomic.Int64
}

// chunksToFile fetches what is missing while it hashes what is there, in order.
func (c Config) chunksToFile(ctx context.Context, p *part) (r Report, err error) {
	want, kept, err := p.missing(ctx, c.Manifest, c.Progress)
	if err != nil {
		return r, err
	}
	wanted := 0
	for _, w := range want {
		if w {
			wanted++
		}
	}
	streams := max(c.Streams, 1)
	k := &chunkwise{Config: c, part: p, pool: newPool(c.Nodes, c.Use), board: newBoard(want, perRequest(wanted, streams))}
	k.bufs.New = func() any { b := make([]byte, c.Manifest.Chunk); return &b }
	g, gctx := errgroup.WithContext(ctx)
	for range min(streams, max(wanted, 1)) {
		g.Go(func() error { return k.work(gctx) })
	}
	var proof string
	g.Go(func() (err error) {
		proof, err = k.hash(gctx)
		return err
	})
	err = g.Wait()
	r = Report{
		Size: c.size(), Fetched: k.fetched.Load(), Kept: kept, Wrong: int(k.wrong.Load()), Failed: int(k.failed.Load()), Nodes: len(k.pool.givers()), Proof: proof,
	}
	if err != nil {
		if errors.Is(err, imageapi.ErrHash) {
			p.forget() // all its chunks are right, and yet it is not the image
		}
		return r, err
	}
	return r, p.finish()
}

// work fetches runs until all is done.
func (k *chunkwise) work(ctx context.Context) error {
	for {
		r, avoid, err := k.board.take(ctx)
		if r == nil {
			return err
		}
		err = k.one(ctx, r, avoid)
		k.board.leave(r)
		if err != nil {
			return err
		}
	}
}

// one fetches a run from some node. An error ends the pull: other nodes can't help.
func (k *chunkwise) one(ctx context.Context, r *run, avoid shunned) error {
	within, cancel := context.WithTimeoutCause(ctx, max(100*time.Millisecond, k.GiveUp-k.board.idle()), errIdle)
	n, err := k.pool.pick(within, avoid)
	cancel()
	if err != nil {
		if errors.Is(err, errIdle) {
			err = k.pool.why(err)
		}
		return err
	}
	under, end := context.WithCancelCause(ctx)
	defer end(nil)
	to := k.board.by(r, n, end)
	err = k.fetch(under, n, r, to)
	var f *fatal
	switch {
	case ctx.Err() == nil && errors.Is(context.Cause(under), errDone):
		k.pool.fine(n)
	case ctx.Err() != nil:
		k.pool.fine(n)
		return context.Cause(ctx)
	case errors.As(err, &f):
		k.pool.fine(n)
		return f.error
	case err != nil:
		k.pool.failed(n, err)
		k.failed.Add(1)
		if k.board.idle() > k.GiveUp {
			return err
		}
	default:
		k.pool.fine(n)
	}
	return nil
}

var errIdle = imageapi.Errorf(imageapi.Unreachable, "no node gives the image's data")

// fatal is an error that another node does not change.
type fatal struct{ error }

// fetch reads a run's chunks from a node. An error is the node's, unless it is
// fatal.
func (k *chunkwise) fetch(ctx context.Context, n *node, r *run, to int) error {
	m := k.Manifest
	begin, _ := m.Span(r.from)
	last, length := m.Span(to - 1)
	body, err := k.Session.Range(ctx, n.Base, k.Image.ID, begin, last+length-begin, m.Size, k.Stall)
	if err != nil {
		return err
	}
	defer body.Close()
	buf := k.bufs.Get().(*[]byte)
	defer k.bufs.Put(buf)
	for i := r.from; k.board.wants(r, i); i++ {
		_, length := m.Span(i)
		b := (*buf)[:length]
		if _, err := io.ReadFull(body, b); err != nil {
			return imageapi.Wrap(imageapi.Unreachable, err, n.Base+" broke off")
		}
		if blake3.Sum256(b) != m.Digests[i] {
			k.wrong.Add(1)
			if times := k.board.spoilt(r, i, n); times > max(3, len(k.Nodes)) {
				return &fatal{imageapi.Errorf(imageapi.Wrong, "chunk %d is not what it should be, in %d tries", i, times)}
			}
			continue
		}
		if err := k.part.write(b, int64(i)*m.Chunk); err != nil {
			return &fatal{err}
		}
		k.pool.gave(n)
		if k.board.finish(r, i) {
			k.fetched.Add(length)
			k.Progress(length)
		}
	}
	return nil
}
