package cachestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"glimpse/cachestore/chunk"
)

const (
	pieceBytes  = 256 << 10 // the most that a reader holds privately, or reads of a disk chunk at once
	directBytes = 1 << 20   // the most that is written at once straight out of a slab; more gained nothing
	blockBytes  = 64 << 10  // the unit in which disk chunks are checked
	holdBytes   = 64 << 10  // the most of a chunk that waits for its proof
)

// reader sends a range of an object: the Body that clients get. It holds nothing
// while it waits for its client but 256 KiB of its own, or one of the few slabs
// that may be sent from directly.
type reader struct {
	s      *Store
	l      *Level
	o      chunk.Object
	begin  int64 // of the range
	pos    int64 // next byte to send
	end    int64
	ctx    context.Context
	cancel context.CancelCauseFunc

	cur    current
	window window
	unseen bool // what it gives goes to no client, and is not counted as sent
	told   int  // extents below it were told of as seen
	// follow is set where only what is here is given: it says whether a chunk on its
	// way counts.
	follow func(index int) bool

	slow bool // the client's last write had to wait: don't hold a slab through the next
	buf  *[pieceBytes]byte
	left []byte // of a checked disk block in buf: what follows pos

	mu     sync.Mutex
	busy   bool // somebody is inside Read, WriteTo or next
	closed bool
	freed  bool
}

// current is what the reader knows of the chunk it is at.
type current struct {
	index  int
	fill   *fill // joined
	past   *fill // joined, and over: keeps the chunk awaited
	disk   diskChunk
	bad    diskChunk // found bad after some of it was sent: what comes instead is compared with it
	waited bool      // its bytes come by a fill
	asked  bool      // it was asked for again, of whoever has taken it over
}

func (l *Level) newReader(ctx context.Context, o chunk.Object, off, n int64) (*reader, error) {
	if n < 0 {
		n = o.Size - off
	}
	if off < 0 || n < 0 || off > o.Size || n > o.Size-off {
		return nil, fmt.Errorf("cachestore: %d bytes at %d of %d: %w", n, off, o.Size, chunk.ErrRange)
	}
	if !l.s.enter() {
		return nil, errClosed
	}
	r := &reader{s: l.s, l: l, o: o, begin: off, pos: off, end: off + n, cur: current{index: -1}}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	r.window.r = r
	return r, nil
}

// first waits until the first byte can be had.
func (r *reader) first() error {
	if r.pos == r.end {
		return nil
	}
	if err := r.enter(); err != nil {
		return err
	}
	for {
		at, err := r.locate()
		if err != nil {
			return err
		}
		if at.f == nil {
			if at.d == nil { // a pin is not held until the client comes
				at.release(r.s)
			}
			return nil
		}
		if err := at.f.started(r.ctx); !r.again(err) {
			return err
		}
		r.leaveFill()
	}
}

// present looks for the first chunk, and waits for nothing.
func (r *reader) present() error {
	if r.pos == r.end {
		return nil
	}
	if err := r.enter(); err != nil {
		return err
	}
	at, err := r.locate()
	if err == nil && at.f == nil && at.d == nil {
		at.release(r.s)
	}
	return err
}

// Close ends a wait and lets go of everything. It may be called from any
// goroutine, more than once.
func (r *reader) Close() error {
	r.cancel(errReaderClosed)
	r.mu.Lock()
	r.closed = true
	free := !r.busy && !r.freed
	r.freed = r.freed || free
	r.mu.Unlock()
	if free {
		r.letGo()
	}
	return nil
}

// use and done stand around everything that touches the reader's state.
func (r *reader) use() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.busy {
		return errReaderClosed
	}
	r.busy = true
	return nil
}

func (r *reader) done() {
	r.mu.Lock()
	r.busy = false
	free := r.closed && !r.freed
	r.freed = r.freed || free
	r.mu.Unlock()
	if free {
		r.letGo()
	}
}

func (r *reader) letGo() {
	r.leaveChunk()
	r.window.close()
	r.left = nil
	if r.buf != nil {
		r.s.buffers.Put(r.buf)
		r.buf = nil
	}
	r.s.leave()
}

func (r *reader) leaveFill() {
	if r.cur.fill != nil {
		r.cur.fill.leave()
		r.cur.fill = nil
	}
}

