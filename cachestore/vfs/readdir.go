package vfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// direntBytes are read of a folder at once: some 1,300 names of chunks.
const direntBytes = 64 << 10

var dirents = sync.Pool{New: func() any { return new([direntBytes]byte) }}

// ReadDir implements FS. The names of a folder share one string, as a cache has a
// million of them.
func (OS) ReadDir(name string) ([]string, error) {
	d, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	buf := dirents.Get().(*[direntBytes]byte)
	defer dirents.Put(buf)
	var text []byte
	var ends []int
	for {
		n, err := unix.Getdents(int(d.Fd()), buf[:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, fmt.Errorf("read folder %s: %w", name, err)
		case n == 0:
			return cut(string(text), ends), nil
		}
		text, ends = direntNames(buf[:n], text, ends)
	}
}

// direntNames appends the names in a run of struct linux_dirent64: inode and
// offset of 8 bytes each, the record's length in 2, a type byte, and the name up
// to a zero byte.
func direntNames(b, text []byte, ends []int) (texts []byte, all []int) {
	for len(b) > 19 {
		size := int(binary.NativeEndian.Uint16(b[16:]))
		if size < 19 || size > len(b) {
			break
		}
		inode := binary.NativeEndian.Uint64(b)
		name, _, _ := bytes.Cut(b[19:size], []byte{0})
		b = b[size:]
		if s := string(name); inode == 0 || s == "." || s == ".." {
			continue
		}
		text = append(text, name...)
		ends = append(ends, len(text))
	}
	return text, ends
}

func cut(text string, ends []int) []string {
	names := make([]string, len(ends))
	from := 0
	for i, end := range ends {
		names[i] = text[from:end]
		from = end
	}
	return names
}
