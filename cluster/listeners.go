package cluster

import (
	"slices"
	"sync"
)

// Listeners are functions that are told of something, one call at a time. The
// zero value has none.
type Listeners[T any] struct {
	turn sync.Mutex // held over every call, taken before mu
	mu   sync.Mutex
	fns  []*func(T)
}

// Add has fn called from now on. stop ends that, and waits for a call under way:
// fn itself must not call it.
func (l *Listeners[T]) Add(fn func(T)) (stop func()) {
	own := &fn
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fns = append(slices.Clone(l.fns), own)
	return func() {
		l.mu.Lock()
		l.fns = slices.DeleteFunc(slices.Clone(l.fns), func(f *func(T)) bool { return f == own })
		l.mu.Unlock()
		l.turn.Lock() // a call under way ends first
		defer l.turn.Unlock()
	}
}

// Tell calls all of them, in the order in which they were added.
func (l *Listeners[T]) Tell(v T) {
	l.turn.Lock()
	defer l.turn.Unlock()
	for _, fn := range l.now() {
		if slices.Contains(l.now(), fn) {
			(*fn)(v)
		}
	}
}

func (l *Listeners[T]) now() []*func(T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fns
}