// passFill goes on without a fill that is over: its chunk is looked up anew, and
// stays awaited until the reader is past it.
func (r *reader) passFill() {
	if r.cur.past != nil {
		r.cur.past.leave()
	}
	r.cur.past, r.cur.fill = r.cur.fill, nil
}

func (r *reader) leaveChunk() {
	r.leaveFill()
	r.passFill()
	for _, d := range []diskChunk{r.cur.disk, r.cur.bad} {
		if d != nil {
			_ = d.Close() // it was only read
		}
	}
	r.cur = current{index: -1}
}

// enter moves to the chunk at pos, if it isn't there already.
func (r *reader) enter() error {
	if r.s.ctx.Err() != nil {
		return errClosed
	}
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	index := r.s.geo.Index(r.pos)
	if r.cur.index == index {
		return nil
	}
	r.leaveChunk()
	r.cur.index = index
	r.see(index)
	r.cur.fill = r.window.take(index)
	switch {
	case r.cur.fill == nil:
	case r.cur.fill.ended():
		r.passFill()
	default:
		r.window.slide(index)
	}
	return nil
}

// see tells of the extent of a chunk that is wanted for a client.
func (r *reader) see(index int) {
	if extent := r.s.geo.ExtentOf(index); !r.unseen && r.l.seen != nil && extent >= r.told {
		r.told = extent + 1
		r.l.seen(r.o, extent)
	}
}

// part is what this response wants of the current chunk.
func (r *reader) part() part {
	g := r.s.geo
	base := g.Off(r.cur.index)
	return part{
		from: max(r.begin, base) - base,
		pos:  r.pos - base,
		to:   min(r.end, base+g.Chunk) - base,
		hold: min(holdBytes, g.Chunk/8),
	}
}

// view is what can be sent now, at pos: zeros, pinned memory or a disk chunk.
type view struct {
	zero bool
	e    *entry
	d    diskChunk
	part part // bytes pos..to may be sent
}

// look waits until there is something to send.
func (r *reader) look() (view, error) {
	if err := r.enter(); err != nil {
		return view{}, err
	}
	for {
		at, err := r.locate()
		if err != nil {
			return view{}, err
		}
		v := view{zero: at.zero, e: at.e, d: at.d, part: r.part()}
		if at.f != nil {
			r.cur.waited = true
			v.e, v.part.to, err = at.f.next(r.ctx, v.part, r.cur.bad != nil)
			switch {
			case r.again(err):
				r.leaveFill()
				continue
			case err == nil && v.e == nil:
				r.passFill()
				continue
			case err != nil:
				return view{}, err
			}
		}
		if err := r.compare(v); err != nil {
			if v.e != nil {
				r.s.mem.unpin(v.e)
			}
			return view{}, err
		}
		return v, nil
	}
}

// again says whether the error of a fill is worth another look: the fill was never
// begun, or this node can't find the origin, and another one may take it over.
func (r *reader) again(err error) bool {
	if errors.Is(err, chunk.ErrUnresolved) && r.l.owns != nil && !r.cur.asked {
		r.cur.asked = true
		return true
	}
	return errors.Is(err, errAgain)
}

// locate finds the current chunk, and asks for what comes after it.
func (r *reader) locate() (found, error) {
	switch {
	case r.cur.fill != nil:
		return found{f: r.cur.fill}, nil
	case r.cur.disk != nil:
		return found{d: r.cur.disk}, nil
	}
	if r.follow != nil {
		at, err := r.l.find(r.ctx, r.o, r.cur.index, r.follow)
		r.cur.fill, r.cur.disk = at.f, at.d
		return at, err
	}
	at, more, err := r.l.locate(r.ctx, r.o, r.cur.index, r.window.row(r.cur.index))
	if err != nil {
		return found{}, err
	}
	r.cur.fill, r.cur.disk = at.f, at.d
	r.window.hold(more)
	r.window.slide(r.cur.index)
	return at, nil
}

// tier says which counter the current chunk's bytes belong to.
func (r *reader) tier(v view) *atomic.Int64 {
	switch {
	case r.cur.waited:
		return r.s.stats.sentBy(r.l.outward(r.o, r.cur.index).source())
	case v.d != nil:
		return r.s.stats.sentBy(tierDisk)
	}
	return r.s.stats.sentBy(tierMemory)
}

var errReaderClosed = fmt.Errorf("cachestore: body: %w", io.ErrClosedPipe)
