package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/s2"

	"glimpse/cachestore/chunk"
)

func noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

// unpackAll reads frames until their end.
func unpackAll(t *testing.T, b []byte) (data []byte, packed int) {
	t.Helper()
	r, room := bytes.NewReader(b), make([]byte, GroupBytes)
	for off := int64(5 << 20); r.Len() > 0; {
		f := read(t, r)
		p, err := f.Piece()
		if f.Packed() {
			if err == nil {
				t.Error("packed bytes pass for plain ones")
			}
			packed++
			p, err = f.Unpack(room)
		}
		if err != nil || p.Off != off || p.Len != int64(len(p.Data)) || p.Digest != (chunk.Digest{7}) {
			t.Fatalf("%v: %d bytes at %d, digest %v", err, p.Len, p.Off, p.Digest)
		}
		data = append(data, p.Data...)
		off += p.Len
	}
	return data, packed
}

func TestPiecesArePackedWhereItPays(t *testing.T) {
	text := bytes.Repeat([]byte("what is said again and again, "), 10000)[:3*GroupBytes+100]
	for name, c := range map[string]struct {
		on     bool
		data   []byte
		packed int
	}{
		"not offered":            {false, text, 0},
		"text":                   {true, text, 4},
		"noise":                  {true, noise(3*GroupBytes + 100), 0},
		"noise, then text":       {true, append(noise(GroupBytes), text...), 0},
		"text, noise, then text": {true, append(append(bytes.Clone(text[:GroupBytes]), noise(GroupBytes)...), text...), 1},
	} {
		k := Packer{On: c.on}
		var b []byte
		p := chunk.Piece{Index: 1, Off: 5 << 20, Len: int64(len(c.data)), Data: c.data, Digest: chunk.Digest{7}}
		for p.Len > 0 {
			b, p = k.Append(b, p)
		}
		got, packed := unpackAll(t, b)
		if !bytes.Equal(got, c.data) {
			t.Errorf("%s: other bytes", name)
		}
		if packed != c.packed || (k.Saved > 0) != (packed > 0) {
			t.Errorf("%s: %d packed frames, %d bytes saved", name, packed, k.Saved)
		}
		// The next chunk is tried anew.
		b, _ = k.Append(nil, chunk.Piece{Index: 2, Off: 9 << 20, Len: 1000, Data: text[:1000]})
		if f := read(t, bytes.NewReader(b)); f.Packed() != c.on {
			t.Errorf("%s: the next chunk is packed: %v", name, f.Packed())
		}
	}
}

// frameOf is a packed frame of a piece that says it has n bytes.
func frameOf(n uint32, data []byte) []byte {
	head := make([]byte, pieceHead)
	binary.LittleEndian.PutUint32(head[12:], n)
	return appendFrame(nil, Piece, packed, head, data)
}

// What unpacks to more, to less or to nothing is refused, before it costs memory.
func TestABombIsNotUnpacked(t *testing.T) {
	good := s2.Encode(nil, make([]byte, 1000))
	bomb := s2.Encode(nil, make([]byte, 1<<20)) // 50 bytes or so
	huge := append(binary.AppendUvarint(nil, 1<<32-1), good[2:]...)
	for name, f := range map[string][]byte{
		"a bomb":              frameOf(1<<20, bomb),
		"a bomb in disguise":  frameOf(1000, bomb),
		"a huge claim":        frameOf(1<<32-1, huge),
		"less than it says":   frameOf(1001, good),
		"more than it says":   frameOf(999, good),
		"nothing":             frameOf(0, nil),
		"noise":               frameOf(1000, append(good[:2:2], noise(60)...)),
		"cut short":           frameOf(1000, good[:len(good)-1]),
		"no head":             appendFrame(nil, Piece, packed, []byte("short"), good),
		"a digest cut short":  appendFrame(nil, Piece, packed|hasDigest, frameOf(1000, nil)[headerBytes:], good),
		"an unknown flag too": appendFrame(nil, Piece, packed|64, frameOf(1000, nil)[headerBytes:], good),
	} {
		fr := read(t, bytes.NewReader(f))
		room := make([]byte, GroupBytes)
		if allocs := testing.AllocsPerRun(1, func() {
			if p, err := fr.Unpack(room); !errors.Is(err, ErrGarbage) {
				t.Errorf("%s: %d bytes, %v", name, p.Len, err)
			}
		}); allocs > 20 {
			t.Errorf("%s: %.0f allocations", name, allocs)
		}
	}
	if p, err := read(t, bytes.NewReader(frameOf(1000, good))).Unpack(make([]byte, GroupBytes)); err != nil || p.Len != 1000 {
		t.Errorf("a good one: %d bytes, %v", p.Len, err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(frameOf(1000, s2.Encode(nil, make([]byte, 1000))))
	f.Add(frameOf(1<<20, s2.Encode(nil, make([]byte, 1<<20))))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		if len(b) >= headerBytes {
			binary.LittleEndian.PutUint32(b[8:], sum(b))
		}
		fr, err := Read(bytes.NewReader(b), make([]byte, FrameBytes))
		if err != nil {
			if !errors.Is(err, ErrGarbage) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			return
		}
		if p, err := fr.Unpack(make([]byte, GroupBytes)); err == nil && (p.Len != int64(len(p.Data)) || p.Len > GroupBytes) {
			t.Errorf("%d bytes of %d", len(p.Data), p.Len)
		}
	})
}
