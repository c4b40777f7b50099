package ops

import (
	"context"
	"errors"
	"testing"

	"glimpse/backends"
	"glimpse/registry/image"
)

// parent is a store whose objects may be in use.
type parent struct {
	backends.Store
	used  bool
	err   error
	asked int
}

func (p *parent) Caps() backends.Caps {
	c := p.Store.Caps()
	c.InUse = true
	return c
}

func (p *parent) InUse(context.Context, backends.Locator) (bool, error) {
	p.asked++
	return p.used, p.err
}

func TestAnImageInUseIsNotDeleted(t *testing.T) {
	p := &parent{}
	b := newBench(t, func(c *Config) {
		p.Store = c.Stores[0].Backend
		// The question has to pass every decorator.
		c.Stores[0].Backend = backends.Observe(backends.Limit(backends.Retry(p, backends.Retries{Max: 1}), backends.Limits{Streams: 2}), backends.Observer{})
	})
	for name, c := range map[string]struct {
		used bool
		err  error
		want image.Kind
	}{
		"in use":          {used: true, want: image.Conflict},
		"store away":      {err: backends.ErrUnavailable, want: image.Unavailable},
		"not there":       {err: backends.ErrNotFound},
		"another cluster": {err: errors.New("of another cluster")},
		"not in use":      {},
	} {
		m := b.foreign([]byte("x"), nil)
		p.used, p.err, p.asked = c.used, c.err, 0
		err := b.Delete(t.Context(), m)
		if c.want == 0 && err != nil || c.want != 0 && image.KindOf(err) != c.want || p.asked != 1 {
			t.Errorf("%s: %v after %d questions", name, err, p.asked)
		}
		now, err := b.reg.Get(t.Context(), m.ID)
		_, serr := b.store.Stat(t.Context(), b.stores["main"].locator(m.ID))
		if kept := err == nil && now.Status == image.Active && serr == nil; kept != (c.want != 0) {
			t.Errorf("%s: kept is %v: %v, %v", name, kept, err, serr)
		}
	}
	protected := b.foreign([]byte("x"), func(m *image.Image) { m.Protected = true })
	p.used = true
	if err := b.Delete(t.Context(), protected); image.KindOf(err) != image.Forbidden {
		t.Errorf("protected and in use: %v", err)
	}
}
