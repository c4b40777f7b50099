package file

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"glimpse/backends"
	"glimpse/cachestore/chunk"
	"glimpse/cachestore/vfs/direct"

	"golang.org/x/sys/unix"
)

// tempPrefix begins the names of files under way. Glance and this store take no
// key that begins with it.
const tempPrefix = ".glimpse-upload-"

// saltSize is how many hex digits make the names of two writers differ.
const saltSize = 16

// keyOf reads the name of a file under way.
func keyOf(temp string) (key string, ok bool) {
	rest, ok := strings.CutPrefix(temp, tempPrefix)
	i := len(rest) - saltSize - 1
	if !ok || i <= 0 || rest[i] != '-' {
		return "", false
	}
	return rest[:i], true
}

// holeBlock is the unit in which zeros are left out of a thin file: a block of
// the usual file systems.
const holeBlock = 4096

// place returns the folder that takes size more bytes: of the highest priority
// that has room the one with the most free space. One that is full, read-only or
// gone has none. Where none has room, the first: its error is as good as any.
func (s *Store) place(size int64) *dir {
	var best *dir
	most := int64(0)
	for _, d := range s.dirs {
		if best != nil && d.priority < best.priority {
			break
		}
		if free := d.free(); free >= size && free > most {
			best, most = d, free
		}
	}
	if best == nil {
		return s.dirs[0]
	}
	return best
}

// free is how many bytes the folder has room for.
func (d *dir) free() int64 {
	var st unix.Statfs_t
	if !d.there() || unix.Statfs(d.path, &st) != nil || st.Flags&unix.ST_RDONLY != 0 {
		return 0
	}
	return int64(st.Bavail) * st.Bsize
}

// Create makes a name for a file under way; the file comes with the first Write.
func (s *Store) Create(_ context.Context, key string, size int64) (backends.Writer, error) {
	if key == "" || strings.ContainsAny(key, "/\x00") || strings.HasPrefix(key, ".") || len(key) > 200 {
		return nil, errors.New("file: not a key")
	}
	d := s.place(max(size, 0))
	if _, err := d.root.Lstat(key); err == nil {
		return nil, fmt.Errorf("file: %w", backends.ErrExists)
	}
	var salt [saltSize / 2]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return nil, fmt.Errorf("file: %w", err)
	}
	return &writer{d: d, key: key, temp: tempPrefix + key + "-" + hex.EncodeToString(salt[:]), size: size, perm: s.perm, thin: s.thin}, nil
}

type writer struct {
	d         *dir
	key, temp string
	f         *os.File     // nil before the first Write
	out       *direct.File // f
	size      int64
	n         int64
	perm      fs.FileMode // 0 leaves it to the umask
	thin      bool
	done      bool
	failed    error
}

// begin makes the file. With a known size its blocks are reserved, so that a full
// disk says so before the first byte is taken.
func (w *writer) begin() error {
	if w.f != nil || w.failed != nil {
		return w.failed
	}
	perm := w.perm
	if perm == 0 {
		perm = 0o640
	}
	f, err := w.d.root.OpenFile(w.temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, perm)
	if err != nil {
		w.failed = w.d.translate(err)
		return w.failed
	}
	w.f, w.out = f, direct.New(f)
	w.failed = w.prepare(w.perm)
	return w.failed
}

func (w *writer) prepare(perm fs.FileMode) error {
	if perm != 0 { // past the umask
		if err := w.f.Chmod(perm); err != nil {
			return translate(err)
		}
	}
	if w.size <= 0 || w.thin {
		return nil
	}
	err := unix.Fallocate(int(w.f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, w.size)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return translate(err)
	}
	return nil // not every file system can; then the writes tell
}

func (w *writer) Write(p []byte) (int, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	if w.size >= 0 && w.n+int64(len(p)) > w.size {
		w.failed = fmt.Errorf("file: more than the %d bytes announced", w.size)
		return 0, w.failed
	}
	k, err := w.write(p)
	w.n += int64(k)
	w.failed = translate(err)
	return k, w.failed
}

// write puts p at the end, leaving holes for blocks of zeros in a thin file.
func (w *writer) write(p []byte) (n int, err error) {
	if !w.thin {
		return w.out.WriteAt(p, w.n)
	}
	for n < len(p) {
		hole := chunk.IsZero(p[n:min(len(p), n+holeBlock)])
		end := n
		for end < len(p) && chunk.IsZero(p[end:min(len(p), end+holeBlock)]) == hole {
			end = min(len(p), end+holeBlock)
		}
		if !hole {
			if _, err := w.out.WriteAt(p[n:end], w.n+int64(n)); err != nil {
				return n, err
			}
		}
		n = end
	}
	return n, nil
}

func (w *writer) Locator() backends.Locator { return w.d.locator(w.key) }

// Commit makes the file durable, then visible, then the visibility durable.
func (w *writer) Commit(ctx context.Context) (backends.Locator, error) {
	switch {
	case w.done:
		return "", errors.New("file: already ended")
	case w.failed != nil:
		return "", w.failed
	case ctx.Err() != nil:
		return "", ctx.Err()
	case w.size >= 0 && w.n != w.size:
		return "", fmt.Errorf("file: %d bytes written, %d announced", w.n, w.size)
	}
	if err := w.begin(); err != nil {
		return "", err
	}
	if w.thin {
		if err := w.f.Truncate(w.n); err != nil {
			return "", translate(err)
		}
	}
	if err := w.f.Sync(); err != nil {
		w.failed = translate(err) // after a failed sync nothing is known of the bytes
		return "", w.failed
	}
	if err := w.d.root.Link(w.temp, w.key); err != nil {
		return "", translate(err)
	}
	w.done = true
	err := errors.Join(w.f.Close(), w.d.root.Remove(w.temp), w.d.sync())
	return w.Locator(), translate(err)
}

// Cancel removes the temporary.
func (w *writer) Cancel() error {
	if w.done {
		return nil
	}
	w.done = true
	if w.f == nil {
		return nil
	}
	err := w.f.Close()
	if rerr := w.d.root.Remove(w.temp); rerr != nil && !errors.Is(rerr, syscall.ENOENT) {
		err = errors.Join(err, rerr)
	}
	return translate(err)
}
