package cachestore

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	"glimpse/cachestore/chunk"
)

// slowWrite is how long a write may take before its client counts as slow: such
// a client is served from a private copy, which costs it nothing.
const slowWrite = 20 * time.Millisecond

// WriteTo sends what is left of the range.
func (r *reader) WriteTo(w io.Writer) (int64, error) {
	if err := r.use(); err != nil {
		return 0, err
	}
	defer r.done()
	from := r.pos
	for r.pos < r.end {
		v, err := r.look()
		if err == nil {
			err = r.send(w, v)
		}
		if err != nil {
			return r.pos - from, err
		}
	}
	return r.pos - from, nil
}

func (r *reader) send(w io.Writer, v view) error {
	switch {
	case v.zero:
		return r.sendZeros(w, v)
	case v.e != nil:
		return r.sendMemory(w, v)
	default:
		return r.sendDisk(w, v)
	}
}

// write writes and counts. A client that has to be waited for is marked slow.
func (r *reader) write(w io.Writer, b []byte, v view) error {
	began := time.Now()
	n, err := w.Write(b)
	r.slow = time.Since(began) > slowWrite
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	r.count(int64(n), v)
	return err
}

func (r *reader) count(n int64, v view) {
	r.pos += n
	if !r.unseen {
		r.tier(v).Add(n)
	}
}

func (r *reader) sendZeros(w io.Writer, v view) error {
	for left := v.part.to - v.part.pos; left > 0 && r.ctx.Err() == nil; {
		n := min(left, pieceBytes, int64(len(r.s.arena.zero)))
		if err := r.write(w, r.s.arena.zero[:n], v); err != nil {
			return err
		}
		left -= n
	}
	return nil
}

// sendMemory writes a pinned entry in pieces: straight out of the slab while
// nobody lacks one and the client is quick, else from a private copy with the
// pin let go, so that it can wait for its client as long as it likes.
func (r *reader) sendMemory(w io.Writer, v view) error {
	data := v.e.bytes()[v.part.pos:v.part.to]
	r.touch(v)
	for len(data) > 0 && r.ctx.Err() == nil {
		if r.slow || r.s.pool.waiting.Load() > 0 || !r.s.mem.send(v.e) {
			b := r.private()[:copy(r.private(), data)]
			r.s.mem.unpin(v.e)
			return r.write(w, b, v)
		}
		n := min(len(data), directBytes)
		err := r.write(w, data[:n], v)
		r.s.mem.sent(v.e)
		if err != nil {
			r.s.mem.unpin(v.e)
			return err
		}
		data = data[n:]
	}
	r.s.mem.unpin(v.e)
	return nil
}

// touch tells the policies of both tiers once per response and chunk.
func (r *reader) touch(v view) {
	if v.part.pos != v.part.from || r.cur.waited {
		return
	}
	r.s.mem.touch(v.e.id)
	if r.l.outward(r.o, r.cur.index).toDisk(r.o, r.cur.index) {
		r.s.disk.used(v.e)
	}
}

// private is the reader's own buffer, from its first need until Close.
func (r *reader) private() []byte {
	r.left = nil
	if r.buf == nil {
		r.buf = r.s.buffers.Get().(*[pieceBytes]byte)
	}
	return r.buf[:]
}

// sendDisk sends a disk chunk: as a file once it has been proved right, if that
// is enough, else block by block, each checked while it is in the cache.
func (r *reader) sendDisk(w io.Writer, v view) error {
	if r.s.once {
		if err := v.d.Verify(); err != nil {
			return r.replace(v, err)
		}
		if to, ok := w.(io.ReaderFrom); ok {
			if f, ok := v.d.File(); ok {
				return r.sendFile(to, f, v)
			}
		}
	}
	buf := r.private()
	for off := v.part.pos; off < v.part.to && r.ctx.Err() == nil; {
		b, err := v.d.Block(buf, int(off))
		if err != nil {
			return r.replace(v, err)
		}
		b = b[:min(int64(len(b)), v.part.to-off)]
		if err := r.write(w, b, v); err != nil {
			return err
		}
		off += int64(len(b))
	}
	return nil
}

// sendFile lets the kernel copy, where w is a connection.
func (r *reader) sendFile(w io.ReaderFrom, f *os.File, v view) error {
	if _, err := f.Seek(v.part.pos, io.SeekStart); err != nil {
		return r.replace(v, err)
	}
	want := v.part.to - v.part.pos
	n, err := w.ReadFrom(&io.LimitedReader{R: f, N: want})
	r.count(n, v)
	if err == nil && n < want {
		err = fmt.Errorf("chunk %d on disk: %w", r.cur.index, io.ErrUnexpectedEOF)
	}
	return err
}

// replace puts a bad disk chunk aside: the next look fills it anew. What was
// sent of it is kept open, to be compared.
func (r *reader) replace(v view, err error) error {
	if r.ctx.Err() != nil {
		return nil // the next look says why
	}
	r.s.badOnDisk(r.s.name(r.o, r.cur.index), err)
	if r.cur.bad != nil {
		return fmt.Errorf("chunk %d was bad on disk twice: %w", r.cur.index, chunk.ErrCorrupt)
	}
	r.cur.disk = nil
	if p := r.part(); p.pos > p.from {
		r.cur.bad = v.d
		return nil
	}
	_ = v.d.Close()
	return nil
}

// compare checks what was sent of a bad disk chunk against what replaces it.
func (r *reader) compare(v view) error {
	bad := r.cur.bad
	if bad == nil {
		return nil
	}
	old, fresh := make([]byte, blockBytes), make([]byte, blockBytes)
	for off := v.part.from; off < v.part.pos; {
		b, err := bad.Block(old, int(off))
		if err != nil {
			return fmt.Errorf("chunk %d: %w", r.cur.index, chunk.ErrCorrupt)
		}
		b = b[:min(int64(len(b)), v.part.pos-off)]
		now, err := r.bytesOf(v, fresh, off, len(b))
		if err != nil || !bytes.Equal(b, now) {
			return fmt.Errorf("chunk %d: what was sent was wrong: %w", r.cur.index, chunk.ErrCorrupt)
		}
		off += int64(len(b))
	}
	r.cur.bad = nil
	_ = bad.Close()
	return nil
}

// bytesOf returns n bytes of a view, fewer at the end of a block on disk.
func (r *reader) bytesOf(v view, buf []byte, off int64, n int) ([]byte, error) {
	switch {
	case v.zero:
		return r.s.arena.zero[:n], nil
	case v.e != nil:
		return v.e.bytes()[off:][:n], nil
	}
	b, err := v.d.Block(buf, int(off))
	return b[:min(len(b), n)], err
}
