package vfs

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrLocked says that another process holds the lock.
var ErrLocked = errors.New("in use by another process")

// File is an open file. ReadAt may be called from several goroutines.
type File interface {
	io.ReaderAt
	io.Writer
	io.Closer
	Sync() error
	Size() (int64, error)
	OS() (*os.File, bool) // the real file, for sendfile; false where there is none
}

// FS is a file system. Its errors wrap those of package io/fs and syscall. All
// calls may be made from several goroutines.
type FS interface {
	Open(name string) (File, error)   // for reading
	Create(name string) (File, error) // for writing; an older file is emptied
	Append(name string) (File, error) // for writing at the end; made when missing
	Rename(from, to string) error     // replaces to
	Remove(name string) error         // a file or an empty folder
	MkdirAll(name string) error
	ReadDir(name string) ([]string, error) // names only, in any order, no stat
	SyncDir(name string) error             // makes the folder's names durable
	SyncFS(name string) error              // makes all of the file system durable
	// Free returns the bytes that may still be written and the size of the file
	// system that holds name.
	Free(name string) (free, total int64, err error)
	Lock(name string) (io.Closer, error) // ErrLocked when taken; the lock ends with Close or the process
}

// ReadFile reads a file of at most limit bytes.
func ReadFile(fs FS, name string, limit int64) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	n, err := f.Size()
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, fmt.Errorf("%s: %d bytes, at most %d expected", name, n, limit)
	}
	b := make([]byte, n)
	m, err := f.ReadAt(b, 0)
	if m == len(b) || errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:m], err
}
