//go:build ceph

package rbd

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/cmd/testenv"

	ceph "github.com/ceph/go-ceph/rbd"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	testenv.Main(m, goleak.IgnoreAnyFunction("glimpse/cmd/testenv.launch.func1")) // it waits for a server's end
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func config(c *testenv.CephCluster) Config {
	return Config{Conf: c.Conf, Pool: c.Pool, ConnectTimeout: 5 * time.Second, OpTimeout: 30 * time.Second}
}

// fresh opens a store on the pool, emptied.
func fresh(t *testing.T, change func(*Config)) *Store {
	t.Helper()
	cfg := config(testenv.Ceph(t))
	if change != nil {
		change(&cfg)
	}
	s, err := Open(cfg)
	must(t, err)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	_, err = on(t.Context(), s, scheme+"x", func(h *handle, _ place) (struct{}, error) {
		names, err := ceph.GetImageNames(h.pool)
		for _, n := range names {
			if err == nil {
				err = h.remove(place{image: n, snap: snapshot})
			}
		}
		return struct{}{}, err
	})
	must(t, err)
	return s
}

func TestTheKit(t *testing.T) {
	c := testenv.Ceph(t)
	backendtest.Run(t, func(t *testing.T) backends.Store { return fresh(t, nil) }, backendtest.Options{
		Caps: backends.Caps{Ranged: true, UnknownSize: true, Validators: true, NoReplace: true, Pending: true, InUse: true},
		Part: pieceSize,
		Replace: func(t *testing.T, at backends.Locator, data []byte) {
			p, err := parse(at)
			must(t, err)
			spec := p.pool + "/" + p.image
			c.RBD(t, "snap", "unprotect", spec+"@snap")
			c.RBD(t, "snap", "rm", spec+"@snap")
			c.RBD(t, "rm", "--no-progress", spec)
			importImage(t, c, spec, data)
		},
	})
}

// importImage makes an image as an operator would.
func importImage(t *testing.T, c *testenv.CephCluster, spec string, data []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "in")
	must(t, os.WriteFile(file, data, 0o600))
	c.RBD(t, "import", "--no-progress", file, spec)
	c.RBD(t, "snap", "create", "--no-progress", spec+"@snap")
	c.RBD(t, "snap", "protect", spec+"@snap")
}
