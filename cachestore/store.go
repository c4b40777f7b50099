package cachestore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"golang.org/x/time/rate"

	"glimpse/cachestore/chunk"
)

// Store is the byte plane of one node: its memory, its disk, and what is known
// of the digests of what they hold.
type Store struct {
	geo       chunk.Geometry
	once      bool // cache.verify: once
	readAhead int
	streams   int
	filled    func(chunk.Object, int)
	log       *slog.Logger
	lines     *rate.Limiter // bounds what sources can write into the log

	arena   *arena
	pool    *pool
	mem     *memory
	disk    *behind // nil: no disk tier
	ledger  *ledger
	heat    *heat
	stats   *counters
	buffers sync.Pool // of *[pieceBytes]byte

	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	// names is held for writing while an object changes its name, and for reading
	// while a fill is begun or becomes resident.
	names   sync.RWMutex
	aliases *aliases

	mu     sync.Mutex
	closed bool
	users  int           // readers open, and calls of Peek
	unused chan struct{} // closed when the store is closed and has no users
	levels []*Level
}

// open builds a store over a disk tier, nil for none.
func open(c Config, pol policy, t tier) (*Store, error) {
	count := int(c.Memory / c.Geometry.Chunk)
	a, slabs, err := newArena(count, c.Geometry.Chunk)
	if err != nil {
		return nil, fmt.Errorf("cachestore: %w", err)
	}
	mem := newMemory(pol)
	p := newPool(slabs, mem)
	mem.setPool(p)
	s := &Store{
		geo: c.Geometry, once: c.VerifyOnce, readAhead: c.ReadAhead, streams: c.FillStreams, filled: c.Filled, log: c.Log, lines: rate.NewLimiter(1, 20),
		arena: a, pool: p, mem: mem, ledger: newLedger(c.Manifests), heat: new(heat), stats: new(counters), aliases: newAliases(), unused: make(chan struct{}),
	}
	s.buffers.New = func() any { return new([pieceBytes]byte) }
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	if t != nil {
		s.disk = newBehind(s, t)
	}
	return s, nil
}

// Level returns a new level called client, zone or home in front of next. If
// next is a level of this store its fills are joined: one slab and one fill
// serve both. Slabs are reserved by the name: client leaves a quarter to zone
// and home, zone an eighth to home; another name counts as client.
func (s *Store) Level(name string, next chunk.Source) *Level {
	l := &Level{s: s, name: name, next: next, class: classClient, fills: map[id]*fill{}}
	switch name {
	case "home":
		l.class = classHome
	case "zone":
		l.class = classZone
	}
	if in, ok := next.(*Level); ok && in.s == s {
		l.inner = in
	}
	return s.addLevel(l)
}

// Outside is where the chunks of a level come from that this node does not own.
type Outside struct {
	chunk.Source
	// Owns says whether this node is the owner of an extent at the inner level. It
	// is called with locks held: it must neither block nor call the store.
	Owns func(o chunk.Object, extent int) bool
	// Keep says whether an extent that came from Source is for the disk, too; nil:
	// always. What is not stays in memory as long as others leave it there. As Owns
	// it must not block.
	Keep func(o chunk.Object, extent int) bool
	// Seen hears of each response to a client once for each extent that it comes to,
	// before Keep is asked; it may be nil. As Owns it must not block.
	Seen func(o chunk.Object, extent int)
}

// LevelBefore returns a new level in front of inner, a level of this store: what
// this node owns there is inner's, as by Level; the rest comes from outside.
func (s *Store) LevelBefore(name string, inner *Level, out Outside) *Level {
	l := s.Level(name, inner)
	l.next, l.owns, l.keep, l.seen = out.Source, out.Owns, out.Keep, out.Seen
	return l
}

func (s *Store) addLevel(l *Level) *Level {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.levels = append(s.levels, l)
	return l
}

// Close ends fills and waits, lets the disk take what is still dirty while ctx
// lasts, and marks it clean. Bodies still open fail at their next byte; Close
// waits while ctx lasts until they are closed, and unmaps the slabs only when
// nobody holds one any more.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	was := s.closed
	s.closed = true
	if !was && s.users == 0 {
		close(s.unused)
	}
	s.mu.Unlock()
	if was {
		return nil
	}
	s.cancel(errClosed)
	s.pool.close()
	s.wg.Wait()
	var errs []error
	if s.disk != nil {
		errs = append(errs, s.disk.close(ctx))
	}
	select {
	case <-s.unused:
	case <-ctx.Done():
		errs = append(errs, fmt.Errorf("cachestore: bodies are still open: %w", context.Cause(ctx)))
		return errors.Join(errs...)
	}
	if n := s.pool.total - s.pool.idle(); n > 0 {
		errs = append(errs, fmt.Errorf("cachestore: %d buffers of uploads are still out", n))
	} else {
		errs = append(errs, s.arena.close())
	}
	return errors.Join(errs...)
}

// enter registers a user of the slabs; false when the store is closing.
func (s *Store) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.users++
	return true
}

func (s *Store) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.closed && s.users == 0 {
		close(s.unused)
	}
}

// spawn runs fn on the store's own context; false when the store is closing.
func (s *Store) spawn(fn func(context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Go(func() { fn(s.ctx) })
	return true
}

func (s *Store) eachLevel(fn func(*Level)) {
	s.mu.Lock()
	levels := s.levels
	s.mu.Unlock()
	for _, l := range levels {
		fn(l)
	}
}

func (s *Store) keepsOnDisk(o chunk.Object) bool { return s.disk != nil && !o.MemoryOnly }

// discard lets go of an entry that never became resident.
func (s *Store) discard(e *entry) {
	s.undirty(e)
	s.mem.unpin(e)
}

// undirty gives back a place in the dirty half, if the entry has one.
func (s *Store) undirty(e *entry) {
	e.mu.Lock()
	dirty := e.dirty
	e.mu.Unlock()
	if dirty {
		s.mem.clean(e)
	}
}

// proves says whether d is the digest that a chunk must have: the manifest's,
// else the one observed before, else the one that its source sent along.
func (s *Store) proves(k id, d, sent chunk.Digest) bool {
	if want, _, known, _ := s.ledger.expected(s.name(chunk.Object{Key: k.key}, k.index)); known {
		return d == want
	}
	return sent == chunk.Digest{} || d == sent
}

// disown forgets a chunk whose digest was disputed.
func (s *Store) disown(k id) {
	k = s.name(chunk.Object{Key: k.key}, k.index)
	s.ledger.unsee(k)
	s.mem.remove(k)
	if s.disk != nil {
		s.disk.t.Quarantine(k.key, k.index)
	}
}
