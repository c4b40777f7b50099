package backends_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/backends/mem"
)

// flaky breaks the first reads after a few bytes and refuses the first calls.
type flaky struct {
	backends.Store
	refuse, cut, fired int
}

func (f *flaky) Open(ctx context.Context, at backends.Locator, v string, off, n int64) (io.ReadCloser, error) {
	if f.refuse > 0 {
		f.refuse--
		f.fired++
		return nil, backends.ErrUnavailable
	}
	r, err := f.Store.Open(ctx, at, v, off, n)
	if err != nil || f.cut == 0 {
		return r, err
	}
	f.cut--
	f.fired++
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(r, 100), broken{}), r}, nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, backends.ErrUnavailable }

func TestABrokenReadGoesOnWhereItStood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := backendtest.Bytes(10_000)
		f := &flaky{Store: mem.New("m")}
		at := backendtest.Put(t, f, "k", data, -1)
		info, err := f.Stat(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		s := backends.Retry(f, backends.Retries{Max: 3})
		f.refuse, f.cut = 2, 2
		r, err := s.Open(t.Context(), at, info.Validator, 10, 5000)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, data[10:5010]) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if f.fired != 4 {
			t.Errorf("%d faults fired, want 4", f.fired)
		}
	})
}

// Without a validator the second half could be of another version.
func TestABrokenReadWithoutValidatorIsNotJoined(t *testing.T) {
	f := &flaky{Store: mem.New("m")}
	at := backendtest.Put(t, f, "k", backendtest.Bytes(10_000), -1)
	f.cut = 1
	r, err := backends.Retry(f, backends.Retries{Max: 3}).Open(t.Context(), at, "", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadAll(r); !errors.Is(err, backends.ErrUnavailable) || f.fired != 1 {
		t.Errorf("%v, %d faults", err, f.fired)
	}
}

func TestTriesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{Store: mem.New("m"), refuse: 100}
		at := backendtest.Put(t, f, "k", nil, 0)
		if _, err := backends.Retry(f, backends.Retries{Max: 2}).Open(t.Context(), at, "", 0, -1); !errors.Is(err, backends.ErrUnavailable) || f.fired != 3 {
			t.Errorf("%v after %d tries", err, f.fired)
		}
	})
}

func TestTheRateIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mem.New("m")
		at := backendtest.Put(t, m, "k", make([]byte, 10<<20), -1)
		r, err := backends.Limit(m, backends.Limits{Rate: 1 << 20}).Open(t.Context(), at, "", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		start := time.Now()
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d < 9*time.Second || d > 11*time.Second {
			t.Errorf("10 MiB at 1 MiB/s took %s", d)
		}
	})
}

func TestAReaderOverTheNumberWaits(t *testing.T) {
	m := mem.New("m")
	at := backendtest.Put(t, m, "k", []byte("x"), 1)
	s := backends.Limit(m, backends.Limits{Streams: 1})
	first, err := s.Open(t.Context(), at, "", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Open(ctx, at, "", 0, -1); !errors.Is(err, context.Canceled) {
		t.Errorf("a second reader: %v", err)
	}
	for range 2 { // closing twice gives one place back
		first.Close()
	}
	second, err := s.Open(t.Context(), at, "", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if _, err := s.Open(ctx, at, "", 0, -1); !errors.Is(err, context.Canceled) {
		t.Errorf("a place too many: %v", err)
	}
}

// busy is away, and says for how long.
type busy struct {
	backends.Store
	after time.Duration
	times int // how often; 0: once
	fired int
}

func (b *busy) Stat(ctx context.Context, at backends.Locator) (backends.Info, error) {
	if b.fired++; b.fired <= max(b.times, 1) {
		return backends.Info{}, backends.Busy(b.after, errors.New("429"))
	}
	return b.Store.Stat(ctx, at)
}

func TestABusyStoreIsAskedAgainWhenItSaid(t *testing.T) {
	for after, ok := range map[time.Duration]bool{7 * time.Second: true, time.Hour: false} {
		synctest.Test(t, func(t *testing.T) {
			b := &busy{Store: mem.New("m"), after: after}
			at := backendtest.Put(t, b, "k", nil, 0)
			start := time.Now()
			_, err := backends.Retry(b, backends.Retries{Max: 2}).Stat(t.Context(), at)
			waited := time.Since(start)
			switch {
			case ok && (err != nil || waited < after || waited > after+time.Second || b.fired != 2):
				t.Errorf("%v after %s, %d calls", err, waited, b.fired)
			case !ok && (!errors.Is(err, backends.ErrUnavailable) || backends.BusyFor(err) != after || waited != 0 || b.fired != 1):
				t.Errorf("%v after %s, %d calls", err, waited, b.fired)
			}
		})
	}
}

func TestTriesEndInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &busy{Store: mem.New("m"), after: 25 * time.Second, times: 100}
		start := time.Now()
		_, err := backends.Retry(f, backends.Retries{Max: 50}).Stat(t.Context(), "mem://m/k")
		if d := time.Since(start); !errors.Is(err, backends.ErrUnavailable) || d > time.Minute || f.fired < 2 {
			t.Errorf("%v after %s and %d tries", err, d, f.fired)
		}
		// A wait that would outlast the caller is none.
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start = time.Now()
		_, err = backends.Retry(f, backends.Retries{Max: 50}).Stat(ctx, "mem://m/k")
		if d := time.Since(start); !errors.Is(err, backends.ErrUnavailable) || d > 0 {
			t.Errorf("%v after %s", err, d)
		}
	})
}
