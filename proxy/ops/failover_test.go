package ops

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/backends/mem"
	"glimpse/cachestore/chunk"
	"glimpse/registry/image"
)

// brittle is a store whose reads fail as told, and which counts what it gave.
type brittle struct {
	*mem.Store
	open  error // of Open
	mends int   // so many times; 0: for ever
	stat  error
	after int64 // a read breaks with err once so many bytes were given
	err   error
	del   error // of Delete
	rot   int64 // the byte there is given otherwise; 0: none

	mu            sync.Mutex // of the counters, while several use the store
	fired, opened int
	stats         int
	given         int64
	at            []int64 // where reads were opened
}

func (b *brittle) Open(ctx context.Context, at backends.Locator, validator string, off, n int64) (io.ReadCloser, error) {
	b.mu.Lock()
	b.opened++
	b.at = append(b.at, off)
	fails := b.open != nil && (b.mends == 0 || b.opened < b.mends+1)
	if fails {
		b.fired++
	}
	b.mu.Unlock()
	if fails {
		return nil, b.open
	}
	r, err := b.Store.Open(ctx, at, validator, off, n)
	if err != nil {
		return nil, err
	}
	return &brittleReader{ReadCloser: r, b: b, off: off}, nil
}

func (b *brittle) Stat(ctx context.Context, at backends.Locator) (backends.Info, error) {
	b.mu.Lock()
	b.stats++
	if b.stat != nil {
		b.fired++
	}
	b.mu.Unlock()
	if b.stat != nil {
		return backends.Info{}, b.stat
	}
	return b.Store.Stat(ctx, at)
}

func (b *brittle) Delete(ctx context.Context, at backends.Locator) error {
	if b.del != nil {
		b.fired++
		return b.del
	}
	return b.Store.Delete(ctx, at)
}

type brittleReader struct {
	io.ReadCloser
	b   *brittle
	off int64
	got int64
}

func (r *brittleReader) Read(p []byte) (int, error) {
	if r.b.err != nil {
		if r.got >= r.b.after {
			r.b.fired++
			return 0, r.b.err
		}
		p = p[:min(int64(len(p)), r.b.after-r.got)]
	}
	n, err := r.ReadCloser.Read(p)
	if i := r.b.rot - r.off - r.got; r.b.rot > 0 && i >= 0 && i < int64(n) {
		r.b.fired++
		p[i]++
	}
	r.got += int64(n)
	r.b.given += int64(n)
	return n, err
}

// pair is a service on two stores, the first of which is heavier and takes
// uploads.
type pair struct {
	*bench
	heavy, light *brittle
}

func newPair(t *testing.T, change func(*Config)) *pair {
	p := &pair{heavy: &brittle{Store: mem.New("heavy")}, light: &brittle{Store: mem.New("light")}}
	heavy := func(at backends.Locator) bool { return strings.HasPrefix(at.Reveal(), "mem://heavy/") }
	p.bench = newBench(t, func(c *Config) {
		c.Stores = []Store{
			{ID: "light", Type: "mem", Schemes: []string{"mem"}, Backend: p.light},
			{ID: "heavy", Type: "mem", Schemes: []string{"mem"}, Owns: heavy, Weight: 10, Backend: p.heavy},
		}
		c.DefaultStore = "heavy"
		if change != nil {
			change(c)
		}
	})
	return p
}

