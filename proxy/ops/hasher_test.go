package ops

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/backends"
	"glimpse/cachestore/chunk"
	"glimpse/registry/image"
)

// importing makes an image whose bytes are to be proved, as Relocate leaves it.
func (b *bench) importing(data []byte, claim string) image.Image {
	b.t.Helper()
	m := b.queued(nil)
	b.store.Replace(m.ID, data)
	m, err := b.Relocate(b.t.Context(), m.ID, nil, true, func(m *image.Image) error {
		m.Size = ptr(int64(len(data)))
		m.Locations = []image.Location{{URL: image.Secret("mem://m/" + m.ID), Metadata: map[string]string{"store": "main"}, Status: "active"}}
		if claim == "" {
			return m.SetStatus(image.Active)
		}
		m.HashAlgo, m.HashValue = ptr("sha512"), &claim
		return m.SetStatus(image.Importing)
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

func (b *bench) pass() (seen, done, kept int) {
	b.t.Helper()
	r, err := b.HashPass(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return r.Seen, r.Done, r.Kept
}

func (b *bench) record(id string) image.Image {
	b.t.Helper()
	m, err := b.reg.Get(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

func sha512Of(b []byte) string {
	h := hashes["sha512"]()
	h.Write(b)
	return hexSum(h)
}

// What is learned of a stream is what an upload of the same bytes files, however
// it is cut.
func TestATallyIsAnUploads(t *testing.T) {
	b := newBench(t, nil)
	data := bytes.Repeat([]byte("0123456789"), 50)
	clear(data[64:192])
	m, err := b.upload(b.queued(nil), bytes.NewReader(data), -1)
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := b.reg.Content(t.Context(), m.Locations[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	filed, _, err := b.reg.Segment(t.Context(), c.Key, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []int{1, 7, 64, 100, 128, 500} {
		y := newTally(geometry, geometry.Count(int64(len(data))), "md5", "sha512", "none")
		for rest := data; len(rest) > 0; {
			n := min(step, len(rest))
			_, _ = y.Write(rest[:n])
			rest = rest[n:]
		}
		y.end()
		if got := y.sealed(); len(got) != 1 || !bytes.Equal(got[0], filed) || y.sum("sha512") != *m.HashValue || y.sum("md5") != *m.Checksum || y.size != 500 {
			t.Errorf("in steps of %d another manifest", step)
		}
	}
	y := newTally(geometry, 1, "md5")
	_, _ = y.Write(data) // more than was expected
	if y.end(); y.size != 500 {
		t.Error(y.size)
	}
}

func TestWhatACrashInterruptedIsTakenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := newBench(t, nil)
		data := []byte(strings.Repeat("bytes", 100))
		m := one.importing(data, sha512Of(data))
		// A node takes it and dies.
		if _, ok, err := one.reg.NextHash(t.Context(), one.hold()); !ok || err != nil {
			t.Fatal(ok, err)
		}
		two := newBench(t, func(c *Config) { c.Registry = one.reg; c.Stores[0].Backend = one.store })
		if seen, _, _ := two.pass(); seen != 0 {
			t.Error("another node's work was taken")
		}
		time.Sleep(one.hold() + time.Millisecond)
		if seen, done, _ := two.pass(); seen != 1 || done != 1 {
			t.Errorf("%d seen, %d done", seen, done)
		}
		if got := one.record(m.ID); got.Status != image.Active || got.Checksum == nil || *got.Checksum != md5Of(data) {
			t.Errorf("got %v", got)
		}
		time.Sleep(time.Hour)
		if seen, _, _ := two.pass(); seen != 0 {
			t.Error("it is still in the queue")
		}
	})
}

// A wish without the write that it was for, and one whose image has gone on.
func TestVoidWishes(t *testing.T) {
	b := newBench(t, nil)
	queued := b.queued(nil)
	data := []byte("glance's")
	theirs := b.foreign(data, func(m *image.Image) {
		m.Status, m.Properties = image.Importing, map[string]string{"os_glance_import_task": "t"}
	})
	gone := b.importing(data, "")
	if _, err := b.reg.Update(t.Context(), gone.ID, func(m *image.Image) error { return m.SetStatus(image.Deleted) }); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{queued.ID, theirs.ID, gone.ID, "5f2e4a8c-0000-4000-8000-000000000001"} {
		if _, err := b.reg.WishHash(t.Context(), id, 0); err != nil {
			t.Fatal(err)
		}
	}
	if seen, done, _ := b.pass(); seen != 4 || done != 4 {
		t.Errorf("%d seen, %d done", seen, done)
	}
	if b.record(queued.ID).Status != image.Queued || b.record(theirs.ID).Status != image.Importing {
		t.Error("an image was touched")
	}
}

// flaky is a store whose reads fail as told.
type flaky struct {
	backends.Store
	err   error
	fired atomic.Int64
}

func (f *flaky) Open(ctx context.Context, at backends.Locator, v string, off, n int64) (io.ReadCloser, error) {
	if f.err != nil {
		f.fired.Add(1)
		return nil, f.err
	}
	return f.Store.Open(ctx, at, v, off, n)
}

// Bytes that can't be read are tried a few times; then an image that waits for
// them is queued again, and one that does not stays without a hash.
func TestBytesThatCantBeRead(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		tries int64
	}{
		"away":    {fmt.Errorf("mem: %w", backends.ErrUnavailable), hashTries},
		"changed": {fmt.Errorf("mem: %w", chunk.ErrChanged), 1},
		"gone":    {fmt.Errorf("mem: %w", backends.ErrNotFound), 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &flaky{err: c.err}
				b := newBench(t, func(cfg *Config) { f.Store, cfg.Stores[0].Backend = cfg.Stores[0].Backend, f })
				data := []byte("some bytes")
				waits, active := b.importing(data, sha512Of(data)), b.importing(data, "")
				for range 20 {
					b.pass()
					time.Sleep(time.Minute)
				}
				if n := f.fired.Load(); n != 2*c.tries {
					t.Errorf("%d faults fired, want %d", n, 2*c.tries)
				}
				if m := b.record(waits.ID); m.Status != image.Queued || len(m.Locations) > 0 || m.HashValue != nil {
					t.Errorf("got %v", m)
				}
				if m := b.record(active.ID); m.Status != image.Active || len(m.Locations) != 1 || m.HashValue != nil {
					t.Errorf("got %v", m)
				}
				if b.store.Len() != 2 {
					t.Error("bytes that are not ours were removed")
				}
			})
		})
	}
}

// A store that comes back in time is no fault.
func TestAStoreThatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{err: backends.ErrUnavailable}
		b := newBench(t, func(cfg *Config) { f.Store, cfg.Stores[0].Backend = cfg.Stores[0].Backend, f })
		data := []byte("some bytes")
		m := b.importing(data, sha512Of(data))
		if _, _, kept := b.pass(); kept != 1 {
			t.Errorf("%d kept", kept)
		}
		f.err = nil
		time.Sleep(time.Minute)
		if _, done, _ := b.pass(); done != 1 || b.record(m.ID).Status != image.Active || f.fired.Load() == 0 {
			t.Errorf("%d done after %d faults: %s", done, f.fired.Load(), b.record(m.ID).Status)
		}
	})
}

