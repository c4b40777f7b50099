//go:build ceph

package rbd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"glimpse/backends"
	"glimpse/cachestore/chunk"
)

// Create makes a name for an image under way; the image comes with the first
// Write.
func (s *Store) Create(ctx context.Context, key string, size int64) (backends.Writer, error) {
	if !goodKey(key) {
		return nil, errors.New("rbd: not a key")
	}
	var salt [saltSize / 2]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return nil, fmt.Errorf("rbd: %w", err)
	}
	at, err := s.own(ctx, key)
	if err != nil {
		return nil, err
	}
	switch _, err := s.Stat(ctx, place{image: key}.locator()); {
	case err == nil:
		return nil, fmt.Errorf("rbd: %w", backends.ErrExists)
	case !errors.Is(err, backends.ErrNotFound):
		return nil, err
	}
	return &writer{
		s: s, ctx: ctx, at: at, size: size,
		up: upload{s: s, name: uploadName(key, hex.EncodeToString(salt[:])), at: at, size: size, step: s.cfg.ChunkSize},
	}, nil
}

// writer gathers bytes into pieces and hands them to the goroutine that owns the
// image.
type writer struct {
	s    *Store
	ctx  context.Context
	at   place
	size int64 // announced
	n    int64 // taken

	part  *[pieceSize]byte // the piece that is being filled; nil: none
	fill  int
	tasks chan func() // to the owner; nil before the first Write
	ended chan struct{}

	failed error
	done   bool
	up     upload // the owner's
}

var errEnded = errors.New("rbd: the upload was ended")

// begin starts the owner and has the image made.
func (w *writer) begin() error {
	if w.tasks != nil || w.failed != nil {
		return w.failed
	}
	if w.failed = w.s.begin(); w.failed != nil {
		return w.failed
	}
	w.tasks, w.ended = make(chan func()), make(chan struct{})
	w.s.mu.Lock()
	w.s.writers[w.up.name] = w
	w.s.mu.Unlock()
	go w.own()
	w.failed = w.ask(w.ctx, func() error { return w.up.create(w.ctx) })
	return w.failed
}

// own runs the tasks one after another until one of them has ended the upload or
// the store is closed.
func (w *writer) own() {
	defer w.s.calls.Done()
	defer close(w.ended)
	defer func() {
		w.s.mu.Lock()
		delete(w.s.writers, w.up.name)
		w.s.mu.Unlock()
	}()
	for !w.up.over {
		select {
		case task := <-w.tasks:
			task()
		case <-w.s.closing:
			_ = w.up.close()
			return
		}
	}
}

