package direct

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// pages is memory that begins at a page.
func pages(t *testing.T, size int) []byte {
	t.Helper()
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(b) })
	return b
}

// newFile tries direct writes on any file system; known says whether this one is
// among those that must take them.
func newFile(t *testing.T) (f *os.File, a *File, known bool) {
	t.Helper()
	var err error
	f, err = os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	a = New(f)
	known, a.direct = a.direct, true
	return f, a, known
}

func TestDirectAndOtherWritesMix(t *testing.T) {
	f, a, known := newFile(t)
	mem := pages(t, 1<<20)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range mem {
		mem[i] = byte(r.Uint32())
	}
	var want []byte
	went := map[bool]int{}
	for range 200 {
		from, size := 0, r.IntN(512<<10)
		if r.IntN(3) == 0 {
			from = r.IntN(1 << 10)
		}
		if r.IntN(2) == 0 { // up to a border, so that the next may be direct
			size += align - (len(want)+size)%align
		}
		p := mem[from : from+size]
		n, err := a.WriteAt(p, int64(len(want)))
		if err != nil || n != len(p) {
			t.Fatalf("%d of %d bytes: %v", n, len(p), err)
		}
		want = append(want, p...)
		went[a.on]++
	}
	if known && went[true] == 0 || went[false] == 0 {
		t.Errorf("direct or not: %v", went)
	}
	if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("other bytes were written: %v", err)
	}
}

func TestARefusedDirectWriteGoesThroughTheCache(t *testing.T) {
	f, a, _ := newFile(t)
	mem := pages(t, 256<<10)
	for i := range mem {
		mem[i] = 7
	}
	n, err := a.around(mem[1:1+align], 0) // what a device with larger blocks would say
	if n != 0 || err != nil || a.direct {
		t.Fatalf("%d %v, still direct: %v", n, err, a.direct)
	}
	if n, err := a.WriteAt(mem, 0); n != len(mem) || err != nil {
		t.Fatal(n, err)
	}
	if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, mem) {
		t.Errorf("other bytes were written: %v", err)
	}
}
