package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func read(t *testing.T, r io.Reader) Frame {
	t.Helper()
	f, err := Read(r, make([]byte, FrameBytes))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAPieceCrossesInGroups(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcde"), 10000)
	p := chunk.Piece{Index: 3, Off: 1 << 41, Len: int64(len(data)), Data: data, Digest: chunk.Digest{1, 2}}
	var b []byte
	rest := p
	for rest.Len > 0 {
		b, rest = AppendPiece(b, rest)
	}
	zero := chunk.Piece{Index: 4, Off: p.Off + p.Len, Zero: true, Len: 4 << 20}
	b, rest = AppendPiece(b, zero)
	if rest.Len > 0 {
		t.Fatal("a mark of zeros is cut")
	}
	b = Append(b, End, nil, nil)

	r := bytes.NewReader(b)
	var got []byte
	for len(got) < len(data) {
		q, err := read(t, r).Piece()
		if err != nil {
			t.Fatal(err)
		}
		if q.Off != p.Off+int64(len(got)) || q.Index != 3 || q.Digest != p.Digest || q.Len > GroupBytes {
			t.Fatalf("%+v", q)
		}
		got = append(got, q.Data...)
	}
	if !bytes.Equal(got, data) {
		t.Error("other bytes")
	}
	if q, err := read(t, r).Piece(); err != nil || !cmp.Equal(q, zero) {
		t.Errorf("%+v, %v", q, err)
	}
	if f := read(t, r); f.Type != End {
		t.Errorf("type %d", f.Type)
	}
	if _, err := Read(r, make([]byte, FrameBytes)); !errors.Is(err, io.EOF) {
		t.Errorf("after the last frame: %v", err)
	}
}

func TestAFlippedBitAnywhereIsFound(t *testing.T) {
	b, _ := AppendPiece(nil, chunk.Piece{Index: 1, Off: 64, Len: 100, Data: make([]byte, 100), Digest: chunk.Digest{9}})
	for i := range len(b) * 8 {
		bad := bytes.Clone(b)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := Read(bytes.NewReader(bad), make([]byte, FrameBytes)); err == nil {
			t.Errorf("bit %d", i)
		}
	}
	for n := range b {
		if _, err := Read(bytes.NewReader(b[:n]), make([]byte, FrameBytes)); n > 0 && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
	}
}

func TestOnlyWhatWasAskedForIsTaken(t *testing.T) {
	at := func(index int, off, n int64) chunk.Piece {
		return chunk.Piece{Index: index, Off: off, Len: n, Zero: true}
	}
	for name, p := range map[string]chunk.Piece{
		"a gap":         at(1, 110, 10),
		"again":         at(0, 90, 10),
		"two chunks":    at(1, 100, 101),
		"another chunk": at(2, 100, 10),
		"empty":         at(1, 100, 0),
		"negative":      at(1, 100, -1),
		"wrong length":  {Index: 1, Off: 100, Len: 2, Data: []byte{1}},
	} {
		if tr := (Track{Pos: 100, End: 250, Chunk: 100}); !errors.Is(tr.Take(p), ErrGarbage) || tr.Pos != 100 {
			t.Error(name)
		}
	}
	tr := Track{Pos: 100, End: 250, Chunk: 100}
	if err := errors.Join(tr.Take(at(1, 100, 100)), tr.Take(at(2, 200, 20))); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(tr.Done(), ErrGarbage) || !errors.Is(tr.Take(at(2, 220, 31)), ErrGarbage) {
		t.Error("too little or too much passes")
	}
	if err := errors.Join(tr.Take(at(2, 220, 30)), tr.Done()); err != nil {
		t.Error(err)
	}
}

func TestAFormThatNobodyOfferedIsRefused(t *testing.T) {
	var head [pieceHead]byte
	head[12] = 3
	f := read(t, bytes.NewReader(appendFrame(nil, Piece, 2, head[:], []byte("abc"))))
	if p, err := f.Piece(); !errors.Is(err, ErrGarbage) {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestErrorsKeepTheirKind(t *testing.T) {
	for _, want := range []error{
		cluster.ErrCannot, cluster.ErrNotResident, chunk.ErrChanged, chunk.ErrNotFound, chunk.ErrCorrupt, chunk.ErrMended, chunk.ErrRange, chunk.ErrUnavailable,
	} {
		got := DecodeError(EncodeError(fmt.Errorf("at http://user:secret@host/: %w", want)))
		if !errors.Is(got, want) || strings.Contains(got.Error(), "secret") || errors.Is(got, cluster.ErrAway) {
			t.Errorf("%v became %v", want, got)
		}
	}
	var other *cluster.AskOther
	if err := DecodeError(EncodeError(&cluster.AskOther{ID: "n7"})); !errors.As(err, &other) || other.ID != "n7" {
		t.Errorf("ask other became %v", err)
	}
	// The third node that does not answer is not the one which was asked.
	if err := DecodeError(EncodeError(cluster.ErrAway)); errors.Is(err, cluster.ErrAway) || !errors.Is(err, chunk.ErrUnavailable) {
		t.Errorf("away became %v", err)
	}
	if err := DecodeError([]byte{200}); !errors.Is(err, chunk.ErrUnavailable) {
		t.Errorf("a later kind: %v", err)
	}
	// A later version's heads are longer.
	for _, want := range []error{chunk.ErrChanged, chunk.ErrUnavailable, &cluster.AskOther{ID: "n7"}} {
		if got := DecodeError(append(EncodeError(want), "\x00more"...)); !errors.Is(got, want) && !(errors.As(got, &other) && other.ID == "n7") {
			t.Errorf("%v with more became %v", want, got)
		}
	}
	for _, bad := range []string{"", "\x00more", strings.Repeat("i", maxID+1)} {
		if err := DecodeError(append([]byte{kindOther}, bad...)); !errors.Is(err, ErrGarbage) {
			t.Errorf("the id %q: %v", bad, err)
		}
	}
}

var geo = chunk.Geometry{Chunk: 1 << 20, Extent: 4}

func good() Ask {
	return Ask{
		Ask: cluster.Ask{
			Object:   chunk.Object{Key: "p:1", Size: 9 << 20, Validator: "\"\xff\xfe\"", Ref: "img/1"},
			Geometry: geo, Level: cluster.Home, ResidentOnly: true, From: "a", Peer: "10.0.0.1:9293",
		},
		To: "b", Off: 4 << 20, N: 4 << 20,
	}
}

func TestAnAskArrivesAsItWas(t *testing.T) {
	a := good()
	b, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(b)
	if err != nil || !cmp.Equal(got, a) {
		t.Error(err, cmp.Diff(a, got))
	}
	if err := got.CheckOpen(geo); err != nil {
		t.Error(err)
	}
	whole := a
	whole.Object.Size, whole.Off, whole.N = -1, 0, -1
	if err := whole.CheckOpen(geo); err != nil {
		t.Error("all of an object of unknown size:", err)
	}
	tr := NewTrack(whole)
	if err := errors.Join(tr.Take(chunk.Piece{Len: 7, Zero: true}), tr.Done()); err != nil {
		t.Error(err)
	}
	later := append([]byte(`{"of a later version":1,`), b[1:]...)
	if got, err := Decode(later); err != nil || !cmp.Equal(got, a) {
		t.Error("with an unknown field:", err)
	}
}

func TestBadAsksAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*Ask)
		want  error
	}{
		"geometry":       {func(a *Ask) { a.Geometry.Extent = 16 }, ErrGeometry},
		"no level":       {func(a *Ask) { a.Level = 0 }, ErrGarbage},
		"two extents":    {func(a *Ask) { a.N++ }, ErrGarbage},
		"nothing":        {func(a *Ask) { a.N = 0 }, ErrGarbage},
		"all":            {func(a *Ask) { a.N = -1 }, ErrGarbage},
		"before":         {func(a *Ask) { a.Off = -1 }, ErrGarbage},
		"far":            {func(a *Ask) { a.Off, a.N = 1<<63-1, 1<<63-1 }, ErrGarbage},
		"huge":           {func(a *Ask) { a.N = 1 << 62 }, ErrGarbage},
		"past the end":   {func(a *Ask) { a.Off = 8 << 20; a.N = 2 << 20 }, chunk.ErrRange},
		"no key":         {func(a *Ask) { a.Object.Key = "" }, ErrGarbage},
		"an upload":      {func(a *Ask) { a.Object.Key = "u:1" }, ErrGarbage},
		"negative size":  {func(a *Ask) { a.Object.Size = -2 }, ErrGarbage},
		"long validator": {func(a *Ask) { a.Object.Validator = strings.Repeat("v", maxField+1) }, ErrGarbage},
	} {
		a := good()
		c.spoil(&a)
		if err := a.CheckOpen(geo); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever is read is refused, or is a frame within its bounds that reads the same
// when written again.
func FuzzFrames(f *testing.F) {
	b, _ := AppendPiece(nil, chunk.Piece{Index: 1, Off: 64, Len: 3, Data: []byte("abc"), Digest: chunk.Digest{9}})
	b, _ = AppendPiece(b, chunk.Piece{Index: 1, Off: 64, Len: 3, Zero: true})
	f.Add(append(Append(b, Error, EncodeError(chunk.ErrChanged), nil), Append(nil, End, nil, nil)...), false)
	f.Add(Append(nil, Skippable+1, []byte("hint"), nil), true)
	f.Fuzz(func(t *testing.T, b []byte, mend bool) {
		if mend && len(b) >= headerBytes { // else hardly an input gets past the checksum
			b = bytes.Clone(b)
			s := sum(b)
			b[8], b[9], b[10], b[11] = byte(s), byte(s>>8), byte(s>>16), byte(s>>24)
		}
		buf := make([]byte, FrameBytes)
		for r := bytes.NewReader(b); ; {
			fr, err := Read(r, buf)
			if err != nil {
				return
			}
			if len(fr.head) > maxHead || len(fr.data) > GroupBytes {
				t.Fatalf("%d + %d bytes", len(fr.head), len(fr.data))
			}
			switch fr.Type {
			case Error:
				if fr.Err() == nil {
					t.Fatal("an error that is none")
				}
			case Piece, Zero:
				p, err := fr.Piece()
				if err != nil {
					continue
				}
				if p.Len <= 0 || p.Off < 0 || !p.Zero && p.Len != int64(len(p.Data)) {
					t.Fatalf("%+v", p)
				}
				again, rest := AppendPiece(nil, p)
				fr, err := Read(bytes.NewReader(again), make([]byte, FrameBytes))
				if err != nil || rest.Len > 0 {
					t.Fatal(err, rest.Len)
				}
				if q, err := fr.Piece(); err != nil || !cmp.Equal(p, q) && len(p.Data) > 0 {
					t.Fatal(err, cmp.Diff(p, q))
				}
			}
		}
	})
}

func FuzzAsks(f *testing.F) {
	b, _ := good().Encode()
	f.Add(b)
	f.Add([]byte(`{"object":{"key":"cA==","size":-5},"off":-1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := Decode(b)
		if err != nil || a.CheckOpen(geo) != nil {
			return
		}
		if a.Off < 0 || (a.N <= 0 && a.Object.Size != -1) || a.N > 4<<20 || a.Object.Key.Upload() {
			t.Fatalf("%+v", a)
		}
	})
}

func FuzzPages(f *testing.F) {
	q := cluster.Claim{From: "a", Geometry: geo, Level: cluster.Zone, After: cluster.Cursor{Key: "p:1", Index: 3}}
	b, _ := EncodePage(cluster.Page{
		Holdings: []cluster.Holding{{Object: good().Object, Runs: []cluster.Run{{First: 0, Count: 1}}}},
		Next:     cluster.Cursor{Key: "p:2"},
	})
	f.Add(b)
	f.Add([]byte(`{"holdings":[{"object":{"key":"cA==","size":5},"runs":[[0,9223372036854775807]]}],"after":"cA=="}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodePage(b, q)
		if err != nil {
			return
		}
		for _, h := range p.Holdings {
			for _, r := range h.Runs {
				if r.First < 0 || r.Count <= 0 || r.First+r.Count > geo.Count(h.Object.Size) || h.Object.Key.Upload() {
					t.Fatalf("%+v", h)
				}
			}
		}
		if p.Next != (cluster.Cursor{}) && !q.After.Less(p.Next) {
			t.Fatalf("%+v", p.Next)
		}
	})
}