// meddler changes the image while its bytes are read.
type meddler struct {
	backends.Store
	deed func()
}

func (f *meddler) Open(ctx context.Context, at backends.Locator, v string, off, n int64) (io.ReadCloser, error) {
	if deed := f.deed; deed != nil {
		f.deed = nil
		deed()
	}
	return f.Store.Open(ctx, at, v, off, n)
}

// What another wrote meanwhile stays.
func TestAnImageThatChangesWhileItIsHashed(t *testing.T) {
	data := []byte("some bytes")
	for name, c := range map[string]struct {
		deed  func(*image.Image) error
		check func(m image.Image) bool
	}{
		"deleted":     {func(m *image.Image) error { return m.SetStatus(image.Deleted) }, nil},
		"given up":    {unplace, func(m image.Image) bool { return m.Status == image.Queued && m.Checksum == nil }},
		"hashed":      {func(m *image.Image) error { m.Checksum = ptr(strings.Repeat("c", 32)); return nil }, func(m image.Image) bool { return *m.Checksum == strings.Repeat("c", 32) && m.Status != image.Active }},
		"other place": {func(m *image.Image) error { m.Locations[0].URL = "mem://m/other"; return nil }, func(m image.Image) bool { return m.Status == image.Importing && m.Checksum == nil }},
	} {
		t.Run(name, func(t *testing.T) {
			f := &meddler{}
			b := newBench(t, func(cfg *Config) {
				f.Store, cfg.Stores[0].Backend = cfg.Stores[0].Backend, f
				cfg.LeaseRenew = time.Hour // no second try in this pass
			})
			m := b.importing(data, sha512Of(data))
			fired := 0
			f.deed = func() {
				fired++
				if _, err := b.reg.Update(t.Context(), m.ID, c.deed); err != nil {
					t.Error(err)
				}
			}
			b.pass()
			if fired != 1 {
				t.Fatalf("%d deeds", fired)
			}
			if c.check != nil && !c.check(b.record(m.ID)) {
				t.Errorf("got %v", b.record(m.ID))
			}
		})
	}
}

