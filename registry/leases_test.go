package registry_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/registry"
	"glimpse/registry/image"
	"glimpse/registry/memstore"
)

const id = "11111111-1111-4111-8111-111111111111"

// slowDB is a database that counts its reads, can be away, and can hold a read
// after it has looked.
type slowDB struct {
	registry.Registry
	gets atomic.Int32
	mu   sync.Mutex
	down error
	held chan struct{} // a read waits for it with its answer in hand
}

func (d *slowDB) Get(ctx context.Context, id string) (image.Image, error) {
	d.gets.Add(1)
	d.mu.Lock()
	held, down := d.held, d.down
	d.mu.Unlock()
	if down != nil {
		return image.Image{}, down
	}
	m, err := d.Registry.Get(ctx, id)
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			return image.Image{}, ctx.Err()
		}
	}
	return m, err
}

func (d *slowDB) set(down error, held chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down, d.held = down, held
}

var errAway = image.Errorf(image.Unavailable, "away")

func newDB(t *testing.T, s image.Status) *slowDB {
	t.Helper()
	d := &slowDB{Registry: memstore.New(0)}
	put(t, d, id, s)
	return d
}

func put(t *testing.T, d *slowDB, id string, s image.Status) {
	t.Helper()
	bare := "bare"
	m := image.Image{ID: id, Status: s, Visibility: image.Private, DiskFormat: &bare, ContainerFormat: &bare, Tags: []string{"a"}, Properties: map[string]string{"k": "v"}}
	if _, err := d.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

func newLeases(t *testing.T, d registry.Images, c registry.LeasesConfig) *registry.Leases {
	l := registry.NewLeases(d, c)
	t.Cleanup(l.Close)
	return l
}

func get(t *testing.T, l registry.Images) image.Image {
	t.Helper()
	m, err := l.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func deactivate(m *image.Image) error { return m.SetStatus(image.Deactivated) }

func TestARecordIsReadOncePerLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDB(t, image.Active)
		l := newLeases(t, d, registry.LeasesConfig{MaxStaleness: time.Second})
		get(t, l)
		time.Sleep(time.Second - 1)
		get(t, l)
		if n := d.gets.Load(); n != 1 {
			t.Errorf("%d reads within the lease", n)
		}
		time.Sleep(time.Nanosecond)
		get(t, l)
		if n := d.gets.Load(); n != 2 {
			t.Errorf("%d reads once it was over", n)
		}
	})
}

func TestALeaseCountsFromBeforeItsQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDB(t, image.Active)
		l := newLeases(t, d, registry.LeasesConfig{MaxStaleness: time.Second})
		held := make(chan struct{})
		d.set(nil, held)
		time.AfterFunc(2*time.Second, func() { close(held) })
		get(t, l)
		d.set(nil, nil)
		get(t, l)
		if n := d.gets.Load(); n != 2 {
			t.Errorf("an answer two seconds old was served: %d reads", n)
		}
	})
}

func TestMissesAndOtherStatesAreAlwaysAsked(t *testing.T) {
	for _, s := range []image.Status{image.Queued, image.Saving, image.Importing, image.PendingDelete, image.Killed} {
		d := newDB(t, s)
		l := newLeases(t, d, registry.LeasesConfig{MaxStaleness: time.Hour, OutageGrace: time.Hour})
		get(t, l)
		get(t, l)
		if n := d.gets.Load(); n != 2 {
			t.Errorf("%s: %d reads", s, n)
		}
		d.set(errAway, nil)
		if _, err := l.Get(t.Context(), id); !errors.Is(err, errAway) {
			t.Errorf("%s: served without a database: %v", s, err)
		}
	}
	d := newDB(t, image.Active)
	l := newLeases(t, d, registry.LeasesConfig{MaxStaleness: time.Hour})
	for range 2 {
		if _, err := l.Get(t.Context(), "none"); image.KindOf(err) != image.NotFound {
			t.Error(err)
		}
	}
	if n := d.gets.Load(); n != 2 {
		t.Errorf("a miss: %d reads", n)
	}
}

func TestNoStalenessMeansNoCaching(t *testing.T) {
	d := newDB(t, image.Active)
	l := newLeases(t, d, registry.LeasesConfig{OutageGrace: time.Hour})
	get(t, l)
	get(t, l)
	if n := d.gets.Load(); n != 2 {
		t.Errorf("%d reads", n)
	}
	d.set(errAway, nil)
	get(t, l)
}

