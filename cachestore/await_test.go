package cachestore

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"glimpse/cachestore/chunk"
)

// popular fills the memory with chunks that are read often.
func popular(t *testing.T, s *Store) {
	t.Helper()
	data := image(s.pool.total * 64 * kib)
	o := object(data)
	o.Key = "p:popular"
	l := s.Level("home", &origin{data: data})
	for off := int64(0); off < o.Size; off += 64 * kib {
		for range 3 {
			mustFetch(t, l, o, off, 64*kib, data[off:off+64*kib])
		}
	}
}

// cold opens an image that nobody else reads.
func cold(t *testing.T, s *Store, name string, data []byte) (*reader, *origin) {
	t.Helper()
	from, o := &origin{data: data}, object(data)
	o.Key = chunk.Key("p:" + name)
	b, err := s.Level("client", s.Level("zone", s.Level("home", from))).Open(t.Context(), o, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b.(*reader), from
}

// step reads n bytes at off, and lets what the reader asked for come in before it
// goes on: it is as slow as a reader can be.
func step(t *testing.T, r *reader, data []byte, off, n int) {
	t.Helper()
	want := data[off:min(off+n, len(data))]
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes at %d: %v", len(got), off, err)
	}
	eventually(t, "what was asked for is there", func() bool {
		for _, f := range r.window.fills {
			if !f.ended() {
				return false
			}
		}
		return r.cur.fill == nil || r.cur.fill.ended()
	})
}

// crowd takes all buffers that an upload gets, and keeps chunks in them.
func crowd(t *testing.T, s *Store) {
	t.Helper()
	w := s.NewWriter("token", true)
	defer w.Cancel()
	var all []*slab
	for {
		sl, _ := s.pool.try(want{class: classUpload, n: 1})
		if sl == nil {
			break
		}
		all = append(all, sl)
	}
	if len(all) == 0 {
		t.Fatal("an upload got no buffer")
	}
	for i, sl := range all {
		sl.b[0] = 1
		w.Keep(i, &buffer{s: s, slab: sl}, 64*kib, digest(sl.b), false)
	}
}

// What a slow reader is at, and what it has asked for ahead, is not given up for
// what comes behind it, for what is popular, or for uploads.
func TestReadAheadIsReadOnce(t *testing.T) {
	full := newTwin()
	full.full = true
	for name, d := range map[string]tier{"memory": nil, "a full disk": full} {
		for _, uploads := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, uploads %v", name, uploads), func(t *testing.T) {
				s := start(t, config(16), d)
				popular(t, s)
				data := image(40*64*kib - 5)
				r, from := cold(t, s, "cold", data)
				for off := 0; off < len(data); off += 32 * kib {
					step(t, r, data, off, 32*kib)
					if uploads {
						crowd(t, s)
					}
				}
				if n, _ := from.given(); n != int64(len(data)) {
					t.Errorf("the origin gave %d bytes of %d", n, len(data))
				}
			})
		}
	}
}

// However many slow readers there are, their windows shrink to what memory keeps
// for them: what is read twice is a chunk each, of when the windows were larger.
func TestWindowsFitMemory(t *testing.T) {
	const readers, chunks = 12, 40
	s := start(t, config(32), nil)
	popular(t, s)
	data := image(chunks * 64 * kib)
	var rs [readers]*reader
	var from [readers]*origin
	for i := range rs {
		rs[i], from[i] = cold(t, s, fmt.Sprint("cold ", i), data)
	}
	for off := 0; off < len(data); off += 64 * kib {
		for _, r := range rs {
			step(t, r, data, off, 64*kib)
		}
	}
	twice := int64(0)
	for _, o := range from {
		n, _ := o.given()
		twice += n/(64*kib) - chunks
	}
	if twice > 2*readers {
		t.Errorf("%d readers of %d chunks had %d of them read twice", readers, chunks, twice)
	}
}

// Readers that have come to a stand don't keep one that goes on from reading ahead,
// and get on when they want to.
func TestStalledReadersMakeRoom(t *testing.T) {
	s := start(t, config(16), nil)
	popular(t, s)
	data := image(80 * 64 * kib)
	var stalled [6]*reader
	for i := range stalled {
		stalled[i], _ = cold(t, s, fmt.Sprint("stalled ", i), data)
		step(t, stalled[i], data, 0, 64*kib)
	}
	r, from := cold(t, s, "scan", data)
	for off := 0; off < len(data); off += 64 * kib {
		step(t, r, data, off, 64*kib)
		if ahead := len(r.window.fills); off == len(data)/2 && ahead < 2 {
			t.Errorf("%d chunks ahead", ahead)
		}
	}
	if n, _ := from.given(); n != int64(len(data)) {
		t.Errorf("the origin gave %d bytes of %d", n, len(data))
	}
	for _, r := range stalled {
		for off := 64 * kib; off < len(data); off += 64 * kib {
			step(t, r, data, off, 64*kib)
		}
	}
}

// Readers that stand still in the middle of their chunks keep no slab from an
// upload but those that it has to leave, and none from a fill of home.
func TestAwaitedIsNoPin(t *testing.T) {
	s := start(t, config(16), nil)
	data := image(2 * 64 * kib)
	for i := range 20 {
		r, _ := cold(t, s, fmt.Sprint("stalled ", i), data)
		step(t, r, data, 0, 32*kib)
	}
	eventually(t, "nothing is on its way", func() bool { return s.pool.idle() == 16 })
	var held []*slab
	take := func(c class, all int) {
		t.Helper()
		got := 0
		for {
			sl, _ := s.pool.try(want{class: c, n: 1})
			if sl == nil {
				break
			}
			held = append(held, sl)
			got++
		}
		if got != all {
			t.Errorf("class %d got %d slabs of %d", c, got, all)
		}
	}
	take(classUpload, 8)
	take(classClient, 4)
	take(classHome, 4)
	for _, sl := range held {
		s.pool.put(sl)
	}
}
