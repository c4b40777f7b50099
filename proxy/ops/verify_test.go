package ops

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/backends/mem"
	"glimpse/registry/image"
	"glimpse/registry/memstore"
)

func TestVerify(t *testing.T) {
	data := backendtest.Bytes(300)
	flipped := bytes.Clone(data)
	flipped[70] ^= 1
	zeroed := bytes.Clone(data)
	clear(zeroed[128:192])
	for name, c := range map[string]struct {
		now  []byte // in the store
		want Verdict
	}{
		"good":    {data, Verdict{Bytes: 300}},
		"flipped": {flipped, Verdict{Bytes: 300, Bad: []int{1}, HashDiffers: true}},
		"zeroed":  {zeroed, Verdict{Bytes: 300, Bad: []int{2}, HashDiffers: true}},
	} {
		b := newBench(t, nil)
		m, err := b.upload(b.queued(nil), bytes.NewReader(data), -1)
		if err != nil {
			t.Fatal(err)
		}
		b.store.Replace(m.ID, c.now)
		told := 0
		v, err := b.Verify(t.Context(), m, m.Locations[0], func(n int) { told += n })
		if err != nil || v.HashDiffers != c.want.HashDiffers || !slices.Equal(v.Bad, c.want.Bad) || v.Bytes != c.want.Bytes || told != 300 || v.Unproven {
			t.Errorf("%s: %+v, %v, told of %d bytes", name, v, err, told)
		}
		if v.Good() != (name == "good") {
			t.Errorf("%s: good is %v", name, v.Good())
		}
	}
}