func TestAWriteIsSeenAtOnce(t *testing.T) {
	d := newDB(t, image.Active)
	l := newLeases(t, d, registry.LeasesConfig{MaxStaleness: time.Hour})
	for name, w := range map[string]registry.Images{"through the leases": l, "through Writes": l.Writes(d)} {
		get(t, l)
		want := image.Deactivated
		if get(t, l).Status == want {
			want = image.Active
		}
		if _, err := w.Update(t.Context(), id, func(m *image.Image) error { return m.SetStatus(want) }); err != nil {
			t.Fatal(err)
		}
		if s := get(t, l).Status; s != want {
			t.Errorf("%s: still %s", name, s)
		}
	}
}

// A read that looked before a write and answers after it must neither be cached
// nor be joined by those who come after the write.
func TestAReadInFlightDuringAWriteIsNotCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDB(t, image.Active)
		l := newLeases(t, d, registry.LeasesConfig{MaxStaleness: time.Hour, OutageGrace: time.Hour})
		held := make(chan struct{})
		d.set(nil, held)
		early := make(chan image.Status)
		go func() { early <- get(t, l).Status }()
		synctest.Wait()
		if _, err := l.Update(t.Context(), id, deactivate); err != nil {
			t.Fatal(err)
		}
		d.set(nil, nil)
		if s := get(t, l).Status; s != image.Deactivated {
			t.Errorf("after the write: %s", s)
		}
		close(held)
		if s := <-early; s != image.Active {
			t.Errorf("the early reader got %s", s)
		}
		if s := get(t, l).Status; s != image.Deactivated {
			t.Errorf("the early read was cached over the write: %s", s)
		}
		if n := d.gets.Load(); n != 2 {
			t.Errorf("%d reads", n)
		}
	})
}

// loses is a database whose commits have an unknown outcome.
type loses struct{ *slowDB }

func (d loses) Update(ctx context.Context, id string, fn func(*image.Image) error) (image.Image, error) {
	if _, err := d.slowDB.Update(ctx, id, fn); err != nil {
		return image.Image{}, err
	}
	return image.Image{}, errAway
}

func TestAWriteOfUnknownOutcomeEndsTheLease(t *testing.T) {
	d := loses{newDB(t, image.Active)}
	l := newLeases(t, d, registry.LeasesConfig{MaxStaleness: time.Hour, OutageGrace: time.Hour})
	get(t, l)
	if _, err := l.Update(t.Context(), id, deactivate); !errors.Is(err, errAway) {
		t.Fatal(err)
	}
	if s := get(t, l).Status; s != image.Deactivated {
		t.Errorf("still %s", s)
	}
}

func TestAnOutageIsBridgedForTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDB(t, image.Active)
		var told []time.Duration
		l := newLeases(t, d, registry.LeasesConfig{
			MaxStaleness: time.Second, OutageGrace: time.Minute,
			OnStale: func(_ string, age time.Duration) { told = append(told, age) },
		})
		get(t, l)
		d.set(errAway, nil)
		time.Sleep(30 * time.Second)
		get(t, l)
		if len(told) != 1 || told[0] != 30*time.Second {
			t.Errorf("told of %v", told)
		}
		if _, err := l.List(t.Context(), registry.Query{}); err != nil {
			t.Error(err) // the memory registry isn't away: it shows that lists pass by
		}
		time.Sleep(31 * time.Second)
		if _, err := l.Get(t.Context(), id); !errors.Is(err, errAway) {
			t.Errorf("beyond the grace: %v", err)
		}
	})
}

func TestWithoutGraceAnOutageIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDB(t, image.Active)
		l := newLeases(t, d, registry.LeasesConfig{MaxStaleness: time.Second})
		get(t, l)
		d.set(errAway, nil)
		time.Sleep(time.Second)
		if _, err := l.Get(t.Context(), id); !errors.Is(err, errAway) {
			t.Error(err)
		}
	})
}

