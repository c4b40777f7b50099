package cachestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"lukechampine.com/blake3"

	"glimpse/cachestore/chunk"
)

const (
	// refills is how often a chunk with a wrong digest is asked for again.
	refills = 2
	// resumes is how often a run goes on by a new stream where one broke.
	resumes = 2
)

// do fills the chunks of a run in order.
func (r *run) do() {
	defer r.cancel()
	err := r.slab()
	in := &inflow{r: r, pos: r.fills[0].off, end: r.end()}
	defer in.close()
	for i, f := range r.fills {
		if err == nil && i > 0 && !r.wanted(f) {
			err = errAgain
		}
		if err != nil {
			r.fail(f, err)
			continue
		}
		var res result
		if res, err = r.fillOne(in, f, i == len(r.fills)-1); err != nil {
			r.fail(f, r.told(err))
			err = errAgain // the chunks behind have had no try of their own yet
			continue
		}
		r.succeed(f, res)
	}
}

// told is what readers get to hear of an error. A pull's source is not theirs: they
// look the chunk up anew.
func (r *run) told(err error) error {
	if r.from == nil || r.l.s.ctx.Err() != nil {
		return err
	}
	r.mu.Lock()
	r.why = err
	r.mu.Unlock()
	return errAgain
}

// source says where the run's bytes come from, for counting.
func (r *run) source() tierName {
	if r.from != nil {
		return tierPeer
	}
	return r.l.source()
}

func (r *run) end() int64 {
	last := r.fills[len(r.fills)-1]
	return last.off + last.n
}

// slab waits for the first chunk's slab.
func (r *run) slab() error {
	f := r.fills[0]
	if f.e != nil {
		return nil
	}
	slabs, credit, err := r.l.s.pool.take(r.ctx, want{class: r.l.class, n: 1, dirty: r.disk})
	if err != nil {
		return err
	}
	r.mu.Lock()
	f.e = newEntry(f, slabs[0], credit)
	r.mu.Unlock()
	return nil
}

func newEntry(f *fill, s *slab, credit bool) *entry {
	return &entry{slab: s, n: int(f.n), id: f.id, about: f.r.o, pins: 1, dirty: credit, place: f.place}
}

// result is what a good fill has found out.
type result struct {
	digest chunk.Digest // zero for a chunk of zeros
	lo, hi int64        // bytes that an earlier, wrong try had otherwise
}

// fillOne fills and proves one chunk. last: the stream must end with it.
func (r *run) fillOne(in *inflow, f *fill, last bool) (result, error) {
	s := r.l.s
	// Whoever found the chunks before on disk has not asked for the manifest.
	if err := s.ledger.load(r.ctx, s.name(r.o, f.id.index), s.geo.Count(r.o.Size), s.spawn); err != nil {
		return result{}, err
	}
	switch err := in.into(f, f.advance); {
	case errors.Is(err, chunk.ErrMended):
		in.skip(f)
		return r.refill(f, in.digest, nil)
	case err != nil:
		return result{}, err
	}
	if last {
		if err := in.ended(); err != nil {
			return result{}, err
		}
	}
	d := digest(f.e.bytes())
	if s.proves(f.id, d, in.digest) {
		return result{digest: d}, nil
	}
	r.wrong(f, in)
	return r.refill(f, in.digest, in.ids())
}

// digest is BLAKE3, or zero for a chunk of zeros.
func digest(b []byte) chunk.Digest {
	if chunk.IsZero(b) {
		return chunk.Digest{}
	}
	return blake3.Sum256(b)
}

