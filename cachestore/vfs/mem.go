package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
)

// Mem is a file system in memory that knows what of it would survive a loss of
// power: contents since their file's last Sync, and names since their folder's
// last SyncDir, may or may not.
type Mem struct {
	mu      sync.Mutex
	now     map[string]*inode // by path
	durable map[string]*inode
	dirs    map[string]bool
	locks   map[string]bool
	size    int64 // of the file system; 0: no limit
}

type inode struct{ data, synced []byte }

// NewMem returns an empty file system of size bytes, 0 for no limit.
func NewMem(size int64) *Mem {
	return &Mem{now: map[string]*inode{}, durable: map[string]*inode{}, dirs: map[string]bool{}, locks: map[string]bool{}, size: size}
}

var _ FS = (*Mem)(nil)

func missing(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist} }

// Crash returns the file system as it could be after a loss of power: for each
// name and each content that was not synced, seed decides.
func (m *Mem) Crash(seed uint64) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := rand.New(rand.NewPCG(seed, 0))
	c := NewMem(m.size)
	for d := range m.dirs {
		c.dirs[d] = true
	}
	for _, tree := range []map[string]*inode{m.now, m.durable} {
		for path := range tree {
			if c.now[path] != nil {
				continue
			}
			n := m.now[path]
			if d := m.durable[path]; d != n && r.IntN(2) == 0 {
				n = d
			}
			if n != nil {
				c.now[path] = &inode{data: n.survivor(r)}
			}
		}
	}
	for path, n := range c.now {
		n.synced = append([]byte(nil), n.data...)
		c.durable[path] = n
	}
	return c
}

// survivor is a content after a loss of power: what was synced, with some, all or
// none of what came after, of which a part may be zeros that were never written.
func (n *inode) survivor(r *rand.Rand) []byte {
	switch r.IntN(4) {
	case 0:
		return append([]byte(nil), n.synced...)
	case 1:
		return append([]byte(nil), n.data...)
	}
	out := append([]byte(nil), n.data[:r.IntN(len(n.data)+1)]...)
	if len(out) > len(n.synced) && r.IntN(2) == 0 {
		at := len(n.synced) + r.IntN(len(out)-len(n.synced))
		clear(out[at:min(len(out), at+512)])
	}
	if len(out) < len(n.synced) {
		out = append(out, n.synced[len(out):]...)
	}
	return out
}

// Open implements FS.
func (m *Mem) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.now[name]
	if n == nil {
		return nil, missing("open", name)
	}
	return &memFile{m: m, n: n}, nil
}

// Create implements FS.
func (m *Mem) Create(name string) (File, error) { return m.writer(name, true) }

// Append implements FS.
func (m *Mem) Append(name string) (File, error) { return m.writer(name, false) }

func (m *Mem) writer(name string, empty bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.dirs[filepath.Dir(name)] {
		return nil, missing("create", name)
	}
	n := m.now[name]
	if n == nil {
		n = &inode{}
		m.now[name] = n
	}
	if empty {
		n.data = nil
	}
	return &memFile{m: m, n: n}, nil
}

// Rename implements FS.
func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.now[from]
	if n == nil || !m.dirs[filepath.Dir(to)] {
		return missing("rename", from)
	}
	delete(m.now, from)
	m.now[to] = n
	return nil
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now[name] != nil {
		delete(m.now, name)
		return nil
	}
	if !m.dirs[name] {
		return missing("remove", name)
	}
	if len(m.childrenLocked(name)) > 0 {
		return &fs.PathError{Op: "remove", Path: name, Err: errors.New("directory not empty")}
	}
	delete(m.dirs, name)
	return nil
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for ; !m.dirs[name]; name = filepath.Dir(name) {
		m.dirs[name] = true
		if name == filepath.Dir(name) {
			break
		}
	}
	return nil
}

// ReadDir implements FS.
func (m *Mem) ReadDir(name string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.dirs[name] {
		return nil, missing("readdir", name)
	}
	return m.childrenLocked(name), nil
}

func (m *Mem) childrenLocked(name string) (names []string) {
	for path := range m.now {
		if filepath.Dir(path) == name {
			names = append(names, filepath.Base(path))
		}
	}
	for path := range m.dirs {
		if filepath.Dir(path) == name && path != name {
			names = append(names, filepath.Base(path))
		}
	}
	return names
}

// SyncDir implements FS.
func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.dirs[name] {
		return missing("sync", name)
	}
	for path := range m.durable {
		if filepath.Dir(path) == name && m.now[path] == nil {
			delete(m.durable, path)
		}
	}
	for path, n := range m.now {
		if filepath.Dir(path) == name {
			m.durable[path] = n
		}
	}
	return nil
}

// SyncFS implements FS.
func (m *Mem) SyncFS(string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.durable)
	for path, n := range m.now {
		n.synced = append([]byte(nil), n.data...)
		m.durable[path] = n
	}
	return nil
}

// Free implements FS.
func (m *Mem) Free(string) (free, total int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.size == 0 {
		return 1 << 50, 1 << 50, nil
	}
	for _, n := range m.now {
		free -= int64(len(n.data))
	}
	return free + m.size, m.size, nil
}

// Lock implements FS.
func (m *Mem) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks[name] {
		return nil, fmt.Errorf("lock %s: %w", name, ErrLocked)
	}
	m.locks[name] = true
	return memLock{m, name}, nil
}

type memLock struct {
	m    *Mem
	name string
}

func (l memLock) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	delete(l.m.locks, l.name)
	return nil
}

type memFile struct {
	m *Mem
	n *inode
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) Write(p []byte) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.n.data = append(f.n.data, p...)
	return len(p), nil
}

func (f *memFile) Sync() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.n.synced = append([]byte(nil), f.n.data...)
	return nil
}

func (f *memFile) Size() (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return int64(len(f.n.data)), nil
}

func (f *memFile) OS() (*os.File, bool) { return nil, false }
func (f *memFile) Close() error         { return nil }
