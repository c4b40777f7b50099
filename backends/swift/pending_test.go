package swift

import (
	"errors"
	"slices"
	"testing"
	"time"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/cmd/testenv"
)

// What a listing tells of uploads: names, in order, and the keys found.
func TestOrphans(t *testing.T) {
	a, ab := upload{"a", "0123456789abcdef"}, upload{"a-b", "0123456789abcdef"}
	for name, c := range map[string]struct {
		names []string
		want  []string
	}{
		"committed":             {[]string{"a", a.segment(1), a.segment(2)}, nil},
		"under way":             {[]string{a.segment(1), a.marker()}, []string{"a"}},
		"begun":                 {[]string{a.marker()}, []string{"a"}},
		"between":               {[]string{"a", a.segment(1), a.marker()}, []string{"a"}},
		"without an object":     {[]string{a.segment(1)}, []string{"a"}},
		"another's object":      {[]string{"a", ab.segment(1)}, []string{"a-b"}},
		"both":                  {[]string{"a", "a-b", ab.segment(1), a.segment(1)}, nil},
		"Glance's uploads":      {[]string{"a-00001", "a-00002"}, nil},
		"what only looks alike": {[]string{"a-g0123456789abcdeg-00001", "-g0123456789abcdef-00001", "a-g0123456789abcdef-0000x", ".upload"}, nil},
	} {
		slices.Sort(c.names)
		var o orphans
		var got []string
		fn := func(u upload, _ time.Time) error { got = append(got, u.key); return nil }
		for _, n := range c.names {
			if err := o.next(entry{Name: n}, fn); err != nil {
				t.Fatal(err)
			}
		}
		if err := o.end(fn); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	at := entry{Modified: "2026-11-25T10:00:01.234567"}.time()
	if at.Unix() != 1795600801 {
		t.Error(at)
	}
}

// Manifests never have the objects of others deleted.
func TestManifestsOfOthers(t *testing.T) {
	for manifest, ok := range map[string]bool{
		"c/id-": true, "c/id-g0123456789abcdef-": true, "c_segments/id/1.0/10/5/": true,
		"c/": false, "c/i": false, "c/id": false, "c/other-": false, "c": false, "/id-": false, "c/%zz": false, "c/id2-": false,
	} {
		if _, _, err := splitManifest(manifest, "id"); (err == nil) != ok {
			t.Errorf("%s: %v", manifest, err)
		}
	}
}

// A crash leaves segments behind, in the containers of a seed; they are found and
// removed, and the images beside them stay.
func TestWhatACrashLeaves(t *testing.T) {
	srv := testenv.Swift(t)
	c := config(v1(srv))
	c.Seed = 1
	s := store(t, c)
	defer s.Close()
	data := backendtest.Bytes(2 * part)
	kept := backendtest.Put(t, s, "a", data, -1)
	w, err := s.Create(t.Context(), "a-b", -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	lost := backendtest.Put(t, s, "b", data, -1) // its object goes, as in a Delete that is cut off
	p, _ := s.at(t.Context(), "b")
	if err := s.removeOne(t.Context(), p, p.object); err != nil {
		t.Fatal(err)
	}
	var found []backends.Locator
	err = s.Pending(t.Context(), func(at backends.Locator, when time.Time) error {
		if d := time.Since(when); d < -time.Minute || d > time.Hour {
			t.Errorf("last written %s ago", d)
		}
		found = append(found, at)
		return nil
	})
	if err != nil || !slices.Equal(found, []backends.Locator{w.Locator(), lost}) {
		t.Errorf("%d found, %v", len(found), err)
	}
	for _, at := range found {
		if err := s.Abort(t.Context(), at); err != nil {
			t.Error(err)
		}
	}
	if left := len(names(t, s, c.Container+"_a")) + len(names(t, s, c.Container+"_b")); left != 3 {
		t.Errorf("%d objects are left, want the image and its segments", left)
	}
	sound(t, s, kept, data)
}

// A commit does not replace what another has committed since it began, and an
// Abort ends no upload of a key that only begins alike.
func TestUploadsSideBySide(t *testing.T) {
	for name, open := range map[string]func(*testing.T) *Store{
		"swift":   func(t *testing.T) *Store { t.Helper(); return made(t, config(v1(testenv.Swift(t)))) },
		"radosgw": func(t *testing.T) *Store { t.Helper(); return made(t, gateway(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			begin := func(key string, data []byte) backends.Writer {
				w, err := s.Create(t.Context(), key, -1)
				if err == nil {
					_, err = w.Write(data)
				}
				if err != nil {
					t.Fatal(err)
				}
				return w
			}
			first, second := backendtest.Bytes(part+1), backendtest.Bytes(2*part+1)
			a, late, alike := begin("a", first), begin("a", second), begin("a-gb", second)
			at, err := a.Commit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := late.Commit(t.Context()); !errors.Is(err, backends.ErrExists) {
				t.Errorf("the second commit: %v", err)
			}
			if err := errors.Join(late.Cancel(), s.Abort(t.Context(), at)); err != nil {
				t.Error(err)
			}
			sound(t, s, at, first)
			other, err := alike.Commit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			sound(t, s, other, second)
		})
	}
}
