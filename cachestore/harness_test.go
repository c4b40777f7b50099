package cachestore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"lukechampine.com/blake3"

	"glimpse/cachestore/chunk"
	"glimpse/cachestore/disk"
	"glimpse/cachestore/evict"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const kib = 1 << 10

var small = chunk.Geometry{Chunk: 64 * kib, Extent: 4}

// origin is a source of one object that counts, waits, lies and breaks on demand.
type origin struct {
	data []byte

	mu    sync.Mutex
	reads int64 // bytes given
	opens int
	gate  func(off int64)                 // called before the bytes at off are given
	piece func(p chunk.Piece) chunk.Piece // changes what is given
	fail  func(off int64) error           // ends the stream
	limit int64                           // >0: gives no byte from here on, and then EOF
	extra bool                            // gives one byte too many
}

func (o *origin) OpenRange(ctx context.Context, _ chunk.Object, off, n int64) (chunk.Stream, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.opens++
	if n < 0 {
		n = int64(len(o.data)) - off
	}
	return &originStream{o: o, ctx: ctx, off: off, end: off + n}, nil
}

func (o *origin) given() (bytes int64, opens int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.reads, o.opens
}

type originStream struct {
	o        *origin
	ctx      context.Context
	off, end int64
}

func (s *originStream) Next() (chunk.Piece, error) {
	s.o.mu.Lock()
	gate, fail, alter := s.o.gate, s.o.fail, s.o.piece
	s.o.mu.Unlock()
	if gate != nil {
		gate(s.off)
	}
	if err := s.ctx.Err(); err != nil {
		return chunk.Piece{}, err
	}
	if fail != nil {
		if err := fail(s.off); err != nil {
			return chunk.Piece{}, err
		}
	}
	if s.o.limit > 0 && s.off >= s.o.limit {
		return chunk.Piece{}, io.EOF
	}
	if s.off >= s.end {
		if s.o.extra {
			return chunk.Piece{Index: small.Index(s.off), Off: s.off, Len: 1, Data: []byte{1}}, nil
		}
		return chunk.Piece{}, io.EOF
	}
	index := small.Index(s.off)
	end := min(s.off+16*kib, s.end, small.Off(index+1))
	p := chunk.Piece{Index: index, Off: s.off, Len: end - s.off, Data: bytes.Clone(s.o.data[s.off:end])}
	if alter != nil {
		p = alter(p)
	}
	s.off = end
	s.o.mu.Lock()
	s.o.reads += p.Len
	s.o.mu.Unlock()
	return p, nil
}

func (s *originStream) Close() error { return nil }

// image returns n bytes without a chunk of zeros.
func image(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	_, _ = r.Read(b)
	return b
}

func object(data []byte) chunk.Object {
	return chunk.Object{Key: "p:test", Size: int64(len(data)), Validator: "v1"}
}

// manifest promises the digests of data.
type manifest []byte

func (m manifest) Segment(_ context.Context, _ chunk.Key, seg, count int) (chunk.Segment, error) {
	s := chunk.NewSegment(min(chunk.SegmentChunks, count-seg*chunk.SegmentChunks))
	for i := range s.Chunks() {
		b := m[small.Off(seg*chunk.SegmentChunks+i):]
		b = b[:min(int64(len(b)), small.Chunk)]
		if chunk.IsZero(b) {
			s.SetZero(i)
		} else {
			s.Set(i, blake3.Sum256(b))
		}
	}
	return s, nil
}

func config(slabs int) Config {
	return Config{Geometry: small, Memory: int64(slabs) * small.Chunk, ReadAhead: 4, FillStreams: 2}
}