// twice makes an image that both stores hold: uploaded, or as a Glance has it,
// with no manifest.
func (p *pair) twice(data []byte, manifest bool) image.Image {
	p.t.Helper()
	var m image.Image
	var err error
	if manifest {
		m, err = p.upload(p.queued(nil), bytes.NewReader(data), -1)
	} else {
		m = p.queued(nil)
		p.heavy.Replace(m.ID, data)
		m, err = p.reg.Update(p.t.Context(), m.ID, func(m *image.Image) error {
			m.Status, m.Size = image.Active, ptr(int64(len(data)))
			m.Locations = []image.Location{place("heavy", m.ID)}
			return nil
		})
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return p.copied(m, data)
}

func place(store, key string) image.Location {
	return image.Location{URL: image.Secret("mem://" + store + "/" + key), Metadata: map[string]string{"store": store}, Status: "active"}
}

// copied adds a location in the light store.
func (p *pair) copied(m image.Image, data []byte) image.Image {
	p.t.Helper()
	p.light.Replace(m.ID, data)
	m, err := p.reg.Update(p.t.Context(), m.ID, func(m *image.Image) error {
		m.Locations = append(m.Locations, place("light", m.ID))
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

// breaks are the ways in which a read ends that another location can mend.
var breaks = map[string]error{
	"away":      fmt.Errorf("x: %w", backends.ErrUnavailable),
	"gone":      fmt.Errorf("x: %w", backends.ErrNotFound),
	"changed":   fmt.Errorf("x: %w", backends.ErrChanged),
	"cut short": io.ErrUnexpectedEOF,
	"ended":     io.EOF,
	"broken":    errors.New("input/output error"),
}

func TestAReadThatBreaksGoesOnFromAnotherLocation(t *testing.T) {
	data := backendtest.Bytes(1000)
	for name, err := range breaks {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, nil)
			m := p.twice(data, true)
			p.heavy.err, p.heavy.after = err, 333
			got, rerr := p.read(m)
			if rerr != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes, %v", len(got), rerr)
			}
			if p.heavy.fired == 0 || p.heavy.given != 333 || p.light.given != 667 || p.light.at[0] != 333 {
				t.Errorf("%d faults; %d and %d bytes were read, the second from %v", p.heavy.fired, p.heavy.given, p.light.given, p.light.at)
			}
			// The next one does not begin with what has just failed.
			before := p.heavy.opened
			if got, err := p.read(m); err != nil || !bytes.Equal(got, data) || p.heavy.opened != before {
				t.Errorf("again: %v, %d tries of what has failed", err, p.heavy.opened-before)
			}
		})
	}
}

// Without a manifest nothing tells whether the other location has the same bytes.
func TestAReadWithoutManifestIsCut(t *testing.T) {
	data := backendtest.Bytes(1000)
	for name, err := range breaks {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, nil)
			m := p.twice(data, false)
			d, derr := p.Data(t.Context(), m)
			if derr != nil || d.t.object.Key.Content() {
				t.Fatal(derr, d.t.object.Key)
			}
			p.heavy.err, p.heavy.after = err, 333
			s, serr := p.OpenRange(t.Context(), d.t.object, 0, -1)
			if serr != nil {
				t.Fatal(serr)
			}
			defer s.Close()
			for serr == nil {
				_, serr = s.Next()
			}
			if errors.Is(serr, io.EOF) || p.heavy.fired == 0 || p.light.opened != 0 {
				t.Errorf("%v, %d faults, the other was opened %d times", serr, p.heavy.fired, p.light.opened)
			}
		})
	}
}

