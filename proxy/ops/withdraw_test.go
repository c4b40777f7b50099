package ops

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"testing"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/registry/image"
)

func (p *pair) record(m image.Image) image.Image {
	p.t.Helper()
	m, err := p.reg.Get(p.t.Context(), m.ID)
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

func TestWithdraw(t *testing.T) {
	data := backendtest.Bytes(1000)
	p := newPair(t, nil)
	m := p.twice(data, true)
	if err := p.Withdraw(t.Context(), m, "heavy"); err != nil {
		t.Fatal(err)
	}
	if p.heavy.Len() != 0 || p.light.Len() != 1 {
		t.Errorf("%d objects in the one, %d in the other", p.heavy.Len(), p.light.Len())
	}
	left := p.record(m)
	if len(left.Locations) != 1 || left.Locations[0].ID != m.Locations[1].ID {
		t.Errorf("left: %v", left.Locations)
	}
	if got, err := p.read(left); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := p.Withdraw(t.Context(), left, "light"); image.KindOf(err) != image.Forbidden || p.light.Len() != 1 {
		t.Errorf("the last: %v", err)
	}
}

func TestWhatIsNotWithdrawn(t *testing.T) {
	data := backendtest.Bytes(1000)
	for name, c := range map[string]struct {
		store  string
		want   image.Kind
		change func(p *pair, m *image.Image)
	}{
		"unknown store": {"attic", image.Conflict, nil},
		"deactivated":   {"heavy", image.Conflict, func(_ *pair, m *image.Image) { m.Status = image.Deactivated }},
		"not there":     {"heavy", image.NotFound, func(_ *pair, m *image.Image) { m.Locations[0].Metadata = map[string]string{"store": "attic"} }},
		"the other is gone": {"heavy", image.Forbidden, func(p *pair, m *image.Image) {
			_ = p.light.Store.Delete(t.Context(), backends.Locator("mem://light/"+m.ID))
		}},
		"the other is short":     {"heavy", image.Forbidden, func(p *pair, m *image.Image) { p.light.Replace(m.ID, data[1:]) }},
		"the other is away":      {"heavy", image.Unavailable, func(p *pair, _ *image.Image) { p.light.stat = backends.ErrUnavailable }},
		"the other is the same":  {"heavy", image.Forbidden, func(_ *pair, m *image.Image) { m.Locations[1].URL = m.Locations[0].URL }},
		"the store is away":      {"heavy", image.Unavailable, func(p *pair, _ *image.Image) { p.heavy.stat = backends.ErrUnavailable }},
		"the data are in use":    {"heavy", image.Conflict, func(p *pair, _ *image.Image) { p.heavy.del = backends.ErrInUse }},
		"last and not there too": {"light", image.Forbidden, func(_ *pair, m *image.Image) { m.Locations = m.Locations[:1] }},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, nil)
			m := p.twice(data, true)
			m, err := p.reg.Update(t.Context(), m.ID, func(m *image.Image) error {
				if c.change != nil {
					c.change(p, m)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Withdraw(t.Context(), m, c.store); image.KindOf(err) != c.want || err == nil {
				t.Errorf("got %v", err)
			}
			if after := p.record(m); len(after.Locations) != len(m.Locations) || p.heavy.Len() != 1 {
				t.Errorf("left %v and %d objects", after.Locations, p.heavy.Len())
			}
		})
	}
}

// A location whose bytes are in use is put back with what was known of it.
func TestWhatIsInUseIsKnownAsBefore(t *testing.T) {
	p := newPair(t, nil)
	m := p.twice(backendtest.Bytes(1000), true)
	before, err := p.Data(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	p.heavy.del = backends.ErrInUse
	if err := p.Withdraw(t.Context(), m, "heavy"); image.KindOf(err) != image.Conflict || !errors.Is(err, backends.ErrInUse) || p.heavy.fired != 1 {
		t.Fatal(err)
	}
	after, err := p.Data(t.Context(), p.record(m))
	if err != nil || after.t.object.Key != before.t.object.Key || after.t.object.Validator != before.t.object.Validator || after.t.store.ID != "heavy" {
		t.Errorf("%+v, before %+v, %v", after.t.object, before.t.object, err)
	}
}

// What another image's location names stays; so does what a read-only store has,
// and what its store does not let go of now.
func TestBytesThatStayWhenALocationGoes(t *testing.T) {
	data := backendtest.Bytes(100)
	for name, change := range map[string]func(p *pair, m image.Image){
		"another image has them": func(p *pair, m image.Image) {
			p.foreign(data, func(o *image.Image) { o.Locations[0] = place("heavy", m.ID) })
		},
		"read-only": func(p *pair, _ image.Image) { p.stores["heavy"].ReadOnly = true },
		"away":      func(p *pair, _ image.Image) { p.heavy.del = backends.ErrUnavailable },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, nil)
			m := p.twice(data, true)
			change(p, m)
			if err := p.Withdraw(t.Context(), m, "heavy"); err != nil {
				t.Fatal(err)
			}
			if len(p.record(m).Locations) != 1 || p.heavy.Len() != 1 {
				t.Errorf("%d locations, %d objects", len(p.record(m).Locations), p.heavy.Len())
			}
		})
	}
	p := newPair(t, nil)
	m := p.twice(data, true)
	if err := p.heavy.Store.Delete(t.Context(), p.url(m)); err != nil {
		t.Fatal(err)
	}
	if err := p.Withdraw(t.Context(), m, "heavy"); err != nil || len(p.record(m).Locations) != 1 {
		t.Errorf("bytes that are gone already: %v", err)
	}
}

// Of several at once, each of another location, one copy stays.
func TestSeveralWithdrawAtOnce(t *testing.T) {
	data := backendtest.Bytes(100)
	refused := 0
	for range 50 {
		p := newPair(t, nil)
		m := p.twice(data, true)
		errs := make([]error, 2)
		var wg sync.WaitGroup
		for i, store := range []string{"heavy", "light"} {
			wg.Go(func() { errs[i] = p.Withdraw(t.Context(), m, store) })
		}
		wg.Wait()
		left := p.record(m)
		if got, err := p.read(left); len(left.Locations) != 1 || err != nil || !bytes.Equal(got, data) {
			t.Fatalf("left %v: %v, %v", left.Locations, err, errs)
		}
		if slices.ContainsFunc(errs, func(err error) bool { return err != nil }) {
			refused++
		}
	}
	if refused != 50 {
		t.Errorf("%d of 50 refused one", refused)
	}
}
