// Package faultfs makes a file system fail on demand, for tests.
package faultfs

import (
	"io"
	"os"
	"sync"

	"glimpse/cachestore/vfs"
)

// Op is a call that can fail.
type Op string

// The calls.
const (
	Open    Op = "open"
	Create  Op = "create"
	Append  Op = "append"
	Rename  Op = "rename"
	Remove  Op = "remove"
	Mkdir   Op = "mkdir"
	ReadDir Op = "readdir"
	SyncDir Op = "syncdir"
	SyncFS  Op = "syncfs"
	Free    Op = "free"
	Read    Op = "read"
	Write   Op = "write"
	Sync    Op = "sync"
)

// Rule decides about a call; nil lets it through. It is told of every call, so a
// rule may also count or look.
type Rule func(op Op, name string) error

// FS passes calls on to another file system unless its rule says otherwise.
type FS struct {
	inner vfs.FS

	mu struct {
		sync.Mutex
		rule  Rule
		fired int
	}
}

var _ vfs.FS = (*FS)(nil)

// New returns a file system without faults.
func New(inner vfs.FS) *FS { return &FS{inner: inner} }

// Fail sets the rule; nil ends the faults.
func (f *FS) Fail(r Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.rule = r
}

// Fired returns how many calls have failed. A test that injects faults fails when
// it is 0.
func (f *FS) Fired() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.fired
}

func (f *FS) ask(op Op, name string) error {
	f.mu.Lock()
	rule := f.mu.rule
	f.mu.Unlock()
	if rule == nil {
		return nil
	}
	err := rule(op, name)
	if err != nil {
		f.mu.Lock()
		f.mu.fired++
		f.mu.Unlock()
	}
	return err
}

// file wraps an opened file.
func (f *FS) file(op Op, name string, open func(string) (vfs.File, error)) (vfs.File, error) {
	if err := f.ask(op, name); err != nil {
		return nil, err
	}
	in, err := open(name)
	if err != nil {
		return nil, err
	}
	return faulty{in, f, name}, nil
}

// Open implements vfs.FS.
func (f *FS) Open(name string) (vfs.File, error) { return f.file(Open, name, f.inner.Open) }

// Create implements vfs.FS.
func (f *FS) Create(name string) (vfs.File, error) { return f.file(Create, name, f.inner.Create) }

// Append implements vfs.FS.
func (f *FS) Append(name string) (vfs.File, error) { return f.file(Append, name, f.inner.Append) }

func (f *FS) call(op Op, name string, fn func() error) error {
	if err := f.ask(op, name); err != nil {
		return err
	}
	return fn()
}

// Rename implements vfs.FS.
func (f *FS) Rename(from, to string) error {
	return f.call(Rename, to, func() error { return f.inner.Rename(from, to) })
}

// Remove implements vfs.FS.
func (f *FS) Remove(name string) error {
	return f.call(Remove, name, func() error { return f.inner.Remove(name) })
}

// MkdirAll implements vfs.FS.
func (f *FS) MkdirAll(name string) error {
	return f.call(Mkdir, name, func() error { return f.inner.MkdirAll(name) })
}

// ReadDir implements vfs.FS.
func (f *FS) ReadDir(name string) (names []string, err error) {
	err = f.call(ReadDir, name, func() (err error) { names, err = f.inner.ReadDir(name); return err })
	return names, err
}

// SyncDir implements vfs.FS.
func (f *FS) SyncDir(name string) error {
	return f.call(SyncDir, name, func() error { return f.inner.SyncDir(name) })
}

// SyncFS implements vfs.FS.
func (f *FS) SyncFS(name string) error {
	return f.call(SyncFS, name, func() error { return f.inner.SyncFS(name) })
}

// Free implements vfs.FS.
func (f *FS) Free(name string) (free, total int64, err error) {
	err = f.call(Free, name, func() (err error) { free, total, err = f.inner.Free(name); return err })
	return free, total, err
}

// Lock implements vfs.FS; locks do not fail.
func (f *FS) Lock(name string) (io.Closer, error) { return f.inner.Lock(name) }

type faulty struct {
	vfs.File
	fs   *FS
	name string
}

func (f faulty) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.fs.call(Read, f.name, func() (err error) { n, err = f.File.ReadAt(p, off); return err })
	return n, err
}

// Write fails after half of its bytes, as a disk that fills up does.
func (f faulty) Write(p []byte) (int, error) {
	if err := f.fs.ask(Write, f.name); err != nil {
		n, werr := f.File.Write(p[:len(p)/2])
		if werr != nil {
			return n, werr
		}
		return n, err
	}
	return f.File.Write(p)
}

func (f faulty) Sync() error { return f.fs.call(Sync, f.name, f.File.Sync) }

// OS hides the real file: what is sent from it could not fail here.
func (f faulty) OS() (*os.File, bool) { return nil, false }
