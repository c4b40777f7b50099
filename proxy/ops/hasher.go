package ops

import (
	"context"
	"errors"
	"sync"
	"time"

	"glimpse/backends"
	"glimpse/cachestore/chunk"
	"glimpse/registry"
	"glimpse/registry/image"
)

const (
	// hashTries is how often bytes that can't be read are tried.
	hashTries = 5
	// hashEvery is how often the queue is looked at for what others left there.
	hashEvery = 15 * time.Second
	// leaveFor is how long an image is left to other nodes that has come to one which
	// does not read it.
	leaveFor = time.Second
)

// hasher hashes images in the background, one at a time. Its queue is the
// registry's, so that what a crash interrupts is taken up again by whoever looks
// next.
type hasher struct {
	s      *Service
	ctx    context.Context
	cancel context.CancelFunc
	wake   chan struct{}
	done   chan struct{} // closed when run has ended; nil: it was never started
	busy   sync.Map      // chunk.Key: the learner need not fold what is hashed here
}

func newHasher(s *Service) *hasher {
	h := &hasher{s: s, wake: make(chan struct{}, 1)}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h
}

// StartHashing has the queue worked through until Close. It is called once, when
// the cache can be read.
func (s *Service) StartHashing() {
	s.hasher.done = make(chan struct{})
	go s.hasher.run()
}

func (h *hasher) nudge() {
	select {
	case h.wake <- struct{}{}:
	default: // it is about to look
	}
}

func (h *hasher) close(ctx context.Context) error {
	h.cancel()
	if h.done == nil {
		return nil
	}
	select {
	case <-h.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *hasher) run() {
	defer close(h.done)
	tick := time.NewTicker(hashEvery)
	defer tick.Stop()
	last := ""
	for {
		_, err := h.s.HashPass(h.ctx)
		switch {
		case h.ctx.Err() != nil:
			return
		case err == nil:
			last = ""
		case err.Error() != last:
			last = err.Error()
			h.s.cfg.Log.Warn("the queue of images to hash can't be read", "error", err)
		}
		select {
		case <-h.ctx.Done():
			return
		case <-h.wake:
		case <-tick.C:
		}
	}
}

// hold is how long an image is nobody else's.
func (s *Service) hold() time.Duration { return 3 * s.cfg.LeaseRenew }

// HashPass hashes all images that are due.
func (s *Service) HashPass(ctx context.Context) (registry.Report, error) {
	var r registry.Report
	for ctx.Err() == nil {
		h, ok, err := s.cfg.Registry.NextHash(ctx, s.hold())
		if err != nil || !ok {
			return r, err
		}
		r.Seen++
		if s.hashNext(ctx, h) {
			r.Done++
		} else {
			r.Kept++
		}
	}
	return r, ctx.Err()
}

// hashNext returns whether the image is done with, for good or ill.
func (s *Service) hashNext(ctx context.Context, h registry.Hashing) bool {
	work, cancel := context.WithCancel(ctx)
	kept := s.keepHash(work, h)
	leave, err := s.notForUs(work, h.ImageID)
	if err == nil && !leave {
		err = s.hashImage(work, h.ImageID)
	}
	cancel()
	<-kept
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if leave {
		s.noteHash(h, s.cfg.Registry.KeepHash(after, h, leaveFor))
		return false
	}
	if err != nil && ctx.Err() != nil {
		s.noteHash(h, s.cfg.Registry.KeepHash(after, h, 0)) // for the next start, or another node
		return false
	}
	if err != nil {
		h.Tries++
		s.cfg.Log.Warn("an image could not be hashed", "image", h.ImageID, "tries", h.Tries, "error", err)
		if h.Tries < hashTries && !hopeless(err) {
			s.noteHash(h, s.cfg.Registry.KeepHash(after, h, s.cfg.LeaseRenew/10<<h.Tries))
			return false
		}
		if err := s.giveUp(after, h.ImageID); err != nil {
			s.noteHash(h, err)
			return false // it is due again after the hold
		}
	}
	s.noteHash(h, s.cfg.Registry.DoneHash(after, h))
	return true
}

// notForUs says whether an image is for other nodes to hash: it lies in stores that
// this one has not, or that those of another zone or another's folder are nearer to.
func (s *Service) notForUs(ctx context.Context, id string) (bool, error) {
	if !s.clustered() {
		return false, nil
	}
	m, err := s.cfg.Registry.Get(ctx, id)
	if image.KindOf(err) == image.NotFound && err != nil {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	places := s.byWeight(m)
	for _, l := range places {
		if st := s.storeOf(l); st != nil && s.near(st) {
			if other, err := s.elsewhere(ctx, st, l); err != nil || !other {
				return false, err
			}
		}
	}
	return len(places) > 0, nil
}

func (s *Service) noteHash(h registry.Hashing, err error) {
	if err != nil {
		s.cfg.Log.Warn("the queue of images to hash could not be written", "image", h.ImageID, "error", err)
	}
}

// keepHash keeps the image ours until ctx ends; then the channel is closed.
func (s *Service) keepHash(ctx context.Context, h registry.Hashing) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(s.cfg.LeaseRenew)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
			if err := s.cfg.Registry.KeepHash(ctx, h, s.hold()); err != nil && ctx.Err() == nil {
				s.noteHash(h, err)
			}
		}
	}()
	return done
}

// hopeless says that another try would find the same.
func hopeless(err error) bool {
	if errors.Is(err, backends.ErrNotFound) || errors.Is(err, chunk.ErrChanged) || errors.Is(err, errBad) {
		return true
	}
	k := image.KindOf(err)
	return k == image.Invalid || k == image.Conflict
}
