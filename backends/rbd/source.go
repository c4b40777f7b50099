//go:build ceph

package rbd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"glimpse/backends"
)

// linger is how long an image stays open for the next read of it: to open one takes
// as long as to read some megabytes, and a cache asks for no more at once.
const linger = 5 * time.Second

// source is an image open at its snapshot. Those who read it at the same time, or
// soon after one another, share it.
type source struct {
	s      *Store
	at     backends.Locator
	h      *handle
	p      place
	v      version
	header string // the object that lists the snapshots; "": only librbd knows

	users int         // under Store.mu
	idle  *time.Timer // ends it, where it is one of Store.sources
}

// source returns a locator's image, which the caller gives back. One that is open
// already is used while its snapshot is there. It blocks.
func (s *Store) source(ctx context.Context, at backends.Locator, validator string) (*source, error) {
	if src := s.borrow(at); src != nil {
		err := translate(src.unchanged())
		if err == nil && (validator == "" || src.v.String() == validator) {
			return src, nil
		}
		src.giveBack()
		if err != nil && !errors.Is(err, backends.ErrChanged) {
			return nil, err
		}
	}
	h, p, err := s.reach(ctx, at)
	if err != nil {
		return nil, err
	}
	src := &source{s: s, at: at, h: h, p: p, users: 1}
	if err = h.open(p.image, p.snap, false); err == nil {
		src.v, err = h.version(p)
	}
	if err == nil && validator != "" && src.v.String() != validator {
		err = fmt.Errorf("rbd: %w", backends.ErrChanged)
	}
	if err != nil {
		_ = h.close()
		return nil, err
	}
	if id, err := h.img.GetId(); err == nil && p.snap != "" { // images of the first format have none
		src.header = "rbd_header." + id
		s.share(src)
	}
	return src, nil
}

// borrow returns the image of a locator that is open, nil where none is.
func (s *Store) borrow(at backends.Locator) *source {
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.sources[at]
	if src == nil || src.h.c != s.cluster {
		return nil
	}
	src.users++
	src.idle.Stop()
	return src
}

// share lets others use an image, unless another is shared under its locator: one
// that has changed, or another reader's.
func (s *Store) share(src *source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sources == nil {
		s.sources = map[backends.Locator]*source{}
	}
	if s.sources[src.at] == nil {
		src.idle = time.AfterFunc(linger, func() { s.expire(src) })
		s.sources[src.at] = src
	}
}

// giveBack ends one use. The last one closes the image, at once or after a while.
func (src *source) giveBack() {
	s := src.s
	s.mu.Lock()
	src.users--
	shared := s.sources[src.at] == src
	if shared {
		src.idle.Reset(linger)
	}
	last := src.users == 0 && !shared
	s.mu.Unlock()
	if last {
		_ = src.h.close()
	}
}

// expire closes an image that nobody has used for a while.
func (s *Store) expire(src *source) {
	s.mu.Lock()
	if s.closed || src.users > 0 || s.sources[src.at] != src {
		s.mu.Unlock()
		return
	}
	delete(s.sources, src.at)
	s.calls.Add(1)
	s.mu.Unlock()
	defer s.calls.Done()
	_ = src.h.close()
}

// endSources closes what is shared still. Nobody uses any.
func (s *Store) endSources() {
	for _, src := range s.sources {
		src.idle.Stop()
		_ = src.h.close()
	}
	clear(s.sources)
}

// unchanged looks for the snapshot once more: of an image that is being removed
// librbd reads zeros. What it has in memory tells nothing, so the object is asked
// in which it keeps the snapshots.
func (src *source) unchanged() error {
	if src.header == "" {
		return src.reopened()
	}
	key := fmt.Sprintf("snapshot_%016x", src.v.snap)
	found, err := src.h.pool.GetOmapValues(src.header, "", key, 1)
	src.s.noteFailure(src.h.c, err)
	if errors.Is(translate(err), backends.ErrNotFound) || err == nil && len(found) == 0 {
		return errRemoved
	}
	return err
}

var errRemoved = fmt.Errorf("rbd: the image was removed: %w", backends.ErrChanged)

// reopened does the same by opening the image anew.
func (src *source) reopened() error {
	again := &handle{s: src.h.s, c: src.h.c, pool: src.h.pool}
	err := again.open(src.p.image, src.p.snap, false)
	if errors.Is(translate(err), backends.ErrNotFound) {
		return errRemoved
	}
	if err != nil {
		return err
	}
	v, err := again.version(src.p)
	if cerr := again.closeImage(); err == nil {
		err = cerr
	}
	if err == nil && v != src.v {
		err = fmt.Errorf("rbd: %w", backends.ErrChanged)
	}
	return err
}
