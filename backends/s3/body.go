package s3

import (
	"errors"
	"io"
	"sync"
)

var errLeft = errors.New("s3: a part is read after its request has ended")

// body is a part, read from the caller's buffers. The HTTP client may read on for
// a moment after a request has ended; leave takes the buffers from it.
type body struct {
	mu       sync.Mutex
	bufs     [][]byte
	size     int64
	pos      int64
	left     bool
	progress func()
}

func newBody(bufs [][]byte, progress func()) *body {
	b := &body{bufs: bufs, progress: progress}
	for _, p := range bufs {
		b.size += int64(len(p))
	}
	return b
}

// Read reads what lies at the position.
func (b *body) Read(p []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left {
		return 0, errLeft
	}
	b.progress()
	skip := b.pos
	for _, buf := range b.bufs {
		if n == len(p) {
			break
		}
		if skip >= int64(len(buf)) {
			skip -= int64(len(buf))
			continue
		}
		n += copy(p[n:], buf[skip:])
		skip = 0
	}
	b.pos += int64(n)
	if n == 0 && len(p) > 0 {
		err = io.EOF
	}
	return n, err
}

// Seek moves the position, as the signing of the part needs it.
func (b *body) Seek(off int64, whence int) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		off += b.pos
	case io.SeekEnd:
		off += b.size
	}
	if off < 0 || off > b.size {
		return 0, errors.New("s3: a seek beyond a part")
	}
	b.pos = off
	return off, nil
}

// leave returns once nobody reads the buffers, and nobody will.
func (b *body) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = true
}
