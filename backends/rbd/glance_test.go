//go:build ceph

package rbd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/cmd/testenv"
)

// glanceStore puts, gets or deletes an image with Glance's own driver.
const glanceStore = `
import sys
from glance_store import location
from glance_store._drivers import rbd
from oslo_config import cfg
verb, conf, pool, what, file = sys.argv[1:]
c = cfg.ConfigOpts()
c([])
s = rbd.Store(c)
for k, v in {"rbd_store_ceph_conf": conf, "rbd_store_pool": pool, "rbd_store_user": "admin"}.items():
    c.set_override(k, v, "glance_store")
s.configure()
at = None if verb == "add" else location.Location("rbd", rbd.StoreLocation, c, uri=what)
if verb == "add":
    with open(file, "rb") as f:
        print(s.add(what, f, 0, hashing_algo="sha512")[0])
elif verb == "get":
    with open(file, "wb") as f:
        for part in s.get(at)[0]:
            f.write(part)
else:
    s.delete(at)
`

func runGlanceStore(t *testing.T, verb, what, file string) string {
	t.Helper()
	testenv.NeedFile(t, "/usr/lib/python3/dist-packages/glance_store/_drivers/rbd.py")
	c := testenv.Ceph(t)
	return strings.TrimSpace(testenv.Run(t, nil, "/usr/bin/python3", "-c", glanceStore, verb, c.Conf, c.Pool, what, file))
}

func TestGlanceReadsWhatWeWroteAndTheReverse(t *testing.T) {
	c := testenv.Ceph(t)
	s := fresh(t, nil)
	data := backendtest.Bytes(9<<20 + 77)
	dir := t.TempDir()
	at := backendtest.Put(t, s, "ours", data, -1)
	runGlanceStore(t, "get", at.Reveal(), filepath.Join(dir, "out"))
	exported := filepath.Join(dir, "exported")
	c.RBD(t, "export", "--no-progress", c.Pool+"/ours@snap", exported)
	for _, file := range []string{filepath.Join(dir, "out"), exported} {
		got, err := os.ReadFile(file)
		must(t, err)
		if !bytes.Equal(got, data) {
			t.Errorf("%s has %d other bytes", file, len(got))
		}
	}
	in := filepath.Join(dir, "in")
	must(t, os.WriteFile(in, data, 0o600))
	theirs := backends.Locator(runGlanceStore(t, "add", "theirs", in))
	importImage(t, c, c.Pool+"/imported", data)
	p, err := parse(at)
	must(t, err)
	p.image = "imported"
	for _, at := range []backends.Locator{theirs, scheme + "imported", p.locator()} {
		if got := readAll(t, s, at); !bytes.Equal(got, data) {
			t.Errorf("%d other bytes came", len(got))
		}
	}
	// The old form names no snapshot, so it can't remove an image that has one.
	if err := s.Delete(t.Context(), scheme+"imported"); !errors.Is(err, backends.ErrInUse) {
		t.Errorf("by the old form: %v", err)
	}
	must(t, s.Delete(t.Context(), p.locator()))
	must(t, s.Delete(t.Context(), theirs))
	runGlanceStore(t, "delete", at.Reveal(), "-")
	if names := c.RBD(t, "ls", c.Pool); strings.TrimSpace(names) != "" {
		t.Errorf("left in the pool: %s", names)
	}
	// Both lay an image out in the same way.
	backendtest.Put(t, s, "ours", data, int64(len(data)))
	runGlanceStore(t, "add", "theirs", in)
	if ours, theirs := layout(t, c, "ours"), layout(t, c, "theirs"); ours != theirs {
		t.Errorf("ours: %s\nglance_store's: %s", ours, theirs)
	}
}

// layout is what there is to know of an image but its own names and times.
func layout(t *testing.T, c *testenv.CephCluster, name string) string {
	t.Helper()
	var info map[string]any
	must(t, json.Unmarshal([]byte(c.RBD(t, "info", "--format", "json", c.Pool+"/"+name)), &info))
	for _, own := range []string{"name", "id", "block_name_prefix", "create_timestamp", "access_timestamp", "modify_timestamp"} {
		delete(info, own)
	}
	var snaps []map[string]any
	must(t, json.Unmarshal([]byte(c.RBD(t, "snap", "ls", "--format", "json", c.Pool+"/"+name)), &snaps))
	for _, sn := range snaps {
		delete(sn, "id")
		delete(sn, "timestamp")
	}
	return fmt.Sprint(info, snaps)
}

func readAll(t *testing.T, s backends.Store, at backends.Locator) []byte {
	t.Helper()
	info, err := s.Stat(t.Context(), at)
	must(t, err)
	r, err := s.Open(t.Context(), at, info.Validator, 0, info.Size)
	must(t, err)
	got, err := io.ReadAll(r)
	must(t, errors.Join(err, r.Close()))
	return got
}
