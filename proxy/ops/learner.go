package ops

import (
	"context"
	"sync"

	"glimpse/cachestore/chunk"
)

// Bounds of what is learned at once: a fold is a few hash states and 32 bytes a
// chunk.
const maxFolds = 64

// learner folds the chunks of images that have no manifest into their hashes, in
// order, as they become resident. It reads only what is in the cache, so it costs
// the origin nothing; a chunk that was evicted before its turn is waited for.
type learner struct {
	s      *Service
	ctx    context.Context
	cancel context.CancelFunc
	queue  chan *fold
	done   chan struct{}

	mu struct {
		sync.Mutex
		folds map[chunk.Key]*fold
	}
}

func newLearner(s *Service) *learner {
	l := &learner{s: s, queue: make(chan *fold, maxFolds), done: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.mu.folds = map[chunk.Key]*fold{}
	go l.run()
	return l
}

func (l *learner) close(ctx context.Context) error {
	l.cancel()
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Filled hears that a chunk became resident.
func (s *Service) Filled(o chunk.Object, index int) {
	if _, busy := s.hasher.busy.Load(o.Key); !busy && o.Size > 0 && s.lacksManifest(o.Key) {
		s.learner.filled(o, index)
	}
}

func (s *Service) lacksManifest(k chunk.Key) bool {
	if !k.Content() {
		return true
	}
	_, damaged := s.damaged.Load(manifestKey(k))
	return damaged
}

// filled queues the object's fold if it waits for this chunk. The queue has room
// for every fold once, so that it never blocks.
func (l *learner) filled(o chunk.Object, index int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.mu.folds[o.Key]
	if f == nil {
		if len(l.mu.folds) >= maxFolds {
			l.forgetOneLocked()
		}
		f = newFold(o, l.s.cfg.Geometry)
		l.mu.folds[o.Key] = f
	}
	if index < f.wants || f.queued {
		return
	}
	select {
	case l.queue <- f:
		f.queued = true
	default: // forgotten folds may still be queued; a later chunk brings this one back
	}
}

// forgetOneLocked makes room: of the folds that wait, the one that has come least
// far.
func (l *learner) forgetOneLocked() {
	var least *fold
	for _, f := range l.mu.folds {
		if !f.queued && (least == nil || f.wants < least.wants) {
			least = f
		}
	}
	if least != nil {
		delete(l.mu.folds, least.o.Key)
	}
}

func (l *learner) run() {
	defer close(l.done)
	for {
		select {
		case <-l.ctx.Done():
			return
		case f := <-l.queue:
			l.advance(f)
		}
	}
}

// advance folds what is resident and ends the fold when all is.
func (l *learner) advance(f *fold) {
	l.mu.Lock()
	f.queued = false
	over := f.over
	l.mu.Unlock()
	if over {
		return
	}
	next, err := f.advance(l.ctx, l.s)
	l.mu.Lock()
	f.wants = next
	if over = err != nil || next == f.count; over {
		f.over = true
		delete(l.mu.folds, f.o.Key)
	}
	l.mu.Unlock()
	switch {
	case err != nil && l.ctx.Err() == nil:
		l.s.cfg.Log.Warn("an image's chunks could not be folded", "ref", f.o.Ref, "error", err)
	case err == nil && over:
		if err := f.conclude(l.ctx, l.s); err != nil && l.ctx.Err() == nil {
			l.s.cfg.Log.Warn("what was learned of an image could not be filed", "ref", f.o.Ref, "error", err)
		}
	}
}