// A manifest that is damaged proves nothing.
func TestADamagedManifestAllowsNoOtherLocation(t *testing.T) {
	p := newPair(t, nil)
	m := p.twice(backendtest.Bytes(1000), true)
	d, err := p.Data(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	c, ok, err := p.reg.Content(t.Context(), m.Locations[0].ID)
	if err != nil || !ok {
		t.Fatal(err)
	}
	if err := p.reg.PutContent(t.Context(), c, [][]byte{[]byte("damaged")}); err != nil {
		t.Fatal(err)
	}
	p.heavy.err = backends.ErrUnavailable
	if s, err := p.OpenRange(t.Context(), d.t.object, 0, -1); err == nil {
		_, err = s.Next()
		s.Close()
		if err == nil {
			t.Error("went on")
		}
	}
	if p.heavy.fired == 0 || p.light.opened != 0 {
		t.Errorf("%d faults, the other was opened %d times", p.heavy.fired, p.light.opened)
	}
}

// At the opening nothing has been sent: any location will do.
func TestALocationThatCannotBeOpenedIsLeft(t *testing.T) {
	data := backendtest.Bytes(1000)
	for name, fault := range map[string]func(p *pair, m *image.Image){
		"away":        func(p *pair, _ *image.Image) { p.heavy.open = backends.ErrUnavailable },
		"away before": func(p *pair, _ *image.Image) { p.heavy.stat = backends.ErrUnavailable },
		"changed":     func(p *pair, m *image.Image) { p.heavy.Replace(m.ID, backendtest.Bytes(999)); p.heavy.fired++ },
		"gone":        func(p *pair, m *image.Image) { _ = p.heavy.Store.Delete(t.Context(), p.url(*m)); p.heavy.fired++ },
		"no such store": func(p *pair, m *image.Image) {
			m.Locations[0].Metadata = map[string]string{"store": "attic"}
			p.heavy.fired++
		},
		"being deleted":    func(p *pair, m *image.Image) { m.Locations[0].Status = "pending_delete"; p.heavy.fired++ },
		"another's record": func(p *pair, m *image.Image) { m.Locations[0].URL = "mem://elsewhere/x"; p.heavy.fired++ },
	} {
		for _, pinned := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, pinned %v", name, pinned), func(t *testing.T) {
				p := newPair(t, nil)
				m := p.twice(data, false)
				if pinned {
					if _, err := p.read(m); err != nil {
						t.Fatal(err)
					}
				}
				m, err := p.reg.Update(t.Context(), m.ID, func(m *image.Image) error { fault(p, m); return nil })
				if err != nil {
					t.Fatal(err)
				}
				if name == "away before" && pinned {
					return // what is pinned is opened without being looked at
				}
				p.known.forget(m.Locations[0].ID)
				p.light.given = 0
				if got, err := p.read(m); err != nil || !bytes.Equal(got, data) || p.light.given != 1000 {
					t.Errorf("%d bytes, %d from the other, %v", len(got), p.light.given, err)
				}
				if p.heavy.fired == 0 && !pinned {
					t.Error("no fault fired")
				}
			})
		}
	}
}

func (p *pair) url(m image.Image) backends.Locator {
	return backends.Locator(m.Locations[0].URL.Reveal())
}

// What all locations say together: that there is nothing only when none of them
// had another reason.
func TestWhatIsToldWhenNoLocationCanBeHad(t *testing.T) {
	for name, c := range map[string]struct {
		heavy, light error
		nothing      bool
	}{
		"both gone":          {backends.ErrNotFound, backends.ErrNotFound, true},
		"one gone, one away": {backends.ErrNotFound, backends.ErrUnavailable, false},
		"one away, one gone": {backends.ErrUnavailable, backends.ErrNotFound, false},
	} {
		for _, manifest := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, manifest %v", name, manifest), func(t *testing.T) {
				p := newPair(t, nil)
				m := p.twice(backendtest.Bytes(100), manifest)
				if _, err := p.read(m); err != nil {
					t.Fatal(err)
				}
				p.heavy.open, p.light.open = c.heavy, c.light
				p.light.stat = c.light
				_, err := p.read(m)
				if errors.Is(err, ErrNoData) != c.nothing || !c.nothing && image.KindOf(err) != image.Unavailable {
					t.Errorf("got %v", err)
				}
				if p.heavy.fired == 0 || p.light.fired == 0 {
					t.Errorf("faults: %d, %d", p.heavy.fired, p.light.fired)
				}
			})
		}
	}
}

func TestALocationOfAnotherSizeOrKnownToBeBadIsLeftOut(t *testing.T) {
	data := backendtest.Bytes(1000)
	for name, spoil := range map[string]func(p *pair, m image.Image){
		"another size": func(p *pair, m image.Image) { p.light.Replace(m.ID, data[:999]) },
		"another size, of none recorded": func(p *pair, m image.Image) {
			p.light.Replace(m.ID, append(bytes.Clone(data), 1))
			if _, err := p.reg.Update(t.Context(), m.ID, func(m *image.Image) error { m.Size = nil; return nil }); err != nil {
				t.Fatal(err)
			}
		},
		"bad": func(p *pair, m image.Image) {
			light := m.Locations[1]
			if _, err := p.target(t.Context(), m, light); err != nil {
				t.Fatal(err)
			}
			if err := p.reg.MarkBad(t.Context(), light.ID); err != nil {
				t.Fatal(err)
			}
			p.known.forget(light.ID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, nil)
			m := p.twice(data, true)
			spoil(p, m)
			m = p.record(m)
			p.heavy.err, p.heavy.after = backends.ErrUnavailable, 333
			if _, err := p.read(m); image.KindOf(err) != image.Unavailable || p.heavy.fired == 0 || p.light.opened != 0 {
				t.Errorf("%v, %d faults, %d", err, p.heavy.fired, p.light.opened)
			}
		})
	}
}

