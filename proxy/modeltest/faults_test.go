package modeltest

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"glimpse/backends"
	"glimpse/registry"
	"glimpse/registry/image"
)

var (
	errAway = image.Errorf(image.Unavailable, "away, as the test wants")
	errDead = image.Errorf(image.Unavailable, "the node is dead")
	errSick = errors.New("the store fails, as the test wants")
)

// faults decide about the calls that leave the node, to the registry and to the
// origin store. Every call has a name; one that changes something is a step.
type faults struct {
	mu     sync.Mutex
	armed  map[string]int // calls that are to fail: "NAME" before, "NAME lost" after they did their work
	fired  map[string]int
	steps  []string // names of the steps that were begun
	tokens []string // of all uploads
	dieAt  int      // the step at which the node dies, from 1; 0: it lives
	after  bool     // it dies, or the deed is done, when the step is over, and before it otherwise
	deed   func()   // is done at dieAt instead
	dead   bool
}

func newFaults() *faults { return &faults{armed: map[string]int{}, fired: map[string]int{}} }

func (f *faults) arm(name string, calls int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed[name] = calls
}

// heal ends all faults and, for the node that is started next, death.
func (f *faults) heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.armed)
	f.dieAt, f.dead = 0, false
}

// kill has the node die at a step counted from now.
func (f *faults) kill(step int, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.steps, f.dieAt, f.after, f.deed = nil, step, after, nil
}

// at has a deed done at a step counted from now.
func (f *faults) at(step int, after bool, deed func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.steps, f.dieAt, f.after, f.deed = nil, step, after, deed
}

func (f *faults) isDead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// total is how many faults have fired.
func (f *faults) total() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range f.fired {
		n += k
	}
	return n
}

// damage is how many reads were damaged.
func (f *faults) damage() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fired["read damaged"]
}

// was says whether a fault was ever armed.
func (f *faults) was(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.armed[name] > 0 || f.fired[name] > 0
}

// on says whether any fault is armed.
func (f *faults) on() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.armed) > 0
}

func (f *faults) note(token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens = append(f.tokens, token)
}

// forget leaves tokens out of attempts from now on.
func (f *faults) forget(which func(string) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens = slices.DeleteFunc(f.tokens, which)
}

func (f *faults) attempts() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.tokens)
}

// hit says whether the call of this name is to fail.
func (f *faults) hit(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.armed[name] == 0 {
		return false
	}
	f.armed[name]--
	if f.armed[name] == 0 {
		delete(f.armed, name)
	}
	f.fired[name]++
	return true
}

// query is a call that changes nothing.
func (f *faults) query(name string, away error, fn func() error) error {
	if f.isDead() {
		return errDead
	}
	if f.hit(name) {
		return away
	}
	return fn()
}

// step is a call that changes something: it may fail before, or do its work and
// lose its answer.
func (f *faults) step(name string, away error, fn func() error) error {
	before, after, err := f.begin(name)
	if err != nil {
		return err
	}
	before()
	if f.isDead() {
		return errDead
	}
	if f.hit(name) {
		return away
	}
	err = fn()
	after()
	if f.isDead() {
		return errDead
	}
	if err == nil && f.hit(name+" lost") {
		return away
	}
	return err
}

// begin counts a step, and returns what is to be done before and after it.
func (f *faults) begin(name string) (before, after func(), err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return nil, nil, errDead
	}
	f.steps = append(f.steps, name)
	nothing := func() {}
	if len(f.steps) != f.dieAt {
		return nothing, nothing, nil
	}
	deed := f.deed
	if deed == nil {
		deed = f.die
	}
	if f.after {
		return nothing, deed, nil
	}
	return deed, nothing, nil
}

func (f *faults) die() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
}

// lossy is a registry that is asked over a bad wire.
type lossy struct {
	registry.Registry
	f *faults
}

func (l lossy) Get(ctx context.Context, id string) (m image.Image, err error) {
	err = l.f.query("query", errAway, func() (err error) { m, err = l.Registry.Get(ctx, id); return err })
	return m, err
}

func (l lossy) Create(ctx context.Context, in image.Image) (m image.Image, err error) {
	err = l.f.step("create record", errAway, func() (err error) { m, err = l.Registry.Create(ctx, in); return err })
	return m, err
}

func (l lossy) Update(ctx context.Context, id string, fn func(*image.Image) error) (m image.Image, err error) {
	err = l.f.step("update record", errAway, func() (err error) { m, err = l.Registry.Update(ctx, id, fn); return err })
	return m, err
}

func (l lossy) Begin(ctx context.Context, imageID, store, node string) (up registry.Upload, err error) {
	err = l.f.step("begin", errAway, func() (err error) {
		if up, err = l.Registry.Begin(ctx, imageID, store, node); err == nil {
			l.f.note(up.Token)
		}
		return err
	})
	return up, err
}

