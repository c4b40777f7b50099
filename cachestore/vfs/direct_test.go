package vfs

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A chunk goes around the page cache, what follows it does not, and all of it is
// read back. Elsewhere than on ext4 and xfs only the latter holds.
func TestAChunkIsWrittenAroundThePageCache(t *testing.T) {
	const size = 1 << 20
	slab, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(slab) }()
	for i := range slab {
		slab[i] = byte(i>>12 + i)
	}
	trailer := []byte("what ends a chunk")
	name := filepath.Join(t.TempDir(), "chunk")
	w, err := OS{}.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range [][]byte{slab, trailer} {
		if n, err := w.Write(p); n != len(p) || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if n, known := cached(t, name, size); known && n != 0 {
		t.Errorf("%d pages of the chunk are in the page cache", n)
	}
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, append(bytes.Clone(slab), trailer...)) {
		t.Errorf("other bytes were written: %v", err)
	}
}

// cached counts the pages of a file that the page cache holds. known: its file
// system takes direct writes.
func cached(t *testing.T, name string, size int) (n int, known bool) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	m, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(m) }()
	in := make([]byte, size/os.Getpagesize())
	if _, _, e := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&m[0])), uintptr(size), uintptr(unsafe.Pointer(&in[0]))); e != 0 {
		t.Fatal(e)
	}
	for _, b := range in {
		n += int(b & 1)
	}
	return n, st.Type == unix.EXT4_SUPER_MAGIC || st.Type == unix.XFS_SUPER_MAGIC
}