// A node that stops leaves its work to be taken up at once.
func TestStoppingWhileHashing(t *testing.T) {
	started := make(chan struct{})
	f := &meddler{}
	b := newBench(t, func(cfg *Config) {
		f.Store, cfg.Stores[0].Backend = cfg.Stores[0].Backend, &stuck{f, started}
		cfg.LeaseRenew = time.Hour
	})
	m := b.importing([]byte("some bytes"), strings.Repeat("a", 128))
	b.StartHashing()
	<-started
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h, ok, err := b.reg.NextHash(t.Context(), 0); err != nil || !ok || h.ImageID != m.ID || h.Tries != 0 {
		t.Errorf("got %v %v %v", h, ok, err)
	}
}

// stuck opens nothing before its caller gives up.
type stuck struct {
	backends.Store
	started chan struct{}
}

func (s *stuck) Open(ctx context.Context, _ backends.Locator, _ string, _, _ int64) (io.ReadCloser, error) {
	close(s.started)
	<-ctx.Done()
	return nil, ctx.Err()
}

// The queue is worked through without being told, and when it is.
func TestTheHasherRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.StartHashing()
		defer func() {
			if err := b.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		data := []byte("some bytes")
		m := b.importing(data, "")
		synctest.Wait()
		if got := b.record(m.ID); got.HashValue == nil {
			t.Error("it was not told")
		}
		m = b.foreign(data, nil)
		if _, err := b.reg.WishHash(t.Context(), m.ID, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(hashEvery + time.Second)
		synctest.Wait()
		if got := b.record(m.ID); got.HashValue == nil || *got.HashValue != sha512Of(data) {
			t.Error("it does not look by itself")
		}
	})
}

// A false claim about an active image is found, as the learner finds it.
func TestAFalseClaimIsMarked(t *testing.T) {
	b := newBench(t, nil)
	m := b.importing([]byte("some bytes"), "")
	if _, err := b.reg.Update(t.Context(), m.ID, func(m *image.Image) error {
		m.HashAlgo, m.HashValue = ptr("sha512"), ptr(strings.Repeat("a", 128))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	b.pass()
	if _, err := b.read(b.record(m.ID)); !errors.Is(err, errBad) {
		t.Errorf("got %v", err)
	}
	if b.Stats().Mismatched != 1 {
		t.Error(b.Stats())
	}
}
