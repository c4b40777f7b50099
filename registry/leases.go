package registry

import (
	"container/list"
	"context"
	"sync"
	"time"

	"glimpse/registry/image"
)

const (
	// readTimeout bounds a read of one record; it runs on when its callers leave.
	readTimeout = 10 * time.Second
	// awayTime is how long a Get waits for a database that failed last, when a
	// record within the grace is there.
	awayTime = 500 * time.Millisecond
	// defaultLeases is how many records are kept where LeasesConfig.Max is 0: some
	// 2 KiB each.
	defaultLeases = 10_000
)

// LeasesConfig says how long records are believed.
type LeasesConfig struct {
	MaxStaleness time.Duration // how old an answer may be; 0: every Get asks
	OutageGrace  time.Duration // how much longer a record is served while the database is away
	Max          int           // records kept; 0 means 10,000
	// OnStale is told of each answer that was given beyond its lease, with the time
	// since it was read. It may be nil, and is called from many goroutines.
	OnStale func(id string, age time.Duration)
	Cluster *Cluster // nil: this node is the only one
}

// Leases are the Images of inner with the records of active and deactivated
// images cached. Misses, other states and lists never are. A lease counts from
// before its query was sent; a write through Leases or Drop ends it, and bars the
// reads in flight from beginning another. In a cluster a write is acknowledged
// when that is so on every node; see Cluster.
type Leases struct {
	inner Images
	c     LeasesConfig
	base  context.Context // of reads: they outlive the caller that began them
	stop  context.CancelFunc
	reads sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	away    bool                     // the last read found the database away
	records map[string]*list.Element // of *lease
	used    *list.List               // front: used last
	flights map[string][]*flight     // the newest last; barred ones are taken out
	widest  time.Duration            // the longest lease of a node that a write has met
	logged  map[string]time.Time     // when a node was last said to be silent
}

type lease struct {
	record    image.Image
	read      time.Time // when its query was about to be sent
	graceOnly bool      // no lease: who writes may not have known of this node
}

// flight is one read of one record that any number of callers wait for.
type flight struct {
	start     time.Time
	graceOnly bool // see lease
	barred    bool // under Leases.mu: a write came after start
	done      chan struct{}
	record    image.Image // record and err: once done is closed
	err       error
}

// NewLeases wraps inner, which stays the caller's to close. Close ends the reads.
func NewLeases(inner Images, c LeasesConfig) *Leases {
	if c.Max <= 0 {
		c.Max = defaultLeases
	}
	if c.OnStale == nil {
		c.OnStale = func(string, time.Duration) {}
	}
	l := &Leases{
		inner: inner, c: c, records: map[string]*list.Element{}, used: list.New(), flights: map[string][]*flight{},
		logged: map[string]time.Time{},
	}
	l.base, l.stop = context.WithCancel(context.Background())
	return l
}

// Close ends the reads in flight and waits for them. Later calls of Get are
// Unavailable.
func (l *Leases) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.stop()
	l.reads.Wait()
}

// Get returns the record, at most MaxStaleness old; or, while the database is
// away, one whose lease ran out less than OutageGrace ago. The caller may change
// what it gets.
func (l *Leases) Get(ctx context.Context, id string) (image.Image, error) {
	for join := true; ; join = false {
		m, f, joined, err := l.begin(id, time.Now(), join)
		if f == nil {
			return m, err
		}
		m, err = l.await(ctx, id, f)
		if !joined || !l.mustAsk(id, f) {
			return m, err
		}
	}
}

// await answers with what the read finds.
func (l *Leases) await(ctx context.Context, id string, f *flight) (image.Image, error) {
	patience := time.NewTimer(l.patience(id))
	defer patience.Stop()
	select {
	case <-f.done:
	case <-patience.C:
		return l.bridge(ctx, id, errSilent)
	case <-ctx.Done():
		return image.Image{}, image.Wrap(image.Unavailable, ctx.Err(), errSilent.Msg)
	}
	switch {
	case f.err == nil:
		return f.record.Clone(), nil
	case image.KindOf(f.err) == image.Unavailable:
		return l.bridge(ctx, id, f.err)
	}
	return image.Image{}, f.err
}

var errSilent = image.Errorf(image.Unavailable, "The image registry does not answer.")

// patience is how long to wait for the database: longer than any read takes,
// unless it failed last and the record may do without.
func (l *Leases) patience(id string) time.Duration {
	_, _, ok := l.stale(id, time.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	if ok && l.away {
		return awayTime
	}
	return 2 * readTimeout
}

// bridge answers while the database is away.
func (l *Leases) bridge(ctx context.Context, id string, cause error) (image.Image, error) {
	m, age, ok := l.stale(id, time.Now())
	if !ok {
		return image.Image{}, cause
	}
	l.c.OnStale(id, age)
	noteStale(ctx, age)
	return m, nil
}

// begin returns a leased record, or a read to wait for: one that is under way
// and whose answer won't be too old, which it then joined, or its own.
func (l *Leases) begin(id string, now time.Time, join bool) (_ image.Image, _ *flight, joined bool, _ error) {
	live := l.c.Cluster.live()
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.records[id]; ok {
		if k := e.Value.(*lease); live && !k.graceOnly && now.Sub(k.read) < l.c.MaxStaleness {
			l.used.MoveToFront(e)
			return k.record.Clone(), nil, false, nil
		}
	}
	if fs := l.flights[id]; join && live && len(fs) > 0 {
		if f := fs[len(fs)-1]; !f.graceOnly && now.Sub(f.start) < l.c.MaxStaleness {
			return image.Image{}, f, true, nil
		}
	}
	if l.closed {
		return image.Image{}, nil, false, image.Errorf(image.Unavailable, "This node is shutting down.")
	}
	f := &flight{start: now, graceOnly: !live, done: make(chan struct{})}
	l.flights[id] = append(l.flights[id], f)
	l.reads.Go(func() { l.read(id, f) })
	return image.Image{}, f, false, nil
}

func (l *Leases) read(id string, f *flight) {
	ctx, cancel := context.WithTimeout(l.base, readTimeout)
	defer cancel()
	f.record, f.err = l.inner.Get(ctx, id)
	if f.err != nil && ctx.Err() != nil && image.KindOf(f.err) == image.Internal {
		f.err = image.Wrap(image.Unavailable, f.err, errSilent.Msg)
	}
	l.land(id, f)
	close(f.done)
}

// stale returns a record beyond its lease, within the grace.
func (l *Leases) stale(id string, now time.Time) (image.Image, time.Duration, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.records[id]
	if !ok || l.c.OutageGrace <= 0 {
		return image.Image{}, 0, false
	}
	k := e.Value.(*lease)
	age := now.Sub(k.read)
	if age >= l.c.MaxStaleness+l.c.OutageGrace {
		l.forgetLocked(id)
		return image.Image{}, 0, false
	}
	return k.record.Clone(), age, true
}

// List asks the database.
func (l *Leases) List(ctx context.Context, q Query) ([]image.Image, error) {
	return l.inner.List(ctx, q)
}

// Create asks the database.
func (l *Leases) Create(ctx context.Context, m image.Image) (image.Image, error) {
	defer l.Drop(m.ID)
	return l.inner.Create(ctx, m)
}

// Update asks the database; the record is dropped when it has answered, whatever
// the answer is: the outcome of a commit may be unknown.
func (l *Leases) Update(ctx context.Context, id string, fn func(*image.Image) error) (image.Image, error) {
	return l.update(ctx, l.inner, id, fn)
}

var _ Images = (*Leases)(nil)
