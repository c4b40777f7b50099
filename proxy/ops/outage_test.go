package ops

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/registry"
	"glimpse/registry/image"
)

// away is a registry that can be away.
type away struct {
	registry.Registry
	gone  bool
	fired int
}

var errAway = image.Errorf(image.Unavailable, "The image registry does not answer.")

func (a *away) Pinned(ctx context.Context, location int64) (registry.Pin, bool, error) {
	if a.gone {
		a.fired++
		return registry.Pin{}, false, errAway
	}
	return a.Registry.Pinned(ctx, location)
}

// A record within its grace is of no use without the place of its bytes.
func TestKnownBytesAreFoundWhileTheRegistryIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &away{}
		b := newBench(t, func(c *Config) { a.Registry = c.Registry; c.Registry = a; c.Images = a.Registry })
		m, err := b.upload(b.queued(nil), strings.NewReader("x"), -1)
		if err != nil {
			t.Fatal(err)
		}
		unknown := b.foreign([]byte("y"), nil)
		time.Sleep(2 * memoFor)
		a.gone = true
		if got, err := b.read(m); err != nil || string(got) != "x" {
			t.Errorf("%q %v", got, err)
		}
		if _, err := b.read(unknown); image.KindOf(err) != image.Unavailable {
			t.Errorf("what was never looked up: %v", err)
		}
		if a.fired < 2 {
			t.Errorf("%d faults", a.fired)
		}
	})
}
