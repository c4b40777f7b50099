package chunk

import (
	"bytes"
	"strings"
	"testing"
)

func TestTheChunksOfAnObjectCoverItExactly(t *testing.T) {
	g := Geometry{Chunk: 8, Extent: 2}
	for _, size := range []int64{0, 1, 7, 8, 9, 16, 17, 100} {
		var sum int64
		for i := range g.Count(size) {
			if g.Off(i) != sum || g.Index(sum) != i {
				t.Fatalf("size %d: chunk %d begins at %d, want %d", size, i, g.Off(i), sum)
			}
			n := g.Len(i, size)
			if n <= 0 || n > g.Chunk {
				t.Fatalf("size %d: chunk %d has %d bytes", size, i, n)
			}
			sum += n
		}
		if sum != size {
			t.Errorf("the chunks of %d bytes have %d", size, sum)
		}
		if n := g.Len(g.Count(size), size); n != 0 {
			t.Errorf("size %d: a chunk past the end has %d bytes", size, n)
		}
	}
	if g.ExtentOf(1) != 0 || g.ExtentOf(2) != 1 {
		t.Error("extents of two chunks begin at the wrong one")
	}
}

// Fields are written with their lengths: moving a character from one to the next
// must give another key.
func TestPrivateKeysDifferInEveryField(t *testing.T) {
	secret := []byte("s")
	seen := map[Key]string{}
	for name, k := range map[string]Key{
		"base":      PrivateKey(secret, "a", 1, "u", 5, "v"),
		"secret":    PrivateKey([]byte("t"), "a", 1, "u", 5, "v"),
		"image":     PrivateKey(secret, "b", 1, "u", 5, "v"),
		"location":  PrivateKey(secret, "a", 2, "u", 5, "v"),
		"url":       PrivateKey(secret, "a", 1, "w", 5, "v"),
		"size":      PrivateKey(secret, "a", 1, "u", 6, "v"),
		"validator": PrivateKey(secret, "a", 1, "u", 5, "w"),
		"moved":     PrivateKey(secret, "a", 1, "u5", 5, ""),
	} {
		if other, ok := seen[k]; ok {
			t.Errorf("%s and %s have one key", name, other)
		}
		seen[k] = name
		if k.Content() || strings.ContainsAny(k.Dir(), "/.") {
			t.Errorf("%s: %s in %s", name, k, k.Dir())
		}
	}
}

func TestContentKeysAreShared(t *testing.T) {
	a, b := ContentKey("sha512", "ABCD", 4, ""), ContentKey("sha512", "abcd", 4, "")
	if a != b || !a.Content() {
		t.Errorf("%s is not %s", a, b)
	}
	if a == ContentKey("sha512", "abcd", 4, "project") || a == ContentKey("sha256", "abcd", 4, "") || a == ContentKey("sha512", "abcd", 5, "") {
		t.Error("algorithm, size or project does not count")
	}
}

func TestASegmentKeepsWhatItIsTold(t *testing.T) {
	s := NewSegment(3)
	s.Set(0, Digest{1})
	s.SetZero(1)
	if d, zero, known := s.At(0); d != (Digest{1}) || zero || !known {
		t.Error("a digest is lost")
	}
	if _, zero, known := s.At(1); !zero || !known {
		t.Error("a zero mark is lost")
	}
	if _, zero, known := s.At(2); zero || known || s.Complete() {
		t.Error("a chunk is known that nobody told of")
	}
	s.Set(2, Digest{2})
	if !s.Complete() {
		t.Error("not complete although all are known")
	}
}

func TestASegmentOfTheWrongLengthIsRefused(t *testing.T) {
	for _, c := range []struct {
		n, seg, count int
		ok            bool
	}{
		{SegmentChunks, 0, SegmentChunks + 1, true},
		{1, 1, SegmentChunks + 1, true},
		{2, 1, SegmentChunks + 1, false},
		{0, 2, SegmentChunks + 1, false},
		{1, 0, 2, false},
	} {
		if _, err := ParseSegment(make([]byte, c.n*32), c.seg, c.count); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestOneByteMakesABufferNonZero(t *testing.T) {
	if !IsZero(nil) || !IsZero(make([]byte, 4097)) {
		t.Error("zeros are not zero")
	}
	for _, at := range []int{0, 1, 4095, 4096} {
		b := make([]byte, 4097)
		b[at] = 1
		if IsZero(b) {
			t.Errorf("a one at %d is overlooked", at)
		}
	}
	if IsZero(bytes.Repeat([]byte{7}, 100)) {
		t.Error("sevens pass for zeros")
	}
}
