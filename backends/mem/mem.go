// Package mem is the memory twin of an origin store: all that a driver promises
// and nothing that outlives the process.
package mem

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"glimpse/backends"
)

// scheme begins this store's locators.
const scheme = "mem://"

// Store is a map of objects.
type Store struct {
	id string

	mu struct {
		sync.Mutex
		objects map[string]object
		pending map[*writer]time.Time
		version int
	}
}

type object struct {
	data      []byte
	validator string
}

// New returns an empty store; id is part of its locators.
func New(id string) *Store {
	s := &Store{id: id}
	s.mu.objects = map[string]object{}
	s.mu.pending = map[*writer]time.Time{}
	return s
}

var _ backends.Store = (*Store)(nil)

// Caps are all there are.
func (s *Store) Caps() backends.Caps {
	return backends.Caps{Ranged: true, UnknownSize: true, Validators: true, NoReplace: true, Pending: true}
}

func (s *Store) locator(key string) backends.Locator {
	return backends.Locator(scheme + s.id + "/" + key)
}

func (s *Store) key(at backends.Locator) (string, error) {
	key, ok := strings.CutPrefix(at.Reveal(), scheme+s.id+"/")
	if !ok {
		return "", fmt.Errorf("mem: not a locator of this store: %w", backends.ErrNotFound)
	}
	return key, nil
}

func (s *Store) find(at backends.Locator) (object, error) {
	key, err := s.key(at)
	if err != nil {
		return object{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.mu.objects[key]
	if !ok {
		return object{}, fmt.Errorf("mem: %w", backends.ErrNotFound)
	}
	return o, nil
}

// Stat finds the size and the version.
func (s *Store) Stat(_ context.Context, at backends.Locator) (backends.Info, error) {
	o, err := s.find(at)
	return backends.Info{Size: int64(len(o.data)), Validator: o.validator}, err
}

// Open reads the object as it is now.
func (s *Store) Open(ctx context.Context, at backends.Locator, validator string, off, n int64) (io.ReadCloser, error) {
	o, err := s.find(at)
	if err != nil {
		return nil, err
	}
	if validator != "" && validator != o.validator {
		return nil, fmt.Errorf("mem: %w", backends.ErrChanged)
	}
	r := &reader{ctx: ctx, s: s, at: at, validator: o.validator, pinned: validator != ""}
	r.data = bytes.NewReader(o.data[min(max(off, 0), int64(len(o.data))):])
	if n < 0 {
		n = int64(r.data.Len())
	}
	r.left = n
	return r, nil
}

// reader notices an overwritten object as a real store would.
type reader struct {
	ctx       context.Context
	s         *Store
	at        backends.Locator
	validator string
	pinned    bool
	data      *bytes.Reader
	left      int64
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.left == 0 {
		return 0, io.EOF
	}
	if o, err := r.s.find(r.at); r.pinned && (err != nil || o.validator != r.validator) {
		return 0, fmt.Errorf("mem: %w", backends.ErrChanged)
	}
	k, err := r.data.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(k)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return k, err
}

func (r *reader) Close() error { return nil }

// Create begins an object.
func (s *Store) Create(_ context.Context, key string, size int64) (backends.Writer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.mu.objects[key]; ok {
		return nil, fmt.Errorf("mem: %w", backends.ErrExists)
	}
	return &writer{s: s, key: key, size: size}, nil
}

// Delete removes an object.
func (s *Store) Delete(_ context.Context, at backends.Locator) error {
	key, err := s.key(at)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.mu.objects[key]; !ok {
		return fmt.Errorf("mem: %w", backends.ErrNotFound)
	}
	delete(s.mu.objects, key)
	return nil
}

// Pending lists writers that are neither committed nor cancelled.
func (s *Store) Pending(_ context.Context, fn func(backends.Locator, time.Time) error) error {
	s.mu.Lock()
	found := map[string]time.Time{}
	for w, at := range s.mu.pending {
		found[w.key] = at
	}
	s.mu.Unlock()
	for key, at := range found {
		if err := fn(s.locator(key), at); err != nil {
			return err
		}
	}
	return nil
}

// Abort ends the writers that are to commit there.
func (s *Store) Abort(_ context.Context, at backends.Locator) error {
	key, err := s.key(at)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.mu.pending, func(w *writer, _ time.Time) bool { return w.key == key })
	return nil
}

// Close does nothing.
func (s *Store) Close() error { return nil }

// Len returns how many objects there are, for tests.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.objects)
}

// Replace overwrites an object behind everybody's back, as only an operator
// could: for tests of changing origins.
func (s *Store) Replace(key string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putLocked(key, bytes.Clone(data))
}

func (s *Store) putLocked(key string, data []byte) {
	s.mu.version++
	s.mu.objects[key] = object{data, strconv.Itoa(s.mu.version)}
}

type writer struct {
	s     *Store
	key   string
	size  int64
	buf   []byte
	begun bool
	done  bool
}

func (w *writer) begin() {
	if w.begun {
		return
	}
	w.begun = true
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.s.mu.pending[w] = time.Now()
}

func (w *writer) Write(p []byte) (int, error) {
	w.begin()
	if w.size >= 0 && int64(len(w.buf)+len(p)) > w.size {
		return 0, fmt.Errorf("mem: more than the %d bytes announced", w.size)
	}
	w.buf = append(w.buf, p...)
	return len(p), nil
}

func (w *writer) Locator() backends.Locator { return w.s.locator(w.key) }

func (w *writer) Commit(ctx context.Context) (backends.Locator, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if w.size >= 0 && int64(len(w.buf)) != w.size {
		return "", fmt.Errorf("mem: %d bytes written, %d announced", len(w.buf), w.size)
	}
	w.begin()
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if _, ok := w.s.mu.pending[w]; !ok {
		return "", fmt.Errorf("mem: the upload was ended: %w", backends.ErrNotFound)
	}
	if _, ok := w.s.mu.objects[w.key]; ok {
		return "", fmt.Errorf("mem: %w", backends.ErrExists)
	}
	w.s.putLocked(w.key, w.buf)
	delete(w.s.mu.pending, w)
	w.done = true
	return w.s.locator(w.key), nil
}

func (w *writer) Cancel() error {
	if w.done {
		return nil
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	delete(w.s.mu.pending, w)
	w.done, w.buf = true, nil
	return nil
}