// refill asks again for a chunk that came wrong, into a second slab if one is free:
// of somebody else first than the nodes that gave it. Nobody reads it before it is
// proved; then it is compared with what came of the first try, of which readers may
// have sent a part. sent is the digest that came with that.
func (r *run) refill(f *fill, sent chunk.Digest, bad []string) (result, error) {
	s := r.l.s
	fresh, _ := s.pool.try(want{class: r.l.class, n: 1})
	if fresh == nil {
		return result{}, fmt.Errorf("chunk %d: %w", f.id.index, chunk.ErrCorrupt)
	}
	good := newEntry(f, fresh, false)
	r.mu.Lock()
	was, came := f.e, f.wm
	f.e, f.frozen, f.wm = good, true, 0
	f.stepLocked()
	r.mu.Unlock()
	defer s.discard(was)
	from := again(r.next(), bad)
	for range refills {
		in := &inflow{r: r, pos: f.off, end: f.off + f.n, from: from}
		err := in.into(f, func(int64) {})
		if err == nil {
			err = in.ended()
		}
		in.close()
		if errors.Is(err, chunk.ErrMended) {
			continue
		}
		if err != nil {
			return result{}, err
		}
		d := digest(good.bytes())
		if s.proves(f.id, d, max2(in.digest, sent)) {
			lo, hi := differ(was.bytes()[:came], good.bytes()[:came])
			return result{digest: d, lo: lo, hi: hi}, nil
		}
		r.wrong(f, in)
		from = again(from, in.ids())
	}
	s.disown(f.id)
	return result{}, fmt.Errorf("chunk %d, asked for %d times: %w", f.id.index, refills+1, chunk.ErrCorrupt)
}

// wrong counts and tells of a chunk that came wrong.
func (r *run) wrong(f *fill, in *inflow) {
	s := r.l.s
	s.stats.verifyFailed(r.source())
	if s.lines.Allow() {
		s.log.Warn("a chunk came with a wrong digest", "key", f.id.key, "index", f.id.index, "level", r.l.name, "from", in.by)
	}
}

// max2 prefers the digest that came with the second try.
func max2(a, b chunk.Digest) chunk.Digest {
	if a != (chunk.Digest{}) {
		return a
	}
	return b
}

// differ returns the span of bytes in which a and b differ.
func differ(a, b []byte) (lo, hi int64) {
	n := len(a)
	for lo < int64(n) && a[lo] == b[lo] {
		lo++
	}
	hi = int64(n)
	for hi > lo && a[hi-1] == b[hi-1] {
		hi--
	}
	return lo, hi
}

// fail ends a fill with an error that reaches all who wait for it. The next
// reader starts a new one.
func (r *run) fail(f *fill, err error) {
	if r.ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = context.Cause(r.ctx)
	}
	r.l.forget(f)
	r.l.s.mem.awaited.leave(f.place)
	r.mu.Lock()
	e := f.e
	f.e, f.err, f.done = nil, err, true
	f.stepLocked()
	r.mu.Unlock()
	if e != nil {
		r.l.s.discard(e)
	}
}

// succeed makes a proved chunk findable before its fill can no longer be joined.
func (r *run) succeed(f *fill, res result) {
	s := r.l.s
	e := f.e
	s.names.RLock()
	k := s.resolve(f.id)
	r.mu.Lock()
	keep := !f.barred
	r.mu.Unlock()
	zero := res.digest == chunk.Digest{}
	if keep {
		s.ledger.see(k, res.digest, s.geo.Count(r.o.Size))
	}
	s.mem.change(e, func() { e.id, e.digest = k, res.digest })
	kept := keep && !zero && s.mem.insert(e)
	s.names.RUnlock()
	r.l.forget(f)
	r.mu.Lock()
	f.wm, f.lo, f.hi, f.done = f.n, res.lo, res.hi, true
	if zero {
		f.e = nil
	}
	f.stepLocked()
	done := f.settleLocked()
	r.mu.Unlock()

	switch {
	case zero:
		s.mem.awaited.leave(f.place)
		s.discard(e)
		if keep && r.disk {
			s.disk.markZero(r.o, k)
		}
	case kept && r.disk:
		s.disk.offer(e)
	default:
		s.undirty(e)
	}
	if done != nil {
		s.mem.unpin(done)
	}
	if s.filled != nil && (kept || zero && keep) {
		s.filled(r.o, f.id.index)
	}
}

// Again is a Source that has another one for chunks that it was asked for before:
// others may be waiting for this fill by now, and must not be waited for. bad are the
// ids of nodes that gave a chunk which is wrong; it may be called on its result, too.
type Again interface {
	Again(bad []string) chunk.Source
}

