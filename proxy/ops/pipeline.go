package ops

import (
	"context"
	"hash"
	"sync"
	"sync/atomic"

	"glimpse/backends"
	"glimpse/cachestore/chunk"
	"glimpse/proxy/ops/inspect"

	"lukechampine.com/blake3"
)

// block is one chunk, or a piece of one, on its way through the consumers.
type block struct {
	index  int
	buf    chunk.Buffer // nil: a piece of a chunk that is not kept
	data   []byte
	last   bool // of its chunk
	digest chunk.Digest
	zero   bool
	users  atomic.Int32  // consumers that still read data
	over   chan struct{} // closed when none does; nil: nobody waits for it
}

// pipeline is the consumers and the channels to them. Each has a goroutine; they
// all read the same buffers.
type pipeline struct {
	chunk     int64
	consumers []func(<-chan *block) error
	in        []chan *block
	fail      context.CancelCauseFunc // a consumer's error ends the reading

	size     int64
	md5, sum hash.Hash
	manifest []chunk.Segment
	pieces   piecewise // of the chunk that is read without a buffer
	inspect  *inspect.Inspector
	private  []byte
	parts    *partSender    // nil: the store takes bytes as they come
	whole    atomic.Bool    // the body was read to its end
	under    sync.WaitGroup // blocks under way

	keep struct {
		sync.Mutex // one goroutine at a time
		chunk.Writer
	}
}

// piecewise gathers the digest of a chunk that comes in several blocks.
type piecewise struct {
	sum  *blake3.Hasher // nil between two chunks
	data bool           // not all were zeros
}

func newPipeline(a *attempt, fail context.CancelCauseFunc) *pipeline {
	p := &pipeline{
		chunk: a.s.cfg.Geometry.Chunk, md5: hashes["md5"](), sum: hashes[a.s.cfg.HashAlgo](), inspect: inspect.New(), fail: fail,
	}
	p.keep.Writer = a.keep
	p.consumers = []func(<-chan *block) error{
		p.each(func(b *block) error { _, err := p.md5.Write(b.data); return err }),
		p.each(func(b *block) error { _, err := p.sum.Write(b.data); return err }),
		p.each(func(b *block) error { p.digest(b); _, err := p.inspect.Write(b.data); return err }),
	}
	if w, ok := a.out.(backends.PartWriter); ok && a.st.Backend.Caps().PartSize > 0 {
		p.parts = newPartSender(p, w)
		p.consumers = append(p.consumers, p.parts.run)
	} else {
		p.consumers = append(p.consumers, p.each(func(b *block) error { _, err := a.out.Write(b.data); return writeError(err) }))
	}
	for range p.consumers {
		p.in = append(p.in, make(chan *block, ahead))
	}
	return p
}

// digest notes the chunk in the manifest.
func (p *pipeline) digest(b *block) {
	if b.last && p.pieces.sum == nil {
		if b.zero = chunk.IsZero(b.data); !b.zero {
			b.digest = blake3.Sum256(b.data)
		}
		p.note(b)
		return
	}
	if p.pieces.sum == nil {
		p.pieces = piecewise{sum: blake3.New(len(b.digest), nil)}
	}
	_, _ = p.pieces.sum.Write(b.data) // never fails
	p.pieces.data = p.pieces.data || !chunk.IsZero(b.data)
	if b.last {
		b.zero = !p.pieces.data
		p.pieces.sum.Sum(b.digest[:0])
		p.pieces.sum = nil
		p.note(b)
	}
}

func (p *pipeline) note(b *block) {
	seg, i := b.index/chunk.SegmentChunks, b.index%chunk.SegmentChunks
	if seg == len(p.manifest) {
		p.manifest = append(p.manifest, chunk.NewSegment(chunk.SegmentChunks))
	}
	if b.zero {
		p.manifest[seg].SetZero(i)
		return
	}
	p.manifest[seg].Set(i, b.digest)
}

// each makes a consumer of fn. After its error it goes on taking blocks, so that
// nobody waits for it, and the reading ends.
func (p *pipeline) each(fn func(*block) error) func(<-chan *block) error {
	return func(in <-chan *block) (err error) {
		for b := range in {
			if err == nil {
				if err = fn(b); err != nil {
					p.fail(err)
				}
			}
			p.done(b)
		}
		return err
	}
}

// done is one consumer's word that it is through with a block. The last one hands
// it to the cache.
func (p *pipeline) done(b *block) {
	if b.users.Add(-1) > 0 {
		return
	}
	defer p.under.Done()
	if b.over != nil {
		close(b.over)
	}
	if b.buf == nil {
		return
	}
	p.keep.Lock()
	defer p.keep.Unlock()
	p.keep.Keep(b.index, b.buf, len(b.data), b.digest, b.zero)
}

// end tells everybody that no more blocks come; whole: for all of the body came.
func (p *pipeline) end(whole bool) {
	p.whole.Store(whole)
	for _, c := range p.in {
		close(c)
	}
}

// send never waits for ever: consumers take every block, in error too.
func (p *pipeline) send(b *block) {
	p.under.Add(1)
	b.users.Store(int32(len(p.in)))
	for _, c := range p.in {
		c <- b
	}
}

func (p *pipeline) result() received {
	r := received{size: p.size, md5: hexSum(p.md5), hash: hexSum(p.sum), format: p.inspect.Finish()}
	count := int((p.size + p.chunk - 1) / p.chunk)
	for i, seg := range p.manifest {
		n := min(chunk.SegmentChunks, count-i*chunk.SegmentChunks)
		r.manifest = append(r.manifest, seg[:n*len(chunk.Digest{})].Seal())
	}
	return r
}