// The cache finds a wrong chunk and asks again; it must get another's then.
func TestALocationThatGaveAWrongChunkIsTriedLast(t *testing.T) {
	data := backendtest.Bytes(1000)
	zeros := append(bytes.Clone(data[:640]), make([]byte, 360)...)
	for name, right := range map[string][]byte{"data": data, "zeros": zeros} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, nil)
			m := p.twice(right, true)
			p.heavy.rot = 700
			d, err := p.Data(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			get := func(off, n int64) []byte {
				b, err := p.cache.Open(t.Context(), d.t.object, off, n)
				if err != nil {
					t.Fatal(err)
				}
				var out bytes.Buffer
				if _, err := b.WriteTo(&out); err != nil {
					t.Fatal(err)
				}
				return out.Bytes()
			}
			if got := get(576, 200); bytes.Equal(got, right[576:776]) || p.heavy.fired != 1 || p.light.opened != 0 {
				t.Error("no fault fired")
			}
			if got := get(640, 64); !bytes.Equal(got, right[640:704]) || p.light.opened != 1 {
				t.Error("asked again, the same wrong bytes come")
			}
		})
	}
}

func TestWhatHasFailedIsTriedAgainLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, nil)
		m := p.twice(backendtest.Bytes(100), true)
		p.heavy.open = backends.ErrUnavailable
		for range 3 {
			if _, err := p.read(m); err != nil {
				t.Fatal(err)
			}
		}
		if p.heavy.fired != 1 {
			t.Errorf("%d tries of a store that is away", p.heavy.fired)
		}
		p.heavy.open = nil
		time.Sleep(failedFor + time.Millisecond)
		if _, err := p.read(m); err != nil || p.heavy.given != 100 {
			t.Errorf("%v: %d bytes of the heavy store that is back", err, p.heavy.given)
		}
	})
}