func TestVerifyWithoutManifest(t *testing.T) {
	data := backendtest.Bytes(300)
	b := newBench(t, nil)
	sum := hashes["md5"]()
	sum.Write(data)
	right := b.foreign(data, func(m *image.Image) { m.Checksum = ptr(hexSum(sum)) })
	wrong := b.foreign(data, func(m *image.Image) { m.Checksum = ptr("00") })
	none := b.foreign(data, nil)
	gone := b.foreign(data, nil)
	for _, c := range []struct {
		m                 image.Image
		differs, unproven bool
	}{{right, false, false}, {wrong, true, false}, {none, false, true}} {
		v, err := b.Verify(t.Context(), c.m, c.m.Locations[0], nil)
		if err != nil || v.HashDiffers != c.differs || v.Unproven != c.unproven || v.Missing {
			t.Errorf("%+v, %v", v, err)
		}
	}
	if err := b.store.Delete(t.Context(), backends.Locator(gone.Locations[0].URL.Reveal())); err != nil {
		t.Fatal(err)
	}
	if v, err := b.Verify(t.Context(), gone, gone.Locations[0], nil); err != nil || !v.Missing || v.Good() {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestCopy(t *testing.T) {
	second := mem.NewParted("s", part)
	b := newBench(t, func(c *Config) {
		c.Stores = append(c.Stores, Store{ID: "second", Type: "mem", Backend: second}, Store{ID: "closed", Type: "mem", Backend: mem.New("c"), ReadOnly: true})
	})
	data := backendtest.Bytes(1000)
	m, err := b.upload(b.queued(nil), bytes.NewReader(data), -1)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Copy(t.Context(), m, "second", nil); err != nil {
		t.Fatal(err)
	}
	if m, err = b.reg.Get(t.Context(), m.ID); err != nil || len(m.Locations) != 2 || m.Locations[1].Metadata["store"] != "second" || second.Len() != 1 {
		t.Fatalf("%+v, %v, %d objects", m.Locations, err, second.Len())
	}
	if v, err := b.Verify(t.Context(), m, m.Locations[1], nil); err != nil || !v.Good() || v.Bytes != 1000 {
		t.Errorf("the copy: %+v, %v", v, err)
	}
	for store, want := range map[string]error{"second": ErrHasIt, "closed": nil, "nowhere": nil} {
		if err := b.Copy(t.Context(), m, store, nil); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("to %s: %v", store, err)
		}
	}
	// Damaged bytes go nowhere.
	other, err := b.upload(b.queued(nil), bytes.NewReader(data), -1)
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(data)
	bad[999] ^= 1
	b.store.Replace(other.ID, bad)
	if err := b.Copy(t.Context(), other, "second", nil); !errors.Is(err, errBad) || second.Len() != 1 {
		t.Errorf("%v, %d objects", err, second.Len())
	}
	// Nor does what was deleted meanwhile leave an object.
	b.store.Replace(other.ID, data)
	if err := b.Delete(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	b.store.Replace(other.ID, data)
	b.known.forget(other.Locations[0].ID)
	if err := b.Copy(t.Context(), other, "second", nil); err == nil || second.Len() != 1 {
		t.Errorf("%v, %d objects", err, second.Len())
	}
}

// unsure commits and says that it failed.
type unsure struct{ backends.Store }

func (u unsure) Create(ctx context.Context, key string, size int64) (backends.Writer, error) {
	w, err := u.Store.Create(ctx, key, size)
	return unsureWriter{w}, err
}

type unsureWriter struct{ backends.Writer }

func (w unsureWriter) Commit(ctx context.Context) (backends.Locator, error) {
	if _, err := w.Writer.Commit(ctx); err != nil {
		return "", err
	}
	return "", backends.ErrUnavailable
}

// racing has another copy added while its own is being written.
type racing struct {
	backends.Store
	before func()
}

func (r racing) Create(ctx context.Context, key string, size int64) (backends.Writer, error) {
	r.before()
	return r.Store.Create(ctx, key, size)
}

// left has its caller leave while the copy is being committed.
type left struct {
	backends.Store
	leave func()
}

func (l left) Create(ctx context.Context, key string, size int64) (backends.Writer, error) {
	w, err := l.Store.Create(ctx, key, size)
	return leftWriter{w, l.leave}, err
}

type leftWriter struct {
	backends.Writer
	leave func()
}

func (w leftWriter) Commit(ctx context.Context) (backends.Locator, error) {
	at, err := w.Writer.Commit(ctx)
	w.leave()
	return at, err
}

func TestACopyThatIsNotNamedGoes(t *testing.T) {
	second := mem.New("s")
	for name, c := range map[string]struct {
		store func(b *bench, m image.Image, leave func()) backends.Store
		check func(error) bool
		left  int
	}{
		"the answer to its commit is lost": {
			func(*bench, image.Image, func()) backends.Store { return unsure{second} },
			func(err error) bool { return image.KindOf(err) == image.Unavailable }, 0,
		},
		"another was faster": {
			func(b *bench, m image.Image, _ func()) backends.Store {
				return racing{second, func() {
					if _, err := b.reg.Update(t.Context(), m.ID, func(m *image.Image) error {
						m.Locations = append(m.Locations, image.Location{URL: "mem://s/other", Metadata: map[string]string{"store": "second"}, Status: "active"})
						return nil
					}); err != nil {
						t.Error(err)
					}
				}}
			},
			func(err error) bool { return errors.Is(err, ErrHasIt) }, 0,
		},
		"its caller leaves when it is complete": {
			func(_ *bench, _ image.Image, leave func()) backends.Store { return left{second, leave} },
			func(err error) bool { return err == nil }, 1,
		},
	} {
		b := newBench(t, func(c *Config) { c.Stores = append(c.Stores, Store{ID: "second", Type: "mem"}) })
		m, err := b.upload(b.queued(nil), bytes.NewReader(backendtest.Bytes(300)), -1)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		b.stores["second"].Backend = c.store(b, m, cancel)
		before := second.Len()
		if err := b.Copy(ctx, m, "second", nil); !c.check(err) {
			t.Errorf("%s: %v", name, err)
		}
		if n := second.Len() - before; n != c.left {
			t.Errorf("%s: %d objects left", name, n)
		}
		cancel()
	}
}

// What happens around the moment in which the registry takes a copy never loses an
// object that an image names, and the reaper finds every other one.
func TestACopyThatTheRegistryDoesNotTake(t *testing.T) {
	away := image.Errorf(image.Unavailable, "away")
	for name, c := range map[string]struct {
		fault  func(b *bench)
		taken  bool // the copy is the image's
		waits  bool // its object is left to the reaper
		passes bool // the caller hears of no error
	}{
		"its answer is lost":     {fault: func(b *bench) { b.reg.after = away }, taken: true, passes: true},
		"nobody knows, it isn't": {fault: func(b *bench) { b.reg.before = away }, waits: true},
		"refused":                {fault: func(b *bench) { b.reg.before = image.Errorf(image.TooLarge, "no") }},
		"it was reaped meanwhile": {fault: func(b *bench) {
			b.reg.renewErr = away
			second := b.stores["second"]
			second.Backend = left{second.Backend, func() {
				b.reg.Registry.(*memstore.Store).Lapse()
				b.reap()
				b.reg.fired++
			}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			second := mem.New("s")
			b := newBench(t, func(c *Config) { c.Stores = append(c.Stores, Store{ID: "second", Type: "mem", Backend: second}) })
			m, err := b.upload(b.queued(nil), bytes.NewReader(backendtest.Bytes(300)), -1)
			if err != nil {
				t.Fatal(err)
			}
			c.fault(b)
			if err := b.Copy(t.Context(), m, "second", nil); (err == nil) != c.passes {
				t.Errorf("got %v", err)
			}
			if b.reg.fired == 0 {
				t.Error("no fault fired")
			}
			if left := second.Len() == 1; left != (c.taken || c.waits) {
				t.Errorf("an object is left: %v", left)
			}
			*b.reg = faulty{Registry: b.reg.Registry}
			b.reg.Registry.(*memstore.Store).Lapse()
			b.reap()
			if left := second.Len() == 1; left != c.taken {
				t.Errorf("behind the reaper an object is left: %v", left)
			}
			if m, err = b.reg.Get(t.Context(), m.ID); err != nil || (len(m.Locations) == 2) != c.taken {
				t.Errorf("%d locations, %v", len(m.Locations), err)
			}
		})
	}
}

// A store that did not answer in time is away; its timeouts look like those of a
// caller who has left.
func TestAStoreThatHangsIsNotACancelledUpload(t *testing.T) {
	for err, want := range map[error]image.Kind{
		fmt.Errorf("%w: %w", backends.ErrUnavailable, context.DeadlineExceeded): image.Unavailable,
		context.Canceled:        image.Invalid,
		backends.ErrUnavailable: image.Unavailable,
	} {
		if got := image.KindOf(writeError(err)); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
}

// What the second store refuses is not said of the first.
func TestACopyThatIsRefused(t *testing.T) {
	full := filling{mem.New("s")}
	b := newBench(t, func(c *Config) { c.Stores = append(c.Stores, Store{ID: "second", Type: "mem", Backend: full}) })
	m, err := b.upload(b.queued(nil), bytes.NewReader(backendtest.Bytes(300)), -1)
	if err != nil {
		t.Fatal(err)
	}
	err = b.Copy(t.Context(), m, "second", nil)
	if image.KindOf(err) != image.TooLarge || strings.Contains(err.Error(), "origin main") {
		t.Errorf("got %v", err)
	}
	if m, err = b.reg.Get(t.Context(), m.ID); err != nil || len(m.Locations) != 1 {
		t.Errorf("%d locations, %v", len(m.Locations), err)
	}
}

// filling is a store that has no room for a single byte.
type filling struct{ *mem.Store }

func (s filling) Create(ctx context.Context, key string, size int64) (backends.Writer, error) {
	w, err := s.Store.Create(ctx, key, size)
	return fillingWriter{w}, err
}

type fillingWriter struct{ backends.Writer }

func (w fillingWriter) Write(p []byte) (int, error) {
	if len(p) > 0 {
		return 0, backends.ErrFull
	}
	return w.Writer.Write(p)
}
