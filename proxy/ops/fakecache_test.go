package ops

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"glimpse/cachestore/chunk"
)

// fakeCache keeps nothing of what it reads, and all that an upload publishes.
type fakeCache struct {
	origin chunk.Source

	mu        sync.Mutex
	out, most int // buffers on loan, and the most there were
	published map[chunk.Key]map[int][]byte
	resident  map[chunk.Key]map[int][]byte // what Peek finds
	promoted  map[chunk.Key]chunk.Key
	dropped   []chunk.Key
}

func newFakeCache() *fakeCache {
	return &fakeCache{published: map[chunk.Key]map[int][]byte{}, resident: map[chunk.Key]map[int][]byte{}, promoted: map[chunk.Key]chunk.Key{}}
}

func (c *fakeCache) lent() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out
}

func (c *fakeCache) Open(ctx context.Context, o chunk.Object, off, n int64) (chunk.Body, error) {
	s, err := c.origin.OpenRange(ctx, o, off, n)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var all bytes.Buffer
	for {
		p, err := s.Next()
		if errors.Is(err, io.EOF) {
			return fakeBody{&all}, nil
		}
		if err != nil {
			return nil, err
		}
		all.Write(p.Data)
	}
}

type fakeBody struct{ *bytes.Buffer }

func (fakeBody) Close() error { return nil }

func (c *fakeCache) Peek(_ context.Context, o chunk.Object, index int, fn func([]byte) error) (bool, error) {
	c.mu.Lock()
	b, ok := c.resident[o.Key][index]
	c.mu.Unlock()
	if !ok {
		return false, nil
	}
	return true, fn(b)
}

// reside makes a chunk resident, as a fill would.
func (c *fakeCache) reside(k chunk.Key, index int, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.resident[k] == nil {
		c.resident[k] = map[int][]byte{}
	}
	c.resident[k][index] = b
}

func (c *fakeCache) Promote(from chunk.Key, to chunk.Object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.promoted[from] = to.Key
}

func (c *fakeCache) Drop(k chunk.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped = append(c.dropped, k)
}

func (c *fakeCache) UploadQuota() int { return 8 }

func (c *fakeCache) NewWriter(string, bool) chunk.Writer {
	return &fakeWriter{c: c, kept: map[int][]byte{}}
}

type fakeWriter struct {
	c    *fakeCache
	kept map[int][]byte
}

type fakeBuffer struct {
	c *fakeCache
	b []byte
}

func (b *fakeBuffer) Bytes() []byte { return b.b }
func (b *fakeBuffer) Release() {
	b.c.mu.Lock()
	defer b.c.mu.Unlock()
	b.c.out--
}

func (w *fakeWriter) Buffers(ctx context.Context, n int) (list []chunk.Buffer, err error) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	for range n {
		w.c.out++
		w.c.most = max(w.c.most, w.c.out)
		list = append(list, &fakeBuffer{w.c, make([]byte, geometry.Chunk)})
	}
	return list, ctx.Err()
}

func (w *fakeWriter) Keep(index int, b chunk.Buffer, n int, _ chunk.Digest, _ bool) {
	w.kept[index] = bytes.Clone(b.Bytes()[:n])
	b.Release()
}

func (w *fakeWriter) Publish(o chunk.Object) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.c.published[o.Key] = w.kept
}

func (w *fakeWriter) Cancel() { w.kept = nil }

// scarce is a cache that has a buffer for every other request only; the others
// wait until they give up.
type scarce struct {
	*fakeCache
	asked int
}

func (c *scarce) NewWriter(token string, memoryOnly bool) chunk.Writer {
	return &scarceWriter{c.fakeCache.NewWriter(token, memoryOnly), c}
}

type scarceWriter struct {
	chunk.Writer
	c *scarce
}

func (w *scarceWriter) Buffers(ctx context.Context, n int) ([]chunk.Buffer, error) {
	if w.c.asked++; w.c.asked%2 == 1 {
		return w.Writer.Buffers(ctx, n)
	}
	<-ctx.Done()
	return nil, context.Cause(ctx)
}