// A reader that gives up says nothing about the store.
func TestACancelledReadIsNoFailure(t *testing.T) {
	p := newPair(t, nil)
	m := p.twice(backendtest.Bytes(1000), true)
	d, err := p.Data(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s, err := p.OpenRange(ctx, d.t.object, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cancel()
	if _, err := s.Next(); !errors.Is(err, context.Canceled) || p.light.opened != 0 || p.failed.is(m.Locations[0].ID) {
		t.Errorf("%v, the other was opened %d times", err, p.light.opened)
	}
}

// A stream that is closed while it turns to another location leaves nothing open.
func TestAStreamClosedWhileItChangesLocations(t *testing.T) {
	p := newPair(t, nil)
	m := p.twice(backendtest.Bytes(1000), true)
	d, err := p.Data(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	p.heavy.err, p.heavy.after = backends.ErrUnavailable, 10
	s, err := p.OpenRange(t.Context(), d.t.object, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	held := make(chan struct{})
	p.light.Store = nil // its Open is hanging's
	hang := hanging{began: held}
	p.stores["light"].Backend = hang
	p.known.forget(m.Locations[1].ID)
	done := make(chan error, 1)
	go func() { _, err := s.Next(); done <- err }()
	<-held
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// hanging is a store that never opens.
type hanging struct {
	backends.Store
	began chan struct{}
}

func (hanging) Stat(context.Context, backends.Locator) (backends.Info, error) {
	return backends.Info{Size: 1000, Validator: "v"}, nil
}

func (h hanging) Open(ctx context.Context, _ backends.Locator, _ string, _, _ int64) (io.ReadCloser, error) {
	close(h.began)
	<-ctx.Done()
	return nil, ctx.Err()
}

// The location that an object names may be removed while it is being read.
func TestALocationThatIsGoneMeanwhile(t *testing.T) {
	data := backendtest.Bytes(1000)
	p := newPair(t, nil)
	m := p.twice(data, true)
	d, err := p.Data(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	// The copy is known to be the same only once it was hashed.
	light := m.Locations[1]
	withdraw := func() {
		if err := p.Withdraw(t.Context(), m, "heavy"); err != nil {
			t.Fatal(err)
		}
	}
	c, _, err := p.reg.Content(t.Context(), m.Locations[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	withdraw()
	p.known.forget(light.ID)
	if s, err := p.OpenRange(t.Context(), d.t.object, 0, -1); err == nil {
		s.Close()
		t.Error("bytes that were never hashed are given as those of a content key")
	}
	c.LocationID = light.ID
	if err := p.reg.PutContent(t.Context(), c, nil); err != nil {
		t.Fatal(err)
	}
	p.known.forget(light.ID)
	b, err := d.Open(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := b.WriteTo(&out); err != nil || !bytes.Equal(out.Bytes(), data) {
		t.Errorf("%d bytes, %v", out.Len(), err)
	}
}

// A copy that was never hashed is known by what another location of the image was
// found to hold, and proved by that manifest.
func TestACopyIsKnownByTheContentOfTheImage(t *testing.T) {
	data := backendtest.Bytes(1000)
	p := newPair(t, nil)
	m := p.twice(data, true)
	if _, ok, err := p.reg.Content(t.Context(), m.Locations[1].ID); ok || err != nil {
		t.Fatal("the copy was hashed", err)
	}
	d, err := p.Data(t.Context(), m, "light")
	if err != nil || d.t.store.ID != "light" || !d.t.object.Key.Content() {
		t.Fatalf("%+v %v", d.t, err)
	}
	p.light.err, p.light.after = backends.ErrUnavailable, 333
	b, err := d.Open(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := b.WriteTo(&out); err != nil || !bytes.Equal(out.Bytes(), data) || p.light.fired == 0 || p.heavy.given != 667 {
		t.Errorf("%d bytes, %v, %d faults", out.Len(), err, p.light.fired)
	}
}

func TestPreferredStoresAreReadFirst(t *testing.T) {
	data := backendtest.Bytes(100)
	for name, c := range map[string]struct {
		prefer []string
		light  int64
	}{"none": {nil, 0}, "the light one": {[]string{"light"}, 100}, "both": {[]string{"light", "heavy"}, 100}, "the heavy one": {[]string{"heavy"}, 0}, "another": {[]string{"attic"}, 0}} {
		for _, manifest := range []bool{false, true} {
			p := newPair(t, nil)
			m := p.twice(data, manifest)
			d, err := p.Data(t.Context(), m, c.prefer...)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := d.Open(t.Context(), 0, 100); err != nil {
				t.Error(err)
			} else {
				b.Close()
			}
			if p.light.given != c.light || p.heavy.given != 100-c.light {
				t.Errorf("%s: %d bytes of the light store", name, p.light.given)
			}
		}
	}
	p := newPair(t, nil)
	m := p.twice(data, false)
	p.light.stat = backends.ErrUnavailable
	if d, err := p.Data(t.Context(), m, "light"); err != nil || d.t.store.ID != "heavy" || p.light.fired == 0 {
		t.Errorf("the preferred one is away: %v", err)
	}
}

// Records of an old Glance, and of one in single-store mode, name no store.
func TestLocationsWithoutStore(t *testing.T) {
	for _, single := range []bool{false, true} {
		p := newPair(t, func(c *Config) { c.SingleStore = single; c.DefaultStore = "light" })
		m := p.twice([]byte("old"), false)
		m, err := p.reg.Update(t.Context(), m.ID, func(m *image.Image) error {
			m.Locations = m.Locations[:1]
			m.Locations[0].Metadata = nil
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.read(m); err != nil || string(got) != "old" {
			t.Errorf("%q %v", got, err)
		}
		want := "heavy"
		if single {
			want = ""
		}
		if got := p.Labelled(m).Locations[0].Metadata["store"]; got != want {
			t.Errorf("single store %v: shown as %q", single, got)
		}
		if after, err := p.reg.Get(t.Context(), m.ID); err != nil || len(m.Locations[0].Metadata) != 0 || len(after.Locations[0].Metadata) != 0 || after.Version != m.Version {
			t.Errorf("reading wrote: %v %v", after.Locations, err)
		}
		up, err := p.upload(p.queued(nil), strings.NewReader("x"), -1)
		if err != nil || (up.Locations[0].Metadata["store"] == "") != single {
			t.Errorf("single store %v: filed with %v, %v", single, up.Locations[0].Metadata, err)
		}
	}
}

// retried is a pair whose stores are tried three times more.
func retried(t *testing.T) *pair {
	return newPair(t, func(c *Config) {
		for i := range c.Stores {
			c.Stores[i].Backend = backends.Observe(backends.Limit(backends.Retry(c.Stores[i].Backend, backends.Retries{Max: 3, Initial: time.Millisecond}), backends.Limits{Streams: 2}), backends.Observer{})
		}
	})
}

// A store that does not answer is asked once while another has the bytes.
func TestRetriesComeAfterTheOtherLocations(t *testing.T) {
	data := backendtest.Bytes(1000)
	away := fmt.Errorf("x: %w", backends.ErrUnavailable)
	for name, c := range map[string]struct {
		fault        func(p *pair)
		heavy, light int // reads that are opened
		fails        bool
	}{
		"one is away":                {fault: func(p *pair) { p.heavy.open = away }, heavy: 1, light: 1},
		"one breaks in the middle":   {fault: func(p *pair) { p.heavy.err, p.heavy.after = away, 333 }, heavy: 1, light: 1},
		"both are away":              {fault: func(p *pair) { p.heavy.open, p.light.open = away, away }, heavy: 1 + 4, light: 1 + 4, fails: true},
		"one is away, one has other": {fault: func(p *pair) { p.heavy.open, p.light.open = away, backends.ErrNotFound }, heavy: 1 + 4, light: 1, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := retried(t)
			m := p.twice(data, true)
			for _, l := range m.Locations { // the first contact with both
				if _, err := p.target(t.Context(), m, l); err != nil {
					t.Fatal(err)
				}
			}
			c.fault(p)
			d, err := p.Data(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.stream(d.t.object)
			if c.fails != (err != nil) || err == nil && !bytes.Equal(got, data) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if p.heavy.fired == 0 || p.heavy.opened != c.heavy || p.light.opened != c.light {
				t.Errorf("%d faults; %d and %d reads were opened, not %d and %d", p.heavy.fired, p.heavy.opened, p.light.opened, c.heavy, c.light)
			}
		})
	}
}

// A blip of the only one is bridged as ever, and so is one of all at once.
func TestRetriesComeAtLast(t *testing.T) {
	data := backendtest.Bytes(1000)
	p := retried(t)
	m := p.twice(data, true)
	for _, l := range m.Locations {
		if _, err := p.target(t.Context(), m, l); err != nil {
			t.Fatal(err)
		}
	}
	p.heavy.open, p.light.open = backends.ErrUnavailable, backends.ErrNotFound
	p.heavy.mends = 3
	d, err := p.Data(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.stream(d.t.object); err != nil || !bytes.Equal(got, data) || p.heavy.opened != 4 || p.light.opened != 1 {
		t.Errorf("%d bytes, %v; %d and %d reads were opened", len(got), err, p.heavy.opened, p.light.opened)
	}
}

// So is the first contact made.
func TestTheFirstContactIsRetriedLast(t *testing.T) {
	for name, c := range map[string]struct {
		light        error
		heavy, other int
	}{
		"the other is there": {nil, 1, 1},
		"the other is away":  {backends.ErrUnavailable, 1 + 4, 1 + 4},
	} {
		t.Run(name, func(t *testing.T) {
			p := retried(t)
			m := p.twice(backendtest.Bytes(1000), false)
			p.heavy.stat, p.light.stat = backends.ErrUnavailable, c.light
			if _, err := p.Data(t.Context(), m); (err == nil) != (c.light == nil) {
				t.Error(err)
			}
			if p.heavy.stats != c.heavy || p.light.stats != c.other {
				t.Errorf("asked %d and %d times, not %d and %d", p.heavy.stats, p.light.stats, c.heavy, c.other)
			}
		})
	}
}

// stream reads an object past the cache.
func (p *pair) stream(o chunk.Object) (got []byte, err error) {
	s, err := p.OpenRange(p.t.Context(), o, 0, -1)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for {
		piece, err := s.Next()
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		got = append(got, piece.Data...)
	}
}
