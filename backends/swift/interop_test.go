package swift

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/cmd/testenv"

	"github.com/google/uuid"
)

func readAll(t *testing.T, s backends.Store, at backends.Locator, validator string, off, n int64) ([]byte, error) {
	t.Helper()
	r, err := s.Open(t.Context(), at, validator, off, n)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// sound fails unless the object is data, whole and across its segments.
func sound(t *testing.T, s *Store, at backends.Locator, data []byte) {
	t.Helper()
	info, err := s.Stat(t.Context(), at)
	if err != nil || info.Size != int64(len(data)) || info.Validator == "" {
		t.Fatalf("%+v, %v", info, err)
	}
	whole, err := readAll(t, s, at, info.Validator, 0, -1)
	if err != nil || !bytes.Equal(whole, data) {
		t.Fatalf("%d bytes, %v", len(whole), err)
	}
	from, n := int64(len(data)/4), int64(len(data)/2)
	some, err := readAll(t, s, at, info.Validator, from, n)
	if err != nil || !bytes.Equal(some, data[from:from+n]) {
		t.Fatalf("a range: %d bytes, %v", len(some), err)
	}
}

// Glance and Glimpse read and delete what the other has written, cut or not.
func TestGlanceAndWe(t *testing.T) {
	srv := testenv.Swift(t)
	c := config(v1(srv))
	c.PartSize = 512 << 10 // Swift gives one segment a second after the first ten
	s := made(t, c)
	account := strings.Join([]string{srv.AuthURL, srv.User, srv.Key, s.c.Container}, ",")
	all := []struct {
		name string
		data []byte
		id   string // of what Glance writes
	}{{"small", backendtest.Bytes(1000), uuid.NewString()}, {"cut", backendtest.Bytes(2_500_000), uuid.NewString()}}
	var asked [][]string
	for _, c := range all {
		path := filepath.Join(t.TempDir(), "image")
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		at := backendtest.Put(t, s, uuid.NewString(), c.data, int64(len(c.data)))
		asked = append(asked, []string{"get", at.Reveal()}, []string{"delete", at.Reveal()}, []string{"add", c.id, path})
	}
	got := glance(t, account, asked...)
	for i, c := range all {
		sum := md5.Sum(c.data)
		if got := got[3*i]; got[0] != strconv.Itoa(len(c.data)) || got[1] != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: Glance reads %v", c.name, got)
		}
		theirs := backends.Locator(got[3*i+2][0])
		if want := s.locator(place{container: s.c.Container}, c.id); theirs != want {
			t.Errorf("%s: Glance's locator is not ours", c.name)
		}
		sound(t, s, theirs, c.data)
		if err := s.Delete(t.Context(), theirs); err != nil {
			t.Error(c.name, err)
		}
	}
	if left := names(t, s, s.c.Container); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// The swift client reads what we write; we read and delete its large objects of
// both kinds.
func TestSwiftClientAndWe(t *testing.T) {
	testenv.Need(t, "swift")
	srv := testenv.Swift(t)
	s := made(t, config(v1(srv)))
	client := func(args ...string) {
		t.Helper()
		testenv.Run(t, srv.Env(), "swift", args...)
	}
	data := backendtest.Bytes(500_000)
	at := backendtest.Put(t, s, "ours", data, -1)
	path := filepath.Join(t.TempDir(), "image")
	client("download", s.c.Container, "ours", "-o", path)
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := s.Delete(t.Context(), at); err != nil {
		t.Error(err)
	}
	for kind, args := range map[string][]string{"DLO": {"--use-slo"}, "SLO": nil} {
		client(append([]string{"upload", s.c.Container, path, "--object-name", "theirs" + kind, "-S", "200000"}, args...)...)
		at := s.locator(place{container: s.c.Container}, "theirs"+kind)
		sound(t, s, at, data)
		if err := s.Delete(t.Context(), at); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for _, c := range []string{s.c.Container, s.c.Container + "_segments"} {
		if left := names(t, s, c); len(left) != 0 {
			t.Errorf("left in %s: %v", c, left)
		}
	}
}

// Large objects whose segments are lost or changed by others end in an error.
func TestDamagedLargeObjects(t *testing.T) {
	srv := testenv.Swift(t)
	s := made(t, config(v1(srv)))
	data := backendtest.Bytes(3 * part)
	for _, damage := range []string{"lost", "changed"} {
		t.Run(damage, func(t *testing.T) {
			at := backendtest.Put(t, s, damage, data, -1)
			info, err := s.Stat(t.Context(), at)
			if err != nil {
				t.Fatal(err)
			}
			p, _ := s.at(t.Context(), damage)
			for _, name := range names(t, s, s.c.Container) {
				if !strings.HasPrefix(name, damage+"-") || !strings.HasSuffix(name, "-00002") {
					continue
				}
				if damage == "lost" {
					err = s.removeOne(t.Context(), p, name)
				} else {
					_, err = s.ask(t.Context(), p, call{method: "PUT", container: p.container, object: name, body: [][]byte{make([]byte, part)}})
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			for _, v := range []string{info.Validator, ""} {
				got, err := readAll(t, s, at, v, 0, int64(len(data)))
				if damage == "changed" && v == "" {
					continue // nothing tells
				}
				if err == nil {
					t.Errorf("validator %q: %d bytes came", v, len(got))
				}
			}
		})
	}
}

// Other tenants' images are read by their storage URL, on our own server and in
// Glance's containers only.
func TestMultiTenantLocations(t *testing.T) {
	srv := testenv.Swift(t)
	writer := made(t, config(v1(srv)))
	base := writer.c.Container
	writer.c.Container = base + "_id"
	data := backendtest.Bytes(part + 1)
	backendtest.Put(t, writer, "id", data, -1)
	g, err := writer.own().grant(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := config(v1(srv))
	c.Container, c.MultiTenant = base, true
	s := store(t, c)
	defer s.Close()
	at := "swift+" + g.storage + "/" + base + "_id/id"
	sound(t, s, backends.Locator(at), data)
	for _, bad := range []string{
		"swift+" + g.storage + "/" + base + "_other/id",
		strings.Replace(at, "swift+http:", "swift+https:", 1),
		strings.Replace(at, "127.0.0.1", "localhost", 1),
	} {
		if _, err := s.Stat(t.Context(), backends.Locator(bad)); err == nil || errors.Is(err, backends.ErrNotFound) || errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := writer.Stat(t.Context(), backends.Locator(at)); err == nil {
		t.Error("a store of one tenant reads it")
	}
}