// again is a source that was asked before.
func again(from chunk.Source, bad []string) chunk.Source {
	if a, ok := from.(Again); ok {
		return a.Again(bad)
	}
	return from
}

// inflow is the stream of a run.
type inflow struct {
	r        *run
	from     chunk.Source // nil: the run's own
	st       chunk.Stream
	pos, end int64
	tries    int
	digest   chunk.Digest  // that the source sent along with the chunk; zero: none
	by       []chunk.Giver // of the chunk
}

// next is where a run's bytes come from.
func (r *run) next() chunk.Source {
	if r.from != nil {
		return r.from
	}
	return r.l.next
}

// ids are those of the nodes that gave of the chunk.
func (in *inflow) ids() (ids []string) {
	for _, g := range in.by {
		ids = append(ids, g.ID)
	}
	return ids
}

func (in *inflow) close() {
	if in.st != nil {
		_ = in.st.Close() // nothing more is wanted of it
		in.st = nil
	}
}

// skip leaves out the rest of a chunk.
func (in *inflow) skip(f *fill) {
	in.close()
	in.pos = f.off + f.n
}

// into reads the whole of a chunk.
func (in *inflow) into(f *fill, advance func(int64)) error {
	in.digest, in.by = chunk.Digest{}, nil
	for to := f.off + f.n; in.pos < to; {
		p, err := in.next()
		if err == nil {
			err = in.place(f, p)
		}
		if err != nil {
			return err
		}
		in.pos += p.Len
		advance(p.Len)
	}
	return nil
}

// next returns the next piece, and goes on by another stream where one broke.
func (in *inflow) next() (chunk.Piece, error) {
	for {
		p, err := in.try()
		if err == nil || in.tries >= resumes || !resumable(err) || in.r.ctx.Err() != nil {
			return p, err
		}
		in.tries++
		in.close()
	}
}

func (in *inflow) try() (chunk.Piece, error) {
	if in.st == nil {
		if in.from == nil {
			in.from = in.r.next()
		}
		from := in.from
		in.from = again(from, nil) // the next time
		st, err := from.OpenRange(in.r.ctx, in.r.o, in.pos, in.end-in.pos)
		if err != nil {
			return chunk.Piece{}, err
		}
		in.st = st
	}
	p, err := in.st.Next()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return p, err
}

// resumable: errors that another try can't mend are not repeated.
func resumable(err error) bool {
	for _, final := range []error{
		chunk.ErrChanged, chunk.ErrNotFound, chunk.ErrRange, chunk.ErrCorrupt, chunk.ErrUnavailable, chunk.ErrUnresolved,
		io.ErrUnexpectedEOF, context.Canceled, context.DeadlineExceeded, errClosed,
	} {
		if errors.Is(err, final) {
			return false
		}
	}
	return true
}

// place copies a piece to where it belongs, and trusts the source in nothing.
func (in *inflow) place(f *fill, p chunk.Piece) error {
	if p.Off != in.pos || p.Len <= 0 || p.Off+p.Len > f.off+f.n || !p.Zero && p.Len != int64(len(p.Data)) {
		return fmt.Errorf("the source gave %d bytes at %d, wanted are at most %d at %d: %w", p.Len, p.Off, f.off+f.n-in.pos, in.pos, chunk.ErrUnavailable)
	}
	to := f.e.bytes()[p.Off-f.off:][:p.Len]
	if p.Zero {
		clear(to)
	} else {
		copy(to, p.Data)
		in.digest = p.Digest
	}
	in.given()
	return nil
}

// given notes who gave the last piece.
func (in *inflow) given() {
	if g := chunk.GivenBy(in.st); g.ID != "" && !slices.Contains(in.by, g) {
		in.by = append(in.by, g)
	}
}

// ended checks that nothing follows.
func (in *inflow) ended() error {
	p, err := in.st.Next()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		return fmt.Errorf("the source gave %d bytes more than asked for: %w", p.Len, chunk.ErrUnavailable)
	}
	return err
}
