package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"lukechampine.com/blake3"

	"glimpse/cachestore/chunk"
	"glimpse/cachestore/vfs"
)

// Chunk is an open chunk. It keeps the chunk from being evicted until Close.
// One goroutine at a time.
type Chunk struct {
	t        *Tier
	o        hash
	index    uint32
	gen      uint32
	pin      *pin
	f        vfs.File
	end      trailer
	verified bool
	closed   bool
}

// Read opens a chunk and checks its trailer, and after a stop that was not clean
// all of it. ErrMiss: it is not there, or can't be read. chunk.ErrCorrupt: it was
// bad. What can't be read or is bad is put in quarantine.
func (t *Tier) Read(ctx context.Context, key chunk.Key, index int) (*Chunk, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	h := hashOf(key)
	c, e, ok := t.pinChunk(h, index)
	if !ok {
		return nil, ErrMiss
	}
	err := c.open(key, e)
	if err == nil && e.state == stSuspect {
		err = c.Verify()
	}
	if err == nil {
		t.learn(c)
		return c, nil
	}
	_ = c.Close()
	switch {
	case errors.Is(err, fs.ErrNotExist): // evicted, renamed, or removed by hand
		t.forget(h, uint32(index), e.gen)
		return nil, ErrMiss
	case errors.Is(err, chunk.ErrCorrupt):
		t.quarantine(h, uint32(index), e.gen)
		return nil, fmt.Errorf("read chunk %d of %s: %w", index, key, err)
	case errors.Is(err, syscall.EIO):
		t.quarantine(h, uint32(index), e.gen)
	}
	return nil, fmt.Errorf("%w: %w", ErrMiss, err)
}

func (t *Tier) pinChunk(h hash, index int) (*Chunk, entry, bool) {
	s := t.shardOf(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[h]
	if o == nil || index < 0 || t.closed.Load() {
		return nil, entry{}, false
	}
	e, ok := o.chunks[uint32(index)]
	if !ok {
		return nil, e, false
	}
	if e.pin == nil {
		e.pin = &pin{cost: cost(int(e.length))}
		o.chunks[uint32(index)] = e
	}
	t.space.mu.Lock()
	e.pin.n++
	t.space.mu.Unlock()
	return &Chunk{t: t, o: h, index: uint32(index), gen: e.gen, pin: e.pin, verified: e.state == stVerified}, e, true
}

// open reads the trailer and checks that it is the right one.
func (c *Chunk) open(key chunk.Key, e entry) error {
	dir := c.o.dir(c.t.root)
	f, err := c.t.fs.Open(dir + string(os.PathSeparator) + fileName(c.index, e.length, e.gen))
	if err != nil {
		return err
	}
	c.f = f
	size, err := f.Size()
	if err != nil {
		return err
	}
	n := size - int64(e.length)
	if n <= 0 || n > int64(4*blocks(int(e.length))+maxKey+footerSize) {
		return fmt.Errorf("a file of %d bytes: %w", size, chunk.ErrCorrupt)
	}
	b := make([]byte, n)
	if err := c.readFull(b, int64(e.length)); err != nil {
		return err
	}
	c.end, err = parseTrailer(b, int(e.length))
	if err != nil {
		return err
	}
	if c.end.index != int(c.index) || c.end.key != key && !aliased(c.t.fs, dir, key, c.end.key) {
		return fmt.Errorf("the trailer of another chunk: %w", chunk.ErrCorrupt)
	}
	return nil
}

func (c *Chunk) readFull(b []byte, off int64) error {
	n, err := c.f.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return fmt.Errorf("the file is too short: %w", chunk.ErrCorrupt)
	}
	return err
}

// learn notes what reading has shown.
func (t *Tier) learn(c *Chunk) {
	s := t.shardOf(c.o)
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[c.o]
	if o == nil {
		return
	}
	if e, ok := o.chunks[c.index]; ok && e.gen == c.gen {
		e.known, e.digest = true, c.end.digest
		if c.verified {
			e.state = stVerified
		}
		o.chunks[c.index] = e
	}
}

// Len returns the chunk's bytes.
func (c *Chunk) Len() int { return c.end.length }

// Digest returns the digest that the trailer holds.
func (c *Chunk) Digest() chunk.Digest { return c.end.digest }

// Verified says whether all of the chunk has been checked since Open.
func (c *Chunk) Verified() bool { return c.verified }

// File returns the open file, for sendfile; the chunk's bytes are the first Len
// of it. It is the Chunk's own: its offset is shared with nobody.
func (c *Chunk) File() (*os.File, bool) { return c.f.OS() }

// Block reads the chunk's bytes from off to the end of buf, which must have room
// for one block, as far as they fall in whole blocks that fit; each is checked
// first. A block is read whole, so buf may be overwritten before the bytes that
// are returned. chunk.ErrCorrupt: a crc is wrong.
func (c *Chunk) Block(buf []byte, off int) ([]byte, error) {
	if off < 0 || off >= c.end.length {
		return nil, fmt.Errorf("read at %d of %d: %w", off, c.end.length, chunk.ErrRange)
	}
	first := off / BlockSize
	start := first * BlockSize
	want := min(c.end.length-start, max(len(buf)/BlockSize, 1)*BlockSize)
	if want > len(buf) { // a small buffer: the block is read beside it
		b, err := c.checked(make([]byte, want), first)
		if err != nil {
			return nil, err
		}
		return buf[:copy(buf, b[off-start:])], nil
	}
	b, err := c.checked(buf[:want], first)
	if err != nil {
		return nil, err
	}
	return b[off-start:], nil
}

// checked fills b with whole blocks from the first one on.
func (c *Chunk) checked(b []byte, first int) ([]byte, error) {
	if err := c.readFull(b, int64(first)*BlockSize); err != nil {
		return nil, err
	}
	for i := 0; i*BlockSize < len(b); i++ {
		if castagnoli(b[i*BlockSize:min(len(b), (i+1)*BlockSize)]) != c.end.crcs[first+i] {
			return nil, fmt.Errorf("block %d of chunk %d: %w", first+i, c.index, chunk.ErrCorrupt)
		}
	}
	return b, nil
}

// Verify checks all of the chunk, once: crcs and digest.
func (c *Chunk) Verify() error {
	if c.verified {
		return nil
	}
	h := blake3.New(32, nil)
	buf := make([]byte, min(4*BlockSize, c.end.length))
	for off := 0; off < c.end.length; {
		b, err := c.Block(buf, off)
		if err != nil {
			return err
		}
		_, _ = h.Write(b) // never fails
		off += len(b)
	}
	if chunk.Digest(h.Sum(nil)) != c.end.digest {
		return fmt.Errorf("chunk %d: wrong digest: %w", c.index, chunk.ErrCorrupt)
	}
	c.verified = true
	c.t.learn(c)
	return nil
}

// Close lets go of the chunk. It may be called twice.
func (c *Chunk) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	var err error
	if c.f != nil {
		err = c.f.Close()
	}
	s := &c.t.space
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.pin.n--; c.pin.n == 0 && c.pin.gone {
		s.bytes -= c.pin.cost
	}
	return err
}
