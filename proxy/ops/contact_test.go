package ops

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/backends"
	"glimpse/cachestore/chunk"
	"glimpse/registry/image"
)

// contacted counts the contacts with a store.
type contacted struct {
	backends.Store
	mu    sync.Mutex
	stats int
	err   error
	wait  chan struct{} // not nil: each waits for its end
}

func (c *contacted) Stat(ctx context.Context, at backends.Locator) (backends.Info, error) {
	c.mu.Lock()
	c.stats++
	err := c.err
	c.mu.Unlock()
	if c.wait != nil {
		<-c.wait
	}
	if err != nil {
		return backends.Info{}, err
	}
	return c.Store.Stat(ctx, at)
}

// A steward makes the contact once, however many ask.
func TestAFirstContactForOthers(t *testing.T) { synctest.Test(t, testFirstContact) }

func testFirstContact(t *testing.T) {
	b := newBench(t, nil)
	origin := &contacted{Store: b.store, wait: make(chan struct{})}
	b.stores["main"].Backend = origin
	steward := b.Service
	m := b.foreign([]byte("written by a Glance"), nil)
	r := ref(m.ID, m.Locations[0].ID)

	var asks sync.WaitGroup
	for range 5 {
		asks.Go(func() {
			o, err := steward.FirstContact(t.Context(), chunk.Object{Ref: r})
			if err != nil || o.Size != 19 || o.Validator == "" || o.Ref != r {
				t.Errorf("%+v, %v", o, err)
			}
		})
	}
	synctest.Wait()
	close(origin.wait)
	asks.Wait()
	if origin.stats != 1 {
		t.Errorf("%d contacts", origin.stats)
	}
	before := origin.stats
	if _, err := steward.FirstContact(t.Context(), chunk.Object{Ref: r}); err != nil || origin.stats != before {
		t.Errorf("%v, and %d contacts after it was pinned", err, origin.stats-before)
	}
	for name, c := range map[string]struct {
		ref  string
		err  error // of the store
		want error
	}{
		"no reference":         {ref: "x", want: chunk.ErrUnresolved},
		"no image":             {ref: ref("11111111-1111-1111-1111-111111111111", 998), want: chunk.ErrUnresolved},
		"no bytes":             {err: backends.ErrNotFound, want: chunk.ErrNotFound},
		"the store is away":    {err: backends.ErrUnavailable, want: chunk.ErrUnavailable},
		"not of that location": {ref: ref(m.ID, 999), want: chunk.ErrUnresolved},
	} {
		origin.err = c.err
		if c.ref == "" {
			m := b.foreign([]byte("x"), nil)
			c.ref = ref(m.ID, m.Locations[0].ID)
		}
		if _, err := steward.FirstContact(t.Context(), chunk.Object{Ref: c.ref}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What the steward says is believed, and this node does not contact the origin.
func TestTheStewardsWord(t *testing.T) {
	var say struct {
		found chunk.Object
		ok    bool
		err   error
	}
	asked := 0
	b := newBench(t, func(c *Config) {
		c.Steward = func(context.Context, chunk.Object) (chunk.Object, bool, error) {
			asked++
			return say.found, say.ok, say.err
		}
	})
	origin := &contacted{Store: b.store}
	b.stores["main"].Backend = origin
	look := func() error {
		m := b.foreign([]byte("written by a Glance"), nil)
		before := asked
		t, err := b.target(context.Background(), m, m.Locations[0])
		if err == nil && t.object.Size != 19 {
			b.t.Errorf("%+v", t.object)
		}
		if asked != before+1 {
			b.t.Errorf("asked %d times", asked-before)
		}
		return err
	}
	say.ok, say.found = true, chunk.Object{Size: 19, Validator: "v"}
	if err := look(); err != nil || origin.stats != 0 {
		t.Errorf("%v, %d contacts", err, origin.stats)
	}
	say.ok = false
	if err := look(); err != nil || origin.stats != 1 {
		t.Errorf("this node is the steward: %v, %d contacts", err, origin.stats)
	}
	say.err = chunk.ErrNotFound
	if err := look(); !missing(err) || origin.stats != 1 {
		t.Errorf("%v, %d contacts", err, origin.stats)
	}
	say.err = chunk.ErrUnavailable
	if err := look(); image.KindOf(err) != image.Unavailable || origin.stats != 1 {
		t.Errorf("%v, %d contacts", err, origin.stats)
	}
}

// A storm of clients asks the steward once, and who leaves does not end that for the
// others.
func TestAStormAsksTheStewardOnce(t *testing.T) { synctest.Test(t, testStormOfContacts) }

func testStormOfContacts(t *testing.T) {
	var asked atomic.Int64
	answer := make(chan struct{})
	b := newBench(t, func(c *Config) {
		c.Steward = func(ctx context.Context, _ chunk.Object) (chunk.Object, bool, error) {
			asked.Add(1)
			select {
			case <-answer:
				return chunk.Object{Size: 19, Validator: "v"}, true, nil
			case <-ctx.Done():
				return chunk.Object{}, false, context.Cause(ctx)
			}
		}
	})
	m := b.foreign([]byte("written by a Glance"), nil)
	first, leave := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i := range 20 {
		clients.Go(func() {
			ctx, gone := t.Context(), i == 0
			if gone {
				ctx = first
			}
			if _, err := b.target(ctx, m, m.Locations[0]); (err != nil) != gone {
				t.Errorf("client %d: %v", i, err)
			}
		})
		synctest.Wait() // the first is the one whose question it is
	}
	leave()
	synctest.Wait()
	close(answer)
	clients.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("the steward was asked %d times", n)
	}
}

// What is not in one node's folder may be in another's.
func TestAStewardWithoutTheFolder(t *testing.T) {
	b := newBench(t, nil)
	b.stores["main"].Unshared, b.cfg.Clustered = true, true
	m := b.foreign([]byte("written by a Glance"), nil)
	b.stores["main"].Backend = &contacted{Store: b.store, err: backends.ErrNotFound}
	if _, err := b.FirstContact(t.Context(), chunk.Object{Ref: ref(m.ID, m.Locations[0].ID)}); !errors.Is(err, chunk.ErrUnresolved) {
		t.Errorf("%v", err)
	}
	b.cfg.Steward = func(context.Context, chunk.Object) (chunk.Object, bool, error) { return chunk.Object{}, false, nil }
	if _, err := b.target(t.Context(), m, m.Locations[0]); image.KindOf(err) != image.Unavailable || missing(err) {
		t.Errorf("no node has it: %v", err)
	}
}

// unanswering is a store that answers nobody.
type unanswering struct {
	backends.Store
	asked, over atomic.Int64
}

func (h *unanswering) Stat(ctx context.Context, _ backends.Locator) (backends.Info, error) {
	h.asked.Add(1)
	<-ctx.Done()
	h.over.Add(1)
	return backends.Info{}, ctx.Err()
}

// A contact that nobody waits for any more is over when the service is closed: its
// store is closed next.
func TestCloseEndsAContact(t *testing.T) { synctest.Test(t, testCloseEndsAContact) }

func testCloseEndsAContact(t *testing.T) {
	b := newBench(t, nil)
	origin := &unanswering{Store: b.store}
	b.stores["main"].Backend = origin
	m := b.foreign([]byte("written by a Glance"), nil)
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		synctest.Wait()
		leave()
	}()
	if _, err := b.target(ctx, m, m.Locations[0]); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if origin.asked.Load() != 1 || origin.over.Load() != 0 {
		t.Fatal("the contact has ended already: the test shows nothing")
	}
	began := time.Now()
	if err := b.Close(context.Background()); err != nil || origin.over.Load() != 1 || time.Since(began) > 0 {
		t.Errorf("%v after %v, and %d contacts are over", err, time.Since(began), origin.over.Load())
	}
	if _, err := b.target(t.Context(), m, m.Locations[0]); image.KindOf(err) != image.Unavailable || origin.asked.Load() != 1 {
		t.Errorf("after Close: %v", err)
	}
}
