package ops

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"glimpse/backends"
	"glimpse/registry"
	"glimpse/registry/image"

	"github.com/google/uuid"
)

// halfDone begins an object and leaves it.
func (b *bench) halfDone(key string) {
	b.t.Helper()
	w, err := b.store.Create(b.t.Context(), key, -1)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := w.Write([]byte("half")); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) pending() (n int) {
	b.t.Helper()
	if err := b.store.Pending(b.t.Context(), func(backends.Locator, time.Time) error { n++; return nil }); err != nil {
		b.t.Fatal(err)
	}
	return n
}

// lostKey is that of an attempt that nobody knows of.
func lostKey(imageID string) string { return imageID + "-" + strings.Repeat("0f", 16) }

// What nobody answers for goes; all else stays.
func TestASweepEndsOnlyWhatNobodyAnswersFor(t *testing.T) {
	b := newBench(t, nil)
	named := lostKey(uuid.NewString())
	for name, c := range map[string]struct {
		key   func() string
		idle  time.Duration
		stays bool
	}{
		"an attempt long ago":       {key: func() string { return lostKey(uuid.NewString()) }},
		"of an image that is there": {key: func() string { return lostKey(b.queued(nil).ID) }},
		"one that was just writing": {key: func() string { return lostKey(uuid.NewString()) }, idle: time.Hour, stays: true},
		"under an image's id":       {key: uuid.NewString, stays: true},
		"as Glance's segments":      {key: func() string { return uuid.NewString() + "-00001" }, stays: true},
		"another's name":            {key: func() string { return "backup-" + strings.Repeat("a", 32) }, stays: true},
		"an upload's": {key: func() string {
			up, err := b.reg.Begin(t.Context(), b.queued(nil).ID, "main", "n1")
			if err != nil {
				t.Fatal(err)
			}
			return up.ImageID + "-" + up.Token
		}, stays: true},
		"an upload's that failed": {key: func() string {
			up, err := b.reg.Begin(t.Context(), b.queued(nil).ID, "main", "n1")
			if err := errors.Join(err, b.reg.Fail(t.Context(), up.Token, false)); err != nil {
				t.Fatal(err)
			}
			return up.ImageID + "-" + up.Token
		}, stays: true},
		"named by some image": {key: func() string {
			b.foreign(nil, func(m *image.Image) { m.Locations[0].URL = image.Secret("mem://m/" + named) })
			return named
		}, stays: true},
		"named by its image with other credentials": {key: func() string {
			key := ""
			b.foreign(nil, func(m *image.Image) {
				key = lostKey(m.ID)
				m.Locations[0].URL = image.Secret("mem://user:old@m/" + key)
			})
			return key
		}, stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			key := c.key()
			b.halfDone(key)
			r, err := b.Sweep(t.Context(), c.idle)
			if err != nil {
				t.Error(err)
			}
			if left := b.pending(); left == 0 && c.stays || left > 0 && !c.stays || r.Done != 1-left {
				t.Errorf("%d left, %+v", left, r)
			}
			if err := b.store.Abort(t.Context(), backends.Locator("mem://m/"+key)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Without an answer of the registry nothing is ended, nor in a store that takes no
// uploads.
func TestASweepThatMayNotKnow(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Stores[0].ReadOnly = true })
	b.halfDone(lostKey(uuid.NewString()))
	if r, err := b.Sweep(t.Context(), 0); err != nil || r.Seen != 0 {
		t.Errorf("a read-only store: %+v, %v", r, err)
	}
	b = newBench(t, nil)
	b.halfDone(lostKey(uuid.NewString()))
	b.reg.Registry = mute{b.reg.Registry}
	if r, err := b.Sweep(t.Context(), 0); err == nil || r.Done != 0 || b.pending() != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// mute is a registry that does not tell of attempts.
type mute struct{ registry.Registry }

func (mute) Attempted(context.Context, string) (bool, error) { return false, errors.New("away") }