// start opens a store over a disk twin (nil: none) and closes it with the test.
func start(t *testing.T, c Config, d tier) *Store {
	t.Helper()
	c = c.withDefaults()
	if err := c.check(); err != nil {
		t.Fatal(err)
	}
	s, err := open(c, evict.NewS3FIFO[id](evict.DefaultSmall), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(context.Background()); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// fetch reads a range by WriteTo.
func fetch(ctx context.Context, l *Level, o chunk.Object, off, n int64) ([]byte, error) {
	b, err := l.Open(ctx, o, off, n)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	var buf bytes.Buffer
	_, err = b.WriteTo(&buf)
	return buf.Bytes(), err
}

func mustFetch(t *testing.T, l *Level, o chunk.Object, off, n int64, want []byte) {
	t.Helper()
	got, err := fetch(t.Context(), l, o, off, n)
	if err != nil {
		t.Fatalf("range %d+%d: %v", off, n, err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("range %d+%d: got %d bytes that are not the %d wanted", off, n, len(got), len(want))
	}
}

// twin is a disk in memory that can fail.
type twin struct {
	mu     sync.Mutex
	m      map[id]*twinChunk
	zeros  map[id]bool
	about  map[chunk.Key]chunk.Object
	fail   error
	full   bool
	block  chan struct{} // closed to let writes go on; nil: they don't wait
	writes int
	reads  int
}

func newTwin() *twin {
	return &twin{m: map[id]*twinChunk{}, zeros: map[id]bool{}, about: map[chunk.Key]chunk.Object{}}
}

type twinChunk struct {
	b        []byte
	d        chunk.Digest
	verified bool
	bad      int // Block fails from this offset on; 0: never
}

var errBad = errors.New("crc mismatch")

func (t *twin) Has(key chunk.Key, i int) (chunk.Digest, int, bool, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.zeros[id{key, i}] {
		return chunk.Digest{}, 0, true, true
	}
	c := t.m[id{key, i}]
	if c == nil {
		return chunk.Digest{}, 0, false, false
	}
	return c.d, len(c.b), false, true
}

func (t *twin) Read(_ context.Context, key chunk.Key, i int) (diskChunk, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reads++
	if c := t.m[id{key, i}]; c != nil {
		return c, nil
	}
	return nil, disk.ErrMiss
}

func (t *twin) Reserve(int) bool { t.mu.Lock(); defer t.mu.Unlock(); return !t.full }

func (t *twin) Write(ctx context.Context, key chunk.Key, i int, data []byte, d chunk.Digest) error {
	t.mu.Lock()
	block := t.block
	t.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fail != nil {
		return t.fail
	}
	t.writes++
	t.m[id{key, i}] = &twinChunk{b: bytes.Clone(data), d: d}
	return nil
}

func (t *twin) MarkZero(key chunk.Key, i int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fail == nil {
		t.zeros[id{key, i}] = true
	}
	return t.fail
}

func (t *twin) Admit(chunk.Key, int) bool { return true }
func (t *twin) Touch(chunk.Key, int)      {}

func (t *twin) Remove(key chunk.Key, i int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.m, id{key, i})
	delete(t.zeros, id{key, i})
}

func (t *twin) Quarantine(key chunk.Key, i int) { t.Remove(key, i) }

func (t *twin) Drop(key chunk.Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k := range t.m {
		if k.key == key {
			delete(t.m, k)
		}
	}
	for k := range t.zeros {
		if k.key == key {
			delete(t.zeros, k)
		}
	}
}

func (t *twin) Rename(from, to chunk.Key) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, c := range t.m {
		if k.key == from {
			delete(t.m, k)
			t.m[id{to, k.index}] = c
		}
	}
	return nil
}

func (t *twin) Describe(o chunk.Object) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.about[o.Key] = o
}

func (t *twin) Objects() (all []chunk.Object) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k := range t.m {
		if o, ok := t.about[k.key]; ok {
			all = append(all, o)
		}
	}
	return all
}

func (t *twin) Bytes() (int64, int64)       { return 0, 0 }
func (t *twin) Close(context.Context) error { return nil }

func (t *twin) count() int { t.mu.Lock(); defer t.mu.Unlock(); return len(t.m) }

const twinBlock = 16 * kib // so that a small chunk has several

func (c *twinChunk) Len() int             { return len(c.b) }
func (c *twinChunk) Digest() chunk.Digest { return c.d }
func (c *twinChunk) Block(buf []byte, off int) ([]byte, error) {
	if n := copy(buf, c.b[off:min(len(c.b), off/twinBlock*twinBlock+twinBlock)]); c.bad == 0 || off+n <= c.bad {
		return buf[:n], nil
	}
	return nil, errBad
}
func (c *twinChunk) File() (*os.File, bool) { return nil, false }
func (c *twinChunk) Verify() error {
	if c.bad != 0 {
		return errBad
	}
	c.verified = true
	return nil
}
func (c *twinChunk) Close() error { return nil }

// eventually waits for a condition that other goroutines bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for i := 0; !ok(); i++ {
		if i > 5000 {
			t.Fatalf("never: %s", what)
		}
		yield()
	}
}