// ask has the owner run fn. When ctx ends first, fn goes on, or is never begun;
// what is asked later comes after it.
func (w *writer) ask(ctx context.Context, fn func() error) error {
	reply := make(chan error, 1)
	select {
	case w.tasks <- func() { reply <- translate(fn()) }:
	case <-w.ended:
		return errEnded
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-reply:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (w *writer) Write(p []byte) (n int, err error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	if w.size >= 0 && w.n+int64(len(p)) > w.size {
		w.failed = fmt.Errorf("rbd: more than the %d bytes announced", w.size)
		return 0, w.failed
	}
	for n < len(p) {
		if w.part == nil {
			w.part = pieces.Get().(*[pieceSize]byte)
		}
		k := copy(w.part[w.fill:], p[n:])
		w.fill, w.n, n = w.fill+k, w.n+int64(k), n+k
		if w.fill == pieceSize {
			if err := w.flush(w.ctx); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// flush hands the piece over. It waits only while as many as may be are on their
// way.
func (w *writer) flush(ctx context.Context) error {
	if w.fill == 0 {
		return nil
	}
	buf, n, off := w.part, w.fill, w.n-int64(w.fill)
	w.part, w.fill = nil, 0
	w.failed = w.ask(ctx, func() error { return w.up.write(buf, n, off) })
	return w.failed
}

func (w *writer) Locator() backends.Locator { return w.at.locator() }

// Commit makes the image whole, makes its snapshot, and gives it its name.
func (w *writer) Commit(ctx context.Context) (backends.Locator, error) {
	switch {
	case w.done:
		return "", errEnded
	case w.failed != nil:
		return "", w.failed
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case w.size >= 0 && w.n != w.size:
		return "", fmt.Errorf("rbd: %d bytes written, %d announced", w.n, w.size)
	}
	if err := w.begin(); err != nil {
		return "", err
	}
	if err := w.flush(ctx); err != nil {
		return "", err
	}
	size := w.n
	if w.failed = w.ask(ctx, func() error { return w.up.commit(size) }); w.failed != nil {
		return "", w.failed
	}
	w.done = true
	return w.Locator(), nil
}

// Cancel removes the image under way. A cluster that does not answer in time
// leaves it to the reaper.
func (w *writer) Cancel() error {
	if w.done {
		return nil
	}
	w.done = true
	if w.part != nil {
		pieces.Put(w.part)
		w.part = nil
	}
	if w.tasks == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), w.s.cfg.OpTimeout)
	defer cancel()
	err := w.ask(ctx, w.up.discard)
	switch {
	case errors.Is(err, errEnded):
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("rbd: %w: the image under way could not be removed", backends.ErrUnavailable)
	}
	return err
}

// inFlight is how many pieces of an upload are on their way at once.
const inFlight = 4

// upload is an image under way. Its owner alone uses it, but for failed.
type upload struct {
	s         *Store
	name      string
	at        place
	h         *handle // nil: not open
	size      int64   // announced
	grown     int64   // the image's size now
	step      int64   // by which it grows the next time
	slots     chan struct{}
	writes    sync.WaitGroup
	failed    firstError
	over      bool // nothing is left to do
	committed bool
}

func (u *upload) create(ctx context.Context) error {
	h, _, err := u.s.reach(ctx, u.at.locator())
	if err != nil {
		return err
	}
	u.h, u.slots, u.grown = h, make(chan struct{}, inFlight), max(u.size, 0)
	if err := h.create(u.name, uint64(u.grown), u.s.cfg.order()); err != nil {
		return err
	}
	return h.open(u.name, "", true)
}

// write grows the image where its size is not known, and writes a piece behind
// the caller's back. It takes buf over.
func (u *upload) write(buf *[pieceSize]byte, n int, off int64) error {
	if err := u.failed.get(); err != nil {
		return err
	}
	data := buf[:n]
	if need := off + int64(n); u.grown < need {
		u.grown, u.step = growth(u.grown, u.step, need)
		if err := u.h.img.Resize(uint64(u.grown)); err != nil {
			u.failed.set(err)
			return err
		}
	}
	if u.s.cfg.Thin && chunk.IsZero(data) {
		pieces.Put(buf)
		return nil
	}
	u.slots <- struct{}{} // a write ends, by the timeout if by nothing else
	img := u.h.img
	u.writes.Go(func() {
		k, err := img.WriteAt(data, off)
		if err == nil && k != len(data) {
			err = errors.New("a short write")
		}
		u.failed.set(err)
		pieces.Put(buf)
		<-u.slots
	})
	return nil
}

// commit ends the upload where all goes well; else discard has to.
func (u *upload) commit(size int64) error {
	u.writes.Wait()
	if err := u.failed.get(); err != nil {
		return err
	}
	if err := u.seal(size); err != nil {
		return err
	}
	if err := u.close(); err != nil {
		return err
	}
	h, _, err := u.s.reach(context.Background(), u.at.locator())
	if err != nil {
		return err
	}
	defer func() { _ = h.close() }()
	if err := h.rename(u.name, u.at.image); err != nil {
		return err
	}
	u.over, u.committed = true, true
	return nil
}

// seal gives the open image its last size and its snapshot.
func (u *upload) seal(size int64) error {
	if u.grown != size {
		if err := u.h.img.Resize(uint64(size)); err != nil {
			return err
		}
	}
	if err := u.h.img.Flush(); err != nil {
		return err
	}
	sn, err := u.h.img.CreateSnapshot(u.at.snap)
	if err != nil {
		return err
	}
	if err := sn.Protect(); err != nil {
		return err
	}
	if err := u.h.img.SetSnapshot(u.at.snap); err != nil {
		return err
	}
	got, err := u.h.img.GetSize()
	if err == nil && int64(got) != size {
		err = fmt.Errorf("the snapshot has %d bytes, %d were written", got, size)
	}
	return err
}

// close gives the image back when the last write has ended.
func (u *upload) close() error {
	u.writes.Wait()
	if u.h == nil {
		return nil
	}
	err := u.h.close()
	u.h = nil
	return err
}

// stop ends the upload and leaves the image.
func (u *upload) stop() error {
	u.over = true
	return u.close()
}

// discard ends the upload and removes the image.
func (u *upload) discard() error {
	if err := u.stop(); err != nil {
		return err
	}
	h, _, err := u.s.reach(context.Background(), u.at.locator())
	if err != nil {
		return err
	}
	defer func() { _ = h.close() }()
	err = h.remove(place{image: u.name, snap: u.at.snap})
	if code(err) == syscall.ENOENT {
		err = nil
	}
	return err
}

// firstError keeps the first of the errors that it is given.
type firstError struct {
	mu  sync.Mutex
	err error
}

func (f *firstError) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

func (f *firstError) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}