// What was last known to be deleted must not come back when the database goes.
func TestADeletedImageIsNotServedInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDB(t, image.Active)
		l := newLeases(t, d, registry.LeasesConfig{MaxStaleness: time.Second, OutageGrace: time.Hour})
		get(t, l)
		if _, err := d.Update(t.Context(), id, func(m *image.Image) error { return m.SetStatus(image.Deleted) }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if _, err := l.Get(t.Context(), id); image.KindOf(err) != image.NotFound {
			t.Fatal(err)
		}
		d.set(errAway, nil)
		if _, err := l.Get(t.Context(), id); !errors.Is(err, errAway) {
			t.Error(err)
		}
	})
}

func TestADatabaseThatHangsIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDB(t, image.Active)
		l := newLeases(t, d, registry.LeasesConfig{MaxStaleness: time.Second})
		d.set(nil, make(chan struct{}))
		if _, err := l.Get(t.Context(), id); image.KindOf(err) != image.Unavailable {
			t.Error(err)
		}
	})
}

// Only the first to meet a database that hangs waits for it in full.
func TestADatabaseThatHangsDoesNotHoldUpWhatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDB(t, image.Active)
		l := newLeases(t, d, registry.LeasesConfig{MaxStaleness: time.Second, OutageGrace: time.Hour})
		get(t, l)
		d.set(nil, make(chan struct{}))
		time.Sleep(time.Second)
		get(t, l)
		begun := time.Now()
		get(t, l)
		if took := time.Since(begun); took > time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

func TestManyCallersShareOneRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDB(t, image.Active)
		l := newLeases(t, d, registry.LeasesConfig{MaxStaleness: time.Second})
		held := make(chan struct{})
		d.set(nil, held)
		first, leave := context.WithCancel(t.Context())
		left := make(chan error)
		go func() {
			_, err := l.Get(first, id)
			left <- err
		}()
		synctest.Wait()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { get(t, l) })
		}
		synctest.Wait()
		leave() // the one that began it: the others must not notice
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		close(held)
		wg.Wait()
		if n := d.gets.Load(); n != 1 {
			t.Errorf("%d reads", n)
		}
	})
}

func TestCallersGetTheirOwnCopy(t *testing.T) {
	l := newLeases(t, newDB(t, image.Active), registry.LeasesConfig{MaxStaleness: time.Hour})
	for range 2 {
		m := get(t, l)
		if m.Tags[0] != "a" || m.Properties["k"] != "v" {
			t.Fatalf("another caller's change is seen: %v %v", m.Tags, m.Properties)
		}
		m.Tags[0], m.Properties["k"] = "b", "w"
	}
}

func TestTheOldestUsedRecordLeavesWhenTooMany(t *testing.T) {
	d := newDB(t, image.Active)
	put(t, d, "b", image.Active)
	put(t, d, "c", image.Active)
	l := newLeases(t, d, registry.LeasesConfig{MaxStaleness: time.Hour, Max: 2})
	for _, k := range []string{id, "b", id, "c", id} {
		if _, err := l.Get(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	if n := d.gets.Load(); n != 3 {
		t.Errorf("%d reads: the wrong one left", n)
	}
	if _, err := l.Get(t.Context(), "b"); err != nil || d.gets.Load() != 4 {
		t.Errorf("three records are kept: %v", err)
	}
}

func TestAnUploadsEndIsSeenByThoseWhoAskAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDB(t, image.Queued)
		l := newLeases(t, d, registry.LeasesConfig{MaxStaleness: time.Hour})
		w := l.Writes(d)
		up, err := w.Begin(t.Context(), id, "main", "n")
		if err != nil {
			t.Fatal(err)
		}
		held := make(chan struct{})
		d.set(nil, held)
		early := make(chan image.Status)
		go func() { early <- get(t, l).Status }()
		synctest.Wait()
		if err := w.Fail(t.Context(), up.Token, true); err != nil {
			t.Fatal(err)
		}
		d.set(nil, nil)
		if s := get(t, l).Status; s != image.Queued {
			t.Errorf("an older read was joined: %s", s)
		}
		close(held)
		<-early
	})
}

func TestAClosedCacheReadsNoMore(t *testing.T) {
	l := registry.NewLeases(newDB(t, image.Active), registry.LeasesConfig{MaxStaleness: time.Hour})
	l.Close()
	if _, err := l.Get(t.Context(), id); image.KindOf(err) != image.Unavailable {
		t.Error(err)
	}
}
