//go:build ceph

package rbd

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/cmd/testenv"

	ceph "github.com/ceph/go-ceph/rbd"
)

func TestAnImageWithClonesIsInUse(t *testing.T) {
	c := testenv.Ceph(t)
	s := fresh(t, nil)
	data := backendtest.Bytes(3 << 20)
	at := backendtest.Put(t, s, "parent", data, int64(len(data)))
	snap := c.Pool + "/parent@snap"
	clone := func(args ...string) func(*testing.T) {
		return func(t *testing.T) {
			t.Helper()
			c.RBD(t, append([]string{"clone", snap, c.Pool + "/child"}, args...)...)
		}
	}
	gone := func(t *testing.T) { t.Helper(); c.RBD(t, "rm", "--no-progress", c.Pool+"/child") }
	for name, use := range map[string]struct{ begin, end func(*testing.T) }{
		"a clone":         {clone("--rbd-default-clone-format", "1"), gone},
		"a second format": {clone("--rbd-default-clone-format", "2"), gone},
		"a clone in the trash": {
			func(t *testing.T) {
				clone("--rbd-default-clone-format", "1")(t)
				c.RBD(t, "trash", "mv", c.Pool+"/child")
			},
			func(t *testing.T) { c.RBD(t, "trash", "purge", "--no-progress", c.Pool) },
		},
		"another snapshot": {
			func(t *testing.T) { c.RBD(t, "snap", "create", "--no-progress", c.Pool+"/parent@backup") },
			func(t *testing.T) { c.RBD(t, "snap", "rm", "--no-progress", c.Pool+"/parent@backup") },
		},
	} {
		use.begin(t)
		if used, err := s.InUse(t.Context(), at); err != nil || !used {
			t.Errorf("%s: in use is %v, %v", name, used, err)
		}
		if err := s.Delete(t.Context(), at); !errors.Is(err, backends.ErrInUse) {
			t.Errorf("%s: %v", name, err)
		}
		// All is as it was, so the next volume can be made too.
		if name == "a clone" {
			c.RBD(t, "clone", snap, c.Pool+"/second")
			c.RBD(t, "rm", "--no-progress", c.Pool+"/second")
		}
		if got := readAll(t, s, at); !bytes.Equal(got, data) {
			t.Errorf("%s: %d other bytes", name, len(got))
		}
		use.end(t)
		if used, err := s.InUse(t.Context(), at); err != nil || used {
			t.Errorf("after %s: in use is %v, %v", name, used, err)
		}
	}
	must(t, s.Delete(t.Context(), at))
}

func TestAnOpenImageIsInUse(t *testing.T) {
	s := fresh(t, nil)
	at := backendtest.Put(t, s, "open", backendtest.Bytes(100), 100)
	_, err := on(t.Context(), s, at, func(h *handle, p place) (struct{}, error) {
		if err := h.open(p.image, "", true); err != nil {
			return struct{}{}, err
		}
		if err := s.Delete(t.Context(), at); !errors.Is(err, backends.ErrInUse) {
			t.Errorf("removed under a writer: %v", err)
		}
		return struct{}{}, h.closeImage()
	})
	must(t, err)
	// A reader is not noticed, and never gets the zeros that librbd would give it.
	data := backendtest.Bytes(6 << 20)
	at = backendtest.Put(t, s, "read", data, -1)
	r, err := s.Open(t.Context(), at, "", 0, int64(len(data)))
	must(t, err)
	defer r.Close()
	first := make([]byte, 10)
	_, err = io.ReadFull(r, first)
	must(t, err)
	must(t, s.Delete(t.Context(), at))
	rest := make([]byte, len(data)-10)
	if n, err := io.ReadFull(r, rest); err == nil || n == len(rest) {
		t.Errorf("a read went on over a removal: %d bytes, %v", n, err)
	} else if !errors.Is(err, backends.ErrChanged) {
		t.Errorf("it ended with %v", err)
	}
}

func TestThinImages(t *testing.T) {
	for _, thin := range []bool{false, true} {
		s := fresh(t, func(c *Config) { c.Thin = thin })
		data := make([]byte, 40<<20+5)
		copy(data[9<<20:], "one")
		copy(data[30<<20-1:], "two") // over a border
		at := backendtest.Put(t, s, "thin", data, -1)
		if got := readAll(t, s, at); !bytes.Equal(got, data) {
			t.Errorf("thin %v: other bytes came", thin)
		}
		used, err := on(t.Context(), s, at, func(h *handle, p place) (used uint64, err error) {
			if err := h.open(p.image, p.snap, false); err != nil {
				return 0, err
			}
			return used, h.img.DiffIterate(ceph.DiffIterateConfig{Length: uint64(len(data)), Callback: func(_, n uint64, exists int, _ any) int {
				used += uint64(exists) * n
				return 0
			}})
		})
		must(t, err)
		if want := uint64(len(data)); !thin && used != want {
			t.Errorf("%d bytes are used of %d", used, want)
		}
		if thin && (used == 0 || used > 16<<20) {
			t.Errorf("%d bytes are used by 6", used)
		}
		t.Logf("thin %v: %d bytes", thin, used)
	}
}
