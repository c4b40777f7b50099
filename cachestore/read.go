package cachestore

import (
	"io"
	"sync/atomic"

	"glimpse/cachestore/chunk"
)

// Read serves small consumers. It holds nothing between two calls.
func (r *reader) Read(p []byte) (int, error) {
	if err := r.use(); err != nil {
		return 0, err
	}
	defer r.done()
	if r.pos == r.end {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	v, b, err := r.copy(p)
	if err != nil {
		return 0, err
	}
	r.count(int64(len(b)), v)
	return len(b), nil
}

// copy waits for bytes at pos and copies as many as fit p.
func (r *reader) copy(p []byte) (view, []byte, error) {
	for {
		v, err := r.look()
		if err != nil {
			return v, nil, err
		}
		p := p[:min(int64(len(p)), v.part.to-v.part.pos)]
		switch {
		case v.zero:
			clear(p)
			return v, p, nil
		case v.e != nil:
			r.touch(v)
			copy(p, v.e.bytes()[v.part.pos:])
			r.s.mem.unpin(v.e)
			return v, p, nil
		}
		if len(r.left) > 0 {
			n := copy(p, r.left)
			r.left = r.left[n:]
			return v, p[:n], nil
		}
		b, err := v.d.Block(r.private()[:blockBytes], int(v.part.pos))
		if err == nil {
			n := copy(p, b)
			r.left = b[n:]
			return v, p[:n], nil
		}
		if err := r.replace(v, err); err != nil {
			return v, nil, err
		}
	}
}

// stream gives a reader's bytes as pieces.
type stream struct{ r *reader }

var _ chunk.Stream = (*stream)(nil)

// Next returns up to 256 KiB, or all that is wanted of a chunk of zeros.
func (st *stream) Next() (chunk.Piece, error) {
	r := st.r
	if err := r.use(); err != nil {
		return chunk.Piece{}, err
	}
	defer r.done()
	if r.pos == r.end {
		return chunk.Piece{}, io.EOF
	}
	v, data, err := r.copy(r.private())
	if err != nil {
		return chunk.Piece{}, err
	}
	p := chunk.Piece{Index: r.cur.index, Off: r.pos}
	if v.zero {
		p.Zero, p.Len = true, v.part.to-v.part.pos
		r.count(p.Len, v)
		return p, nil
	}
	p.Data, p.Len = data, int64(len(data))
	if d, _, known, _ := r.s.ledger.expected(r.s.name(r.o, p.Index)); known {
		p.Digest = d
	}
	r.count(p.Len, v)
	return p, nil
}

func (st *stream) Close() error { return st.r.Close() }

// streamBody is a stream that a client reads: an object of unknown size.
type streamBody struct {
	st   chunk.Stream
	sent *atomic.Int64
	left []byte
	zero int64
}

var _ chunk.Body = (*streamBody)(nil)

func (b *streamBody) Read(p []byte) (int, error) {
	for len(b.left) == 0 && b.zero == 0 {
		piece, err := b.st.Next()
		if err != nil {
			return 0, err
		}
		b.left = piece.Data
		if piece.Zero {
			b.zero = piece.Len
		}
	}
	n := 0
	if b.zero > 0 {
		n = int(min(int64(len(p)), b.zero))
		clear(p[:n])
		b.zero -= int64(n)
	} else {
		n = copy(p, b.left)
		b.left = b.left[n:]
	}
	b.sent.Add(int64(n))
	return n, nil
}

func (b *streamBody) WriteTo(w io.Writer) (int64, error) {
	return io.CopyBuffer(w, struct{ io.Reader }{b}, make([]byte, blockBytes))
}

func (b *streamBody) Close() error { return b.st.Close() }
