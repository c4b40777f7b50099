package cachestore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"glimpse/cachestore/chunk"
)

// ranges notes what a source is asked for.
type ranges struct {
	origin

	mu    sync.Mutex
	asked [][2]int64
}

func (r *ranges) OpenRange(ctx context.Context, o chunk.Object, off, n int64) (chunk.Stream, error) {
	r.mu.Lock()
	r.asked = append(r.asked, [2]int64{off, n})
	r.mu.Unlock()
	return r.origin.OpenRange(ctx, o, off, n)
}

// gather reads a stream to its end.
func gather(st chunk.Stream, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer st.Close()
	var b bytes.Buffer
	for {
		p, err := st.Next()
		if errors.Is(err, io.EOF) {
			return b.Bytes(), nil
		}
		if err != nil {
			return b.Bytes(), err
		}
		b.Write(p.Data)
		if p.Zero {
			b.Write(make([]byte, p.Len))
		}
	}
}

// Two extents of four chunks and a bit, of which this node owns the odd ones.
func TestEachExtentComesFromItsOwner(t *testing.T) {
	data := image(9*int(small.Chunk) + 100)
	o := object(data)
	home, outside := &ranges{origin: origin{data: data}}, &ranges{origin: origin{data: data}}
	d := newTwin()
	s := start(t, config(32), d)
	inner := s.Level("home", home)
	odd := func(_ chunk.Object, extent int) bool { return extent%2 == 1 }
	l := s.LevelBefore("client", inner, Outside{Source: outside, Owns: odd, Keep: odd})
	mustFetch(t, l, o, 0, -1, data)

	ofOdd, _ := home.given()
	others, _ := outside.given()
	if want := 4 * small.Chunk; ofOdd != want || others != o.Size-want {
		t.Errorf("home gave %d bytes and outside %d, of %d", ofOdd, others, o.Size)
	}
	for _, r := range append(home.asked, outside.asked...) {
		if first, last := small.ExtentOf(small.Index(r[0])), small.ExtentOf(small.Index(r[0]+r[1]-1)); first != last {
			t.Errorf("one stream was asked for %d bytes at %d, over the border of an extent", r[1], r[0])
		}
	}
	mustFetch(t, l, o, 0, -1, data)
	if again, _ := home.given(); again != ofOdd {
		t.Errorf("the second time home gave %d bytes", again-ofOdd)
	}
	stop(t, s) // the disk has what it is to have
	for i := range small.Count(o.Size) {
		if _, _, _, ok := d.Has(o.Key, i); ok != odd(o, small.ExtentOf(i)) {
			t.Errorf("chunk %d on disk: %v", i, ok)
		}
	}
}

func yes(int) bool { return true }

func TestOnlyWhatIsThereIsGiven(t *testing.T) {
	data := image(3 * int(small.Chunk))
	o := object(data)
	from := &ranges{origin: origin{data: data}}
	s := start(t, Config{Geometry: small, Memory: 16 * small.Chunk}, newTwin())
	l := s.Level("home", from)
	if _, err := l.OpenResident(t.Context(), o, 0, -1, yes); !errors.Is(err, chunk.ErrNotResident) {
		t.Fatalf("of an empty store: %v", err)
	}
	mustFetch(t, l, o, 0, 1, data[:1]) // the first chunk
	got, err := gather(l.OpenResident(t.Context(), o, 0, -1, yes))
	if !errors.Is(err, chunk.ErrNotResident) || !bytes.Equal(got, data[:small.Chunk]) {
		t.Errorf("%d bytes and %v, want the first chunk and then no more", len(got), err)
	}
	if _, opens := from.given(); opens != 1 {
		t.Errorf("the origin was opened %d times", opens)
	}

	// A chunk on its way is followed.
	begun, on := make(chan struct{}), make(chan struct{})
	var once sync.Once
	from.origin.mu.Lock()
	from.gate = func(int64) { once.Do(func() { close(begun) }); <-on }
	from.origin.mu.Unlock()
	whole := make(chan error, 1)
	go func() {
		_, err := fetch(context.Background(), l, o, small.Chunk, 10)
		whole <- err
	}()
	<-begun
	if _, err := l.OpenResident(t.Context(), o, small.Chunk, small.Chunk, func(int) bool { return false }); !errors.Is(err, chunk.ErrNotResident) {
		t.Errorf("of a chunk on its way, not to be followed: %v", err)
	}
	st, err := l.OpenResident(t.Context(), o, small.Chunk, small.Chunk, yes)
	close(on)
	if got, err := gather(st, err); err != nil || !bytes.Equal(got, data[small.Chunk:2*small.Chunk]) {
		t.Errorf("of a chunk on its way: %d bytes, %v", len(got), err)
	}
	if err := <-whole; err != nil {
		t.Error(err)
	}
	if _, opens := from.given(); opens != 2 {
		t.Errorf("the origin was opened %d times", opens)
	}
	if st := s.Stats(); st.SentMemory+st.SentDisk+st.SentOrigin > 12 {
		t.Errorf("bytes that went to no client were counted: %+v", st)
	}
}
