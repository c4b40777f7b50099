package ops

import (
	"context"
	"fmt"

	"glimpse/backends"
	"glimpse/cachestore/chunk"
	"glimpse/registry/image"
)

// partSender is the consumer that writes to a store in parts. It holds the blocks
// of one part until the store has it, so that the store can send it again; then
// the next part is begun.
type partSender struct {
	p    *pipeline
	w    backends.PartWriter
	size int64 // of the part that is gathered
	next chan int64
	held []*block
	n    int64
}

func newPartSender(p *pipeline, w backends.PartWriter) *partSender {
	s := &partSender{p: p, w: w, size: w.PartSize(), next: make(chan int64, 1)}
	s.next <- s.size
	return s
}

// run is the consumer.
func (s *partSender) run(in <-chan *block) (err error) {
	for b := range in {
		s.held, s.n = append(s.held, b), s.n+int64(len(b.data))
		if s.n == s.size {
			err = s.flush(err, true)
		}
	}
	if s.n > 0 {
		err = s.flush(err, s.p.whole.Load())
	}
	return err
}

// flush sends what is held, unless that has no use, and lets go of it.
func (s *partSender) flush(err error, send bool) error {
	if err == nil && send {
		bufs := make([][]byte, len(s.held))
		for i, b := range s.held {
			bufs[i] = b.data
		}
		if err = writeError(s.w.WritePart(bufs...)); err != nil {
			s.p.fail(err)
		}
	}
	for _, b := range s.held {
		s.p.done(b)
	}
	s.held, s.n, s.size = nil, 0, s.w.PartSize()
	s.next <- s.size
	return err
}

// readParts reads the body part by part. The buffers of a whole part are taken at
// once, in order, and only when the part before it is sent: so every upload that
// has begun a part can end it, and holds one at the most.
func (p *pipeline) readParts(ctx context.Context, a *attempt) error {
	for index := 0; ; {
		if p.size == a.u.Announced {
			_, _, err := p.fill(ctx, a, make([]byte, 1)) // the body should end here
			return err
		}
		var size int64
		select {
		case size = <-p.parts.next:
		case <-ctx.Done():
			return bodyError(ctx, ctx.Err())
		}
		p.under.Wait() // the hashes too are through with the last part
		if a.u.Announced >= 0 {
			size = min(size, a.u.Announced-p.size)
		}
		n := int((size + p.chunk - 1) / p.chunk)
		if most := a.s.cfg.Cache.UploadQuota(); n > most {
			return image.Errorf(image.TooLarge, "The image is sent to its store in parts of %d bytes, and this node has buffers for %d.", size, int64(most)*p.chunk)
		}
		bufs, err := p.keep.Buffers(ctx, n)
		if err != nil {
			return bodyError(ctx, err)
		}
		for i, buf := range bufs {
			end, err := p.readInto(ctx, a, index, buf)
			if err == nil && !end && ctx.Err() != nil {
				err = bodyError(ctx, ctx.Err())
			}
			if end || err != nil {
				release(bufs[i+1:])
				return err
			}
			index++
		}
	}
}

func release(bufs []chunk.Buffer) {
	for _, b := range bufs {
		b.Release()
	}
}

// CheckParts says whether the parts of every store fit the upload quota of the
// cache: two must, or an upload could have to wait for ever for the next one.
func (s *Service) CheckParts() error {
	for _, st := range s.cfg.Stores {
		part, c := st.Backend.Caps().PartSize, s.cfg.Geometry.Chunk
		quota := int64(s.cfg.Cache.UploadQuota()) * c
		switch {
		case part%c != 0:
			return fmt.Errorf("stores.%s: parts of %d bytes are no whole number of chunks of %d", st.ID, part, c)
		case part > quota/2:
			return fmt.Errorf("stores.%s: parts of %d bytes are over half of what uploads may hold, %d: raise cache.memory.size or make the parts smaller", st.ID, part, quota)
		}
	}
	return nil
}
