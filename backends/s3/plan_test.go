package s3

import (
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
)

// No upload has more than 10,000 parts, and none a part larger than it needs.
func TestPartsReachEverySize(t *testing.T) {
	const tib = 1 << 40
	for _, part := range []int64{MinPart, 8 << 20, DefaultPart, 100 << 20, MaxPart} {
		for _, size := range []int64{0, 1, part, part*maxParts - 1, part * maxParts, part*maxParts + 1, 5 * tib} {
			p := planFor(part, size)
			if p.part(0) != p.part(maxParts-1) || p.first*maxParts < size || p.first > part && p.first/2*maxParts >= size {
				t.Errorf("%d bytes in parts of %d: %+v", size, part, p)
			}
		}
		// Part 10,001 is never wanted for 1 TiB of unknown length.
		p, sum, n := planFor(part, -1), int64(0), 0
		for ; sum < tib; n++ {
			if n > 0 && p.part(n) != p.part(n-1) && p.part(n) != 2*p.part(n-1) {
				t.Errorf("part %d has %d bytes after %d", n, p.part(n), p.part(n-1))
			}
			sum += p.part(n)
		}
		if n > maxParts || p.part(0) != part || p.part(maxParts-1) > 5<<30 {
			t.Errorf("parts of %d: 1 TiB takes %d, the last of %d", part, n, p.part(n-1))
		}
	}
	if n := planFor(DefaultPart, -1).part(50 << 30 / DefaultPart); n != DefaultPart {
		t.Errorf("at 50 GiB a part has %d bytes", n)
	}
}

func TestAPartIsReadFromItsBuffers(t *testing.T) {
	data := make([]byte, 10_000)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	b := newBody([][]byte{data[:1], nil, data[1:5000], data[5000:]}, func() {})
	for _, off := range []int64{0, 1, 4999, 5000, 9999, 10_000, 0} {
		if _, err := b.Seek(off, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(b)
		if err != nil || string(got) != string(data[off:]) {
			t.Errorf("from %d: %d bytes, %v", off, len(got), err)
		}
	}
	if n, err := b.Seek(-1, io.SeekEnd); n != 9999 || err != nil {
		t.Error(n, err)
	}
	for _, off := range []int64{-10_000, 2} {
		if _, err := b.Seek(off, io.SeekCurrent); err == nil {
			t.Error(fmt.Sprint("a seek by ", off))
		}
	}
	b.leave()
	if n, err := b.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("the buffers are read after the request")
	}
}
