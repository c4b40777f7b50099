package pull

import (
	"context"
	"errors"
	"io"
	"time"

	"glimpse/cmd/glimpse/imageapi"

	"lukechampine.com/blake3"
)

// ToWriter writes the image in order. With a manifest no byte is written before its
// chunk is proved; without one, only the error tells that what was written is
// wrong.
func (c Config) ToWriter(ctx context.Context, w io.Writer) (Report, error) {
	if c.Manifest == nil {
		s := c.newSerial(onward{w})
		err := s.run(ctx)
		return s.r, err
	}
	p := &piped{Config: c, pool: newPool(c.Nodes, 1), w: w, moved: time.Now(), r: Report{Size: c.size()}}
	err := p.run(ctx)
	p.close(err)
	p.r.Nodes = len(p.pool.givers())
	return p.r, err
}

// onward is a sink that takes nothing back.
type onward struct{ io.Writer }

func (onward) restart() (bool, error) { return false, nil }

// piped is a pull of proved chunks in order, over one stream at a time.
type piped struct {
	Config
	pool  *pool
	w     io.Writer
	moved time.Time
	r     Report

	node *node // nil: no stream is open
	body io.ReadCloser
	end  int // of the stream, a chunk
}

func (p *piped) run(ctx context.Context) error {
	m := p.Manifest
	hash := imageapi.NewProof(p.Image)
	buf, zeros := make([]byte, m.Chunk), make([]byte, m.Chunk)
	for i := range m.Digests {
		_, n := m.Span(i)
		b := zeros[:n]
		if !m.Zero(i) {
			b = buf[:n]
			if err := p.chunk(ctx, i, b); err != nil {
				return err
			}
			p.r.Fetched += n
		}
		if _, err := p.w.Write(b); err != nil {
			return err
		}
		_, _ = hash.Write(b)
		p.moved = time.Now()
		p.Progress(n)
	}
	var err error
	p.r.Proof, err = hash.Conclude()
	return err
}

// chunk reads one, from another node where one fails.
func (p *piped) chunk(ctx context.Context, i int, b []byte) error {
	var avoid []*node
	for {
		err := p.try(ctx, i, b, avoid)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case p.node == nil: // nobody is to be asked
			return err
		}
		if imageapi.CodeOf(err) == imageapi.Wrong {
			p.r.Wrong++
			if avoid = append(avoid, p.node); len(avoid) > max(3, len(p.Nodes)) {
				return err
			}
		} else {
			p.r.Failed++
			if time.Since(p.moved) > p.GiveUp {
				return err
			}
		}
		p.close(err)
	}
}

func (p *piped) try(ctx context.Context, i int, b []byte, avoid []*node) error {
	if p.node != nil && i == p.end {
		p.close(nil)
	}
	if p.node == nil {
		if err := p.open(ctx, i, avoid); err != nil {
			return err
		}
	}
	if _, err := io.ReadFull(p.body, b); err != nil {
		return imageapi.Wrap(imageapi.Unreachable, err, p.node.Base+" broke off")
	}
	p.pool.gave(p.node)
	if blake3.Sum256(b) != p.Manifest.Digests[i] {
		return imageapi.Errorf(imageapi.Wrong, "chunk %d of %s is not what it should be", i, p.node.Base)
	}
	return nil
}

// open begins a stream of the chunks from i to the next one of zeros.
func (p *piped) open(ctx context.Context, i int, avoid []*node) error {
	within, cancel := context.WithTimeoutCause(ctx, max(100*time.Millisecond, p.GiveUp-time.Since(p.moved)), errIdle)
	n, err := p.pool.pick(within, shunned{wrong: avoid})
	cancel()
	if err != nil {
		if errors.Is(err, errIdle) {
			err = p.pool.why(err)
		}
		return err
	}
	m := p.Manifest
	for p.end = i; p.end < len(m.Digests) && !m.Zero(p.end); p.end++ {
	}
	off, _ := m.Span(i)
	last, length := m.Span(p.end - 1)
	p.node = n
	p.body, err = p.Session.Range(ctx, n.Base, p.Image.ID, off, last+length-off, m.Size, p.Stall)
	return err
}

// close ends the stream, if there is one.
func (p *piped) close(err error) {
	if p.node == nil {
		return
	}
	if p.body != nil {
		p.body.Close()
	}
	if err == nil {
		p.pool.fine(p.node)
	} else {
		p.pool.failed(p.node, err)
	}
	p.node, p.body = nil, nil
}
