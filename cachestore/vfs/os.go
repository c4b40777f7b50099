package vfs

import (
	"fmt"
	"io"
	"os"

	"glimpse/cachestore/vfs/direct"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"
)

// OS is the file system of the machine.
type OS struct{}

type osFile struct{ *os.File }

func (f osFile) OS() (*os.File, bool) { return f.File, true }

func (f osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func open(name string, flags int) (File, error) {
	f, err := os.OpenFile(name, flags, 0o640)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Open implements FS.
func (OS) Open(name string) (File, error) { return open(name, os.O_RDONLY) }

// written is a new file. Chunks go to it around the page cache: they are in memory
// already, and are read from disk only when they no longer are.
type written struct {
	osFile
	to *direct.File
}

func (f written) Write(p []byte) (int, error) { return f.to.Write(p) }

// Create implements FS.
func (OS) Create(name string) (File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return nil, err
	}
	return written{osFile{f}, direct.New(f)}, nil
}

// Append implements FS.
func (OS) Append(name string) (File, error) {
	return open(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND)
}

// Rename implements FS.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements FS.
func (OS) Remove(name string) error { return os.Remove(name) }

// MkdirAll implements FS.
func (OS) MkdirAll(name string) error { return os.MkdirAll(name, 0o750) }

// SyncDir implements FS.
func (OS) SyncDir(name string) error { return onDir(name, (*os.File).Sync) }

// SyncFS implements FS.
func (OS) SyncFS(name string) error {
	return onDir(name, func(d *os.File) error { return unix.Syncfs(int(d.Fd())) })
}

func onDir(name string, fn func(*os.File) error) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := fn(d); err != nil {
		return fmt.Errorf("sync %s: %w", name, err)
	}
	return nil
}

// Free implements FS.
func (OS) Free(name string) (free, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(name, &st); err != nil {
		return 0, 0, fmt.Errorf("statfs %s: %w", name, err)
	}
	return int64(st.Bavail) * st.Bsize, int64(st.Blocks) * st.Bsize, nil
}

// Lock implements FS by flock(2).
func (OS) Lock(name string) (io.Closer, error) {
	l := flock.New(name)
	ok, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if !ok {
		return nil, fmt.Errorf("lock %s: %w", name, ErrLocked)
	}
	return l, nil
}
