package backends_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/backends/mem"
)

// moody answers as told, and counts how often it was asked.
type moody struct {
	backends.Store
	err   error // of Stat and Open
	cut   error // reads break off with it
	asked int
}

func (m *moody) Stat(ctx context.Context, at backends.Locator) (backends.Info, error) {
	m.asked++
	if m.err != nil {
		return backends.Info{}, m.err
	}
	return m.Store.Stat(ctx, at)
}

func (m *moody) Open(ctx context.Context, at backends.Locator, v string, off, n int64) (io.ReadCloser, error) {
	m.asked++
	if m.err != nil {
		return nil, m.err
	}
	r, err := m.Store.Open(ctx, at, v, off, n)
	if err != nil || m.cut == nil {
		return r, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(r, 1), iotest.ErrReader(m.cut)), r}, nil
}

// breaking is a store behind a breaker, with an object in it, and how many
// servers are left alone.
func breaking(t *testing.T, b backends.Breaking) (m *moody, s backends.Store, at backends.Locator, away *atomic.Int64) {
	m, away = &moody{Store: mem.New("m")}, &atomic.Int64{}
	at = backendtest.Put(t, m, "k", []byte("four"), 4)
	b.Away = func(change int) { away.Add(int64(change)) }
	return m, backends.Breaker(m, b), at, away
}

func read(t *testing.T, s backends.Store, at backends.Locator) error {
	r, err := s.Open(t.Context(), at, "", 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r)
	return err
}

func TestAStoreThatKeepsFailingIsLeftAlone(t *testing.T) {
	for name, fail := range map[string]func(*moody){
		"refused":           func(m *moody) { m.err = backends.ErrUnavailable },
		"read breaks off":   func(m *moody) { m.cut = backends.ErrUnavailable },
		"read ends early":   func(m *moody) { m.cut = io.ErrUnexpectedEOF },
		"asks to be spared": func(m *moody) { m.err = backends.Busy(time.Hour, errors.New("status 503")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, s, at, away := breaking(t, backends.Breaking{After: 5, Rest: 10 * time.Second})
				fail(m)
				for range 20 {
					if err := read(t, s, at); err == nil {
						t.Fatal(err)
					}
				}
				if m.asked != 5 || away.Load() != 1 {
					t.Errorf("asked %d times, %d left alone", m.asked, away.Load())
				}
				_, err := s.Stat(t.Context(), at)
				if d := backends.BusyFor(err); d < 9*time.Second || d > 10*time.Second || !strings.Contains(err.Error(), "tried again at") {
					t.Errorf("%v, in %s", err, d)
				}
				if _, err := s.Create(t.Context(), "new", 1); !errors.Is(err, backends.ErrUnavailable) {
					t.Errorf("create: %v", err)
				}

				time.Sleep(11 * time.Second) // one probe, which fails
				for range 3 {
					if err := read(t, s, at); err == nil {
						t.Fatal(err)
					}
				}
				if m.asked != 6 || away.Load() != 1 {
					t.Errorf("asked %d times, %d left alone", m.asked, away.Load())
				}

				m.err, m.cut = nil, nil
				time.Sleep(11 * time.Second)
				for range 3 {
					if err := read(t, s, at); err != nil {
						t.Error(err)
					}
				}
				if away.Load() != 0 {
					t.Errorf("%d left alone", away.Load())
				}
			})
		})
	}
}

// A probe is over after its first bytes: who waits for it need not wait for all.
func TestAProbeIsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s, at, _ := breaking(t, backends.Breaking{After: 5, Rest: 10 * time.Second})
		large := backendtest.Put(t, m, "large", make([]byte, 1<<20), -1)
		m.err = backends.ErrUnavailable
		for range 5 {
			_ = read(t, s, at)
		}
		m.err = nil
		time.Sleep(11 * time.Second)
		probe, err := s.Open(t.Context(), large, "", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer probe.Close()
		if err := read(t, s, at); !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("beside the probe: %v", err)
		}
		if _, err := io.CopyN(io.Discard, probe, 512<<10); err != nil {
			t.Fatal(err)
		}
		if err := read(t, s, at); err != nil {
			t.Errorf("after its first bytes: %v", err)
		}
	})
}

func TestWhatAStoreAnswersShowsThatItIsThere(t *testing.T) {
	for _, answer := range []error{
		backends.ErrNotFound, backends.ErrChanged, backends.ErrFull, backends.ErrInUse, backends.ErrExists, errors.New("status 403"),
	} {
		m, s, at, away := breaking(t, backends.Breaking{After: 2})
		m.err = answer
		for range 10 {
			if err := read(t, s, at); !errors.Is(err, answer) {
				t.Errorf("%v, want %v", err, answer)
			}
		}
		if m.asked != 10 || away.Load() != 0 {
			t.Errorf("%v: asked %d times, %d left alone", answer, m.asked, away.Load())
		}
	}
}

func TestCallersWhoLeaveSayNothing(t *testing.T) {
	m, s, at, away := breaking(t, backends.Breaking{After: 2})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m.err = backends.ErrUnavailable // as a driver might say of a call that was cut
	for range 10 {
		_, _ = s.Stat(ctx, at)
	}
	if m.asked != 10 || away.Load() != 0 {
		t.Errorf("asked %d times, %d left alone", m.asked, away.Load())
	}
}

func TestOneServerOfManyIsLeftAlone(t *testing.T) {
	host := func(at backends.Locator) string { return string(at[len(at)-1:]) }
	m, s, at, away := breaking(t, backends.Breaking{After: 2, Host: host})
	m.err = backends.ErrUnavailable
	for range 5 {
		_, _ = s.Stat(t.Context(), "mem://x")
	}
	m.err = nil
	if err := read(t, s, at); err != nil {
		t.Error(err)
	}
	if m.asked != 3 || away.Load() != 1 {
		t.Errorf("asked %d times, %d left alone", m.asked, away.Load())
	}
}

func TestARefusedCallIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s, at, _ := breaking(t, backends.Breaking{After: 5, Rest: 10 * time.Second})
		s = backends.Retry(s, backends.Retries{Max: 3})
		m.err = backends.ErrUnavailable
		for range 2 { // four tries, then the fifth failure
			_ = read(t, s, at)
		}
		start := time.Now()
		for range 10 {
			_ = read(t, s, at)
		}
		if d := time.Since(start); d > 0 || m.asked != 5 {
			t.Errorf("%s, asked %d times", d, m.asked)
		}
	})
}

// Timeouts of a driver's own are what a store that hangs gives; many of them say
// of themselves that they are a context's.
func TestAStoreThatHangsIsLeftAlone(t *testing.T) {
	m, s, at, away := breaking(t, backends.Breaking{After: 2})
	m.err = fmt.Errorf("%w: %w", backends.ErrUnavailable, context.DeadlineExceeded)
	for range 10 {
		_, _ = s.Stat(t.Context(), at)
	}
	if m.asked != 2 || away.Load() != 1 {
		t.Errorf("asked %d times, %d left alone", m.asked, away.Load())
	}
}

// That an upload can be begun does not show that a store is back.
func TestCreateShowsNothing(t *testing.T) {
	m, s, at, away := breaking(t, backends.Breaking{After: 2})
	m.err = backends.ErrUnavailable
	for range 2 {
		if _, err := s.Create(t.Context(), "new", -1); err != nil {
			t.Error(err)
		}
		_, _ = s.Stat(t.Context(), at)
	}
	if away.Load() != 1 {
		t.Errorf("%d left alone", away.Load())
	}
}