func (l lossy) Note(ctx context.Context, token string, at image.Secret) error {
	return l.f.step("note", errAway, func() error { return l.Registry.Note(ctx, token, at) })
}

func (l lossy) Activate(ctx context.Context, token string, a registry.Activation) (m image.Image, err error) {
	err = l.f.step("activate", errAway, func() (err error) { m, err = l.Registry.Activate(ctx, token, a); return err })
	return m, err
}

func (l lossy) Fail(ctx context.Context, token string, clean bool) error {
	return l.f.step("fail", errAway, func() error { return l.Registry.Fail(ctx, token, clean) })
}

func (l lossy) Reap(ctx context.Context, token string) (ok bool, err error) {
	err = l.f.step("reap", errAway, func() (err error) { ok, err = l.Registry.Reap(ctx, token); return err })
	return ok, err
}

func (l lossy) Named(ctx context.Context, at image.Secret) (ok bool, err error) {
	err = l.f.query("query", errAway, func() (err error) { ok, err = l.Registry.Named(ctx, at); return err })
	return ok, err
}

func (l lossy) Content(ctx context.Context, id int64) (c registry.Content, ok bool, err error) {
	err = l.f.query("query", errAway, func() (err error) { c, ok, err = l.Registry.Content(ctx, id); return err })
	return c, ok, err
}

func (l lossy) PutContent(ctx context.Context, c registry.Content, segments [][]byte) error {
	return l.f.step("put content", errAway, func() error { return l.Registry.PutContent(ctx, c, segments) })
}

func (l lossy) Pinned(ctx context.Context, id int64) (p registry.Pin, ok bool, err error) {
	err = l.f.query("query", errAway, func() (err error) { p, ok, err = l.Registry.Pinned(ctx, id); return err })
	return p, ok, err
}

func (l lossy) Pin(ctx context.Context, in registry.Pin) (p registry.Pin, err error) {
	err = l.f.step("pin", errAway, func() (err error) { p, err = l.Registry.Pin(ctx, in); return err })
	return p, err
}

func (l lossy) Segment(ctx context.Context, key string, seg int) (b []byte, ok bool, err error) {
	err = l.f.query("query", errAway, func() (err error) { b, ok, err = l.Registry.Segment(ctx, key, seg); return err })
	return b, ok, err
}

// sick is an origin store that fails as told.
type sick struct {
	backends.Store
	f      *faults
	honest func(backends.Locator) bool // objects whose bytes must not be damaged: nothing is known to find it by
}

func (s sick) Stat(ctx context.Context, at backends.Locator) (i backends.Info, err error) {
	err = s.f.query("stat", errSick, func() (err error) { i, err = s.Store.Stat(ctx, at); return err })
	return i, err
}

func (s sick) Open(ctx context.Context, at backends.Locator, validator string, off, n int64) (r io.ReadCloser, err error) {
	err = s.f.query("open", errSick, func() (err error) { r, err = s.Store.Open(ctx, at, validator, off, n); return err })
	if err != nil {
		return nil, err
	}
	return &sickReader{r, s.f, !s.honest(at)}, nil
}

func (s sick) Create(ctx context.Context, key string, size int64) (w backends.Writer, err error) {
	err = s.f.step("create", errSick, func() (err error) { w, err = s.Store.Create(ctx, key, size); return err })
	if err != nil {
		return nil, err
	}
	return sickWriter{w, s.f}, nil
}

func (s sick) Delete(ctx context.Context, at backends.Locator) error {
	return s.f.step("delete", errSick, func() error { return s.Store.Delete(ctx, at) })
}

type sickReader struct {
	io.ReadCloser
	f      *faults
	damage bool
}

func (r *sickReader) Read(p []byte) (int, error) {
	switch {
	case r.f.isDead():
		return 0, errDead
	case r.f.hit("read"):
		return 0, errSick
	case r.f.hit("read short"):
		n, _ := r.ReadCloser.Read(p[:len(p)/2])
		return n, io.ErrUnexpectedEOF
	}
	n, err := r.ReadCloser.Read(p)
	if n > 0 && r.damage && r.f.hit("read damaged") {
		p[n/2] ^= 1
	}
	return n, err
}

type sickWriter struct {
	backends.Writer
	f *faults
}

func (w sickWriter) Write(p []byte) (n int, err error) {
	err = w.f.step("write", errSick, func() (err error) { n, err = w.Writer.Write(p); return err })
	return n, err
}

func (w sickWriter) Commit(ctx context.Context) (at backends.Locator, err error) {
	err = w.f.step("commit", errSick, func() (err error) { at, err = w.Writer.Commit(ctx); return err })
	return at, err
}

// Cancel is not done by a node that is dead.
func (w sickWriter) Cancel() error { return w.f.step("cancel", errSick, w.Writer.Cancel) }
