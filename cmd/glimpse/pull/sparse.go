package pull

import (
	"bytes"
	"errors"

	"golang.org/x/sys/unix"
)

// hole says whether there is nothing in a part of the file. A file system that
// does not tell has something everywhere.
func (p *part) hole(off, n int64) (bool, error) {
	at, err := unix.Seek(int(p.f.Fd()), off, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return true, nil
	case errors.Is(err, unix.EINVAL):
		return false, nil
	}
	return at >= off+n, err
}

// clear makes a hole, or writes zeros where the file system knows none.
func (p *part) clear(off, n int64) error {
	err := unix.Fallocate(int(p.f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		_, err = p.f.WriteAt(make([]byte, n), off)
	}
	return err
}

// block is the least run of zeros that is left out.
const block = 64 << 10

var zeroBlock [block]byte

// write writes b where there is a hole, and leaves its blocks of zeros out.
func (p *part) write(b []byte, off int64) error {
	from := 0 // of what is to be written and was not yet
	for at := 0; at < len(b); at += block {
		to := min(at+block, len(b))
		if !bytes.Equal(b[at:to], zeroBlock[:to-at]) {
			continue
		}
		if from < at {
			if _, err := p.f.WriteAt(b[from:at], off+int64(from)); err != nil {
				return err
			}
		}
		from = to
	}
	if from < len(b) {
		_, err := p.f.WriteAt(b[from:], off+int64(from))
		return err
	}
	return nil
}
