package ops

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/backends/mem"
	"glimpse/registry/image"
)

// part is two chunks.
const part = 128

func partedBench(t *testing.T, change func(*mem.Parted) backends.Store) (*bench, *mem.Parted) {
	t.Helper()
	s := mem.NewParted("m", part)
	b := newBench(t, func(c *Config) { c.Stores[0].Backend = change(s) })
	b.store = s.Store
	return b, s
}

func TestAnUploadInPartsHoldsOneAtTheMost(t *testing.T) {
	for _, size := range []int{0, 1, 63, 64, 65, part - 1, part, part + 1, 4 * part, 4*part + 1, 7 * part} {
		for _, announced := range []int64{int64(size), -1} {
			b, _ := partedBench(t, func(s *mem.Parted) backends.Store { return s })
			data := backendtest.Bytes(size)
			m, err := b.upload(b.queued(nil), bytes.NewReader(data), announced)
			if err != nil {
				t.Fatalf("%d bytes, %d announced: %v", size, announced, err)
			}
			if got, err := b.read(m); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes, %d announced: %d came back, %v", size, announced, len(got), err)
			}
			held, want := b.cache.most, 2
			if size >= 4*part {
				want = 4 // from then on parts are twice as large
			}
			if b.cache.lent() != 0 || held > want || announced > 0 && size < part && held != (size+63)/64 {
				t.Errorf("%d bytes, %d announced: %d buffers held at once, %d left", size, announced, held, b.cache.lent())
			}
		}
	}
}

// failingStore refuses the second part.
type failingStore struct {
	*mem.Parted
	parts *int
}

func (s failingStore) Create(ctx context.Context, key string, size int64) (backends.Writer, error) {
	w, err := s.Parted.Create(ctx, key, size)
	if err != nil {
		return nil, err
	}
	return failingWriter{w.(backends.PartWriter), s.parts}, nil
}

type failingWriter struct {
	backends.PartWriter
	parts *int
}

func (w failingWriter) WritePart(bufs ...[]byte) error {
	if *w.parts++; *w.parts == 2 {
		return backends.ErrFull
	}
	return w.PartWriter.WritePart(bufs...)
}

// counted counts what is read of a body.
type counted struct {
	io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

func TestAPartThatIsRefusedEndsTheReading(t *testing.T) {
	parts := 0
	b, _ := partedBench(t, func(s *mem.Parted) backends.Store { return failingStore{s, &parts} })
	m, body := b.queued(nil), &counted{Reader: bytes.NewReader(make([]byte, 100*part))}
	if _, err := b.upload(m, body, -1); image.KindOf(err) != image.TooLarge || parts != 2 {
		t.Errorf("got %v after %d parts", err, parts)
	}
	if body.n > 2*part {
		t.Errorf("%d bytes were read on", body.n)
	}
	b.clean(m.ID)
}

// An origin that takes bytes as they come ends the reading too.
func TestAWriteThatIsRefusedEndsTheReading(t *testing.T) {
	b := newBench(t, func(c *Config) {
		c.Stores[0].Backend = &breaking{Store: c.Stores[0].Backend, write: backends.ErrFull}
	})
	m, body := b.queued(nil), &counted{Reader: bytes.NewReader(make([]byte, 100_000))}
	if _, err := b.upload(m, body, -1); image.KindOf(err) != image.TooLarge {
		t.Errorf("got %v", err)
	}
	if body.n > 64*(ahead+3) {
		t.Errorf("%d bytes were read", body.n)
	}
	b.clean(m.ID)
}

// The rest of a body that broke off is not sent: it would only be removed again.
func TestABrokenBodyIsNotSent(t *testing.T) {
	parts := 10
	b, _ := partedBench(t, func(s *mem.Parted) backends.Store { return failingStore{s, &parts} })
	m := b.queued(nil)
	broken := io.MultiReader(bytes.NewReader(make([]byte, 100)), errorReader{})
	if _, err := b.upload(m, broken, -1); err == nil || parts != 10 {
		t.Errorf("got %v, %d parts sent", err, parts-10)
	}
	b.clean(m.ID)
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, errors.New("reset") }

func TestPartsFitTheQuota(t *testing.T) {
	for size, ok := range map[int64]bool{64: true, 256: true, 320: false, 100: false} { // the quota is 8 chunks of 64
		b := newBench(t, func(c *Config) { c.Stores[0].Backend = mem.NewParted("m", size) })
		err := b.CheckParts()
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "stores.main") {
			t.Errorf("parts of %d bytes: %v", size, err)
		}
	}
}
