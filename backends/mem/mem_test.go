package mem_test

import (
	"path"
	"testing"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/backends/mem"
)

var caps = backends.Caps{Ranged: true, UnknownSize: true, Validators: true, NoReplace: true, Pending: true}

func TestMemory(t *testing.T) {
	var s *mem.Store
	backendtest.Run(t, func(*testing.T) backends.Store { s = mem.New("m"); return s }, backendtest.Options{
		Caps:    caps,
		Replace: func(_ *testing.T, at backends.Locator, data []byte) { s.Replace(path.Base(at.Reveal()), data) },
	})
}

func TestMemoryInParts(t *testing.T) {
	const part = 5000
	want := caps
	want.PartSize = part
	var s *mem.Parted
	backendtest.Run(t, func(*testing.T) backends.Store { s = mem.NewParted("m", part); return s }, backendtest.Options{
		Caps: want, Part: part,
		Replace: func(_ *testing.T, at backends.Locator, data []byte) { s.Replace(path.Base(at.Reveal()), data) },
	})
}

// A decorator adds to a store and takes nothing away: it passes the same kit.
func TestDecorators(t *testing.T) {
	for name, wrap := range map[string]func(backends.Store) backends.Store{
		"limit": func(s backends.Store) backends.Store {
			return backends.Limit(s, backends.Limits{Rate: 1 << 30, Streams: 8})
		},
		"retry":   func(s backends.Store) backends.Store { return backends.Retry(s, backends.Retries{Max: 2}) },
		"breaker": func(s backends.Store) backends.Store { return backends.Breaker(s, backends.Breaking{}) },
		"observe": func(s backends.Store) backends.Store {
			return backends.Observe(s, backends.Observer{Read: func(int, backends.Purpose) {}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			var s *mem.Store
			backendtest.Run(t, func(*testing.T) backends.Store { s = mem.New("m"); return wrap(s) }, backendtest.Options{
				Caps:    caps,
				Replace: func(_ *testing.T, at backends.Locator, data []byte) { s.Replace(path.Base(at.Reveal()), data) },
			})
		})
	}
}
