package registrytest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"glimpse/registry"
	"glimpse/registry/image"
)

var imageTests = map[string]func(t *testing.T, r registry.Registry){
	"everything given is stored":                        testCreateAll,
	"a bare record":                                     testCreateBare,
	"an id that never was":                              testNotThere,
	"an id is taken for ever":                           testTaken,
	"an update writes what it changes":                  testUpdate,
	"no change is no write":                             testNoChange,
	"an error of the caller's is given back":            testFnError,
	"a property comes back":                             testRevive,
	"tags keep their order":                             testTags,
	"locations come and go":                             testLocations,
	"a location of another image":                       testForeignLocation,
	"a deletion returns what was deleted":               testDelete,
	"six writers lose nothing":                          testWriters,
	"text that the tables can't hold":                   testUnstorable,
	"a context that has ended":                          testContext,
	"identity and times are not the caller's to change": testFixed,
	"answers share nothing with the store":              testClones,
	"the registry answers":                              func(t *testing.T, r registry.Registry) { must(t, r.Ping(t.Context())) },
}

// full sets every field.
func full() image.Image {
	m := fresh()
	m.Status, m.Visibility = image.Active, image.Public
	m.Size, m.VirtualSize = ptr(int64(1)<<41), ptr(int64(1)<<42)
	m.Checksum, m.HashAlgo, m.HashValue = ptr(strings.Repeat("a", 32)), ptr("sha512"), ptr(strings.Repeat("b", 128))
	m.MinDisk, m.MinRAM, m.Protected, m.Hidden = 3, 2147483647, true, true
	m.Properties = map[string]string{"os": "Débian ☂ \\ ' \"", "empty": "", "long": strings.Repeat("x", 60000)}
	m.Tags = []string{"z", "a", "ö'"}
	m.Locations = []image.Location{
		{URL: "file:///a", Metadata: map[string]string{"store": "main", "q": "é\"\\"}, Status: "active"},
		{URL: "http://u:p@h/b", Metadata: map[string]string{}, Status: "active"},
	}
	return m
}

// assigned are the fields that the registry sets.
var assigned = cmp.Options{
	cmpopts.IgnoreFields(image.Image{}, "CreatedAt", "UpdatedAt", "Version"),
	cmpopts.IgnoreFields(image.Location{}, "ID"), cmpopts.EquateEmpty(),
}

func testCreateAll(t *testing.T, r registry.Registry) {
	m := full()
	before := time.Now().UTC().Truncate(time.Second)
	stored := create(t, r, m)
	if d := cmp.Diff(m, stored, assigned); d != "" {
		t.Error(d)
	}
	if stored.CreatedAt.Before(before) || stored.CreatedAt.After(time.Now()) || !stored.UpdatedAt.Equal(stored.CreatedAt) || stored.CreatedAt.Location() != time.UTC {
		t.Errorf("created %v, updated %v", stored.CreatedAt, stored.UpdatedAt)
	}
	if stored.Version != 1 || stored.Locations[0].ID == 0 || stored.Locations[0].ID == stored.Locations[1].ID {
		t.Errorf("version %d, locations %v", stored.Version, stored.Locations)
	}
	if d := cmp.Diff(stored, get(t, r, m.ID)); d != "" {
		t.Error(d)
	}
}

func testCreateBare(t *testing.T, r registry.Registry) {
	m := image.Image{ID: uuid.NewString(), Status: image.Queued, Visibility: image.Private}
	if d := cmp.Diff(m, create(t, r, m), assigned); d != "" {
		t.Error(d)
	}
}

func testNotThere(t *testing.T, r registry.Registry) {
	for _, id := range []string{uuid.NewString(), "", "🚀", "a\x00b", "' OR 1=1", strings.Repeat("x", 300)} {
		_, err := r.Get(t.Context(), id)
		wantKind(t, err, image.NotFound)
		_, err = r.Update(t.Context(), id, func(*image.Image) error { t.Error("called"); return nil })
		wantKind(t, err, image.NotFound)
		_, err = r.Member(t.Context(), id, "🚀")
		wantKind(t, err, image.NotFound)
	}
}

func testTaken(t *testing.T, r registry.Registry) {
	m := create(t, r, fresh())
	_, err := r.Create(t.Context(), m)
	wantKind(t, err, image.Conflict)
	remove(t, r, m.ID)
	_, err = r.Create(t.Context(), m)
	wantKind(t, err, image.Conflict)
}

func testUpdate(t *testing.T, r registry.Registry) {
	m := create(t, r, full())
	change := func(m *image.Image) {
		m.Name, m.Owner, m.Size, m.Checksum = nil, ptr("p2"), nil, ptr("c")
		m.Hidden, m.MinDisk, m.Visibility, m.Status = false, 7, image.Private, image.Deactivated
		m.Properties["os"], m.Properties["new"] = "", "1"
		delete(m.Properties, "long")
	}
	want := m.Clone()
	change(&want)
	stored := update(t, r, m.ID, change)
	if d := cmp.Diff(want, stored, assigned); d != "" {
		t.Error(d)
	}
	if stored.Version != m.Version+1 {
		t.Errorf("version %d after %d", stored.Version, m.Version)
	}
	if d := cmp.Diff(stored, get(t, r, m.ID)); d != "" {
		t.Error(d)
	}
}

func testNoChange(t *testing.T, r registry.Registry) {
	m := create(t, r, full())
	if d := cmp.Diff(m, update(t, r, m.ID, func(*image.Image) {})); d != "" {
		t.Error(d)
	}
}

func testFnError(t *testing.T, r registry.Registry) {
	m := create(t, r, full())
	own := errors.New("own")
	_, err := r.Update(t.Context(), m.ID, func(m *image.Image) error { m.Name = nil; m.Tags = nil; return own })
	if !errors.Is(err, own) {
		t.Errorf("got %v", err)
	}
	if d := cmp.Diff(m, get(t, r, m.ID)); d != "" {
		t.Error(d)
	}
}

func testRevive(t *testing.T, r registry.Registry) {
	m := fresh()
	m.Properties = map[string]string{"a": "1", "b": "2"}
	create(t, r, m)
	for i := range 3 {
		update(t, r, m.ID, func(m *image.Image) { delete(m.Properties, "a") })
		if got := get(t, r, m.ID).Properties; !maps.Equal(got, map[string]string{"b": "2"}) {
			t.Fatalf("got %v", got)
		}
		update(t, r, m.ID, func(m *image.Image) { m.Properties["a"] = fmt.Sprint(i) })
		if got := get(t, r, m.ID).Properties; !maps.Equal(got, map[string]string{"a": fmt.Sprint(i), "b": "2"}) {
			t.Fatalf("got %v", got)
		}
	}
}

func testTags(t *testing.T, r registry.Registry) {
	m := fresh()
	m.Tags = []string{"c", "a", "b"}
	create(t, r, m)
	got := update(t, r, m.ID, func(m *image.Image) { m.Tags = []string{"b", "0", "c"} }).Tags
	if want := []string{"c", "b", "0"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	got = update(t, r, m.ID, func(m *image.Image) { m.Tags = append(m.Tags, "a", "a") }).Tags
	if want := []string{"c", "b", "0", "a"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := update(t, r, m.ID, func(m *image.Image) { m.Tags = nil }).Tags; len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func testLocations(t *testing.T, r registry.Registry) {
	m := create(t, r, full())
	first, second := m.Locations[0], m.Locations[1]
	m = update(t, r, m.ID, func(m *image.Image) {
		m.Locations = append(m.Locations[1:], image.Location{URL: "file:///c", Metadata: map[string]string{"store": "x"}, Status: "active"})
		m.Locations[0].Metadata["store"] = "late"
	})
	if len(m.Locations) != 2 || m.Locations[0].ID != second.ID || m.Locations[0].Metadata["store"] != "late" || m.Locations[1].URL != "file:///c" || m.Locations[1].ID == first.ID {
		t.Errorf("got %#v", m.Locations)
	}
}

func testForeignLocation(t *testing.T, r registry.Registry) {
	other, m := create(t, r, full()), create(t, r, fresh())
	_, err := r.Update(t.Context(), m.ID, func(m *image.Image) error { m.Locations = other.Locations; return nil })
	wantKind(t, err, image.NotFound)
	if d := cmp.Diff(other, get(t, r, other.ID)); d != "" {
		t.Error(d)
	}
}

func testDelete(t *testing.T, r registry.Registry) {
	for _, status := range []image.Status{image.Deleted, image.PendingDelete} {
		m := create(t, r, full())
		got := update(t, r, m.ID, func(m *image.Image) { m.Status = status })
		if got.Status != status || got.DeletedAt == nil || !slices.Equal(got.Tags, m.Tags) || len(got.Locations) != 2 || got.Version != m.Version+1 {
			t.Errorf("got %#v", got)
		}
		_, err := r.Get(t.Context(), m.ID)
		wantKind(t, err, image.NotFound)
		_, err = r.Update(t.Context(), m.ID, func(*image.Image) error { return nil })
		wantKind(t, err, image.NotFound)
	}
}

// Each writer adds ten properties, and all count one up.
func testWriters(t *testing.T, r registry.Registry) {
	m := fresh()
	m.Properties = map[string]string{"n": "0"}
	create(t, r, m)
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			for i := range 10 {
				_, err := r.Update(t.Context(), m.ID, func(m *image.Image) error {
					var n int
					if _, err := fmt.Sscan(m.Properties["n"], &n); err != nil && m.Properties["n"] != "" {
						return err
					}
					m.Properties["n"] = fmt.Sprint(n + 1)
					m.Properties[fmt.Sprintf("w%d-%d", w, i)] = "x"
					m.MinDisk++
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got := get(t, r, m.ID)
	if got.Properties["n"] != "60" || len(got.Properties) != 61 || got.MinDisk != 60 || got.Version != 61 {
		t.Errorf("n %s, %d properties, min_disk %d, version %d", got.Properties["n"], len(got.Properties), got.MinDisk, got.Version)
	}
}

func testUnstorable(t *testing.T, r registry.Registry) {
	m := create(t, r, full())
	for name, spoil := range map[string]func(*image.Image){
		"4-byte name":        func(m *image.Image) { m.Name = ptr("🚀") },
		"NUL in name":        func(m *image.Image) { m.Name = ptr("a\x00b") },
		"bad UTF-8":          func(m *image.Image) { m.Name = ptr("\xff") },
		"long name":          func(m *image.Image) { m.Name = ptr(strings.Repeat("x", 256)) },
		"4-byte property":    func(m *image.Image) { m.Properties = map[string]string{"a": "🚀"} },
		"4-byte key":         func(m *image.Image) { m.Properties = map[string]string{"🚀": "a"} },
		"long key":           func(m *image.Image) { m.Properties = map[string]string{strings.Repeat("k", 256): "a"} },
		"long value":         func(m *image.Image) { m.Properties = map[string]string{"a": strings.Repeat("v", 65536)} },
		"4-byte tag":         func(m *image.Image) { m.Tags = []string{"🚀"} },
		"4-byte location":    func(m *image.Image) { m.Locations = []image.Location{{URL: "http://🚀"}} },
		"min_disk too big":   func(m *image.Image) { m.MinDisk = 1 << 31 },
		"unknown visibility": func(m *image.Image) { m.Visibility = "secret" },
	} {
		bad := fresh()
		spoil(&bad)
		_, err := r.Create(t.Context(), bad)
		if image.KindOf(err) != image.Invalid {
			t.Errorf("create, %s: %v", name, err)
		}
		_, err = r.Update(t.Context(), m.ID, func(m *image.Image) error { spoil(m); return nil })
		if image.KindOf(err) != image.Invalid {
			t.Errorf("update, %s: %v", name, err)
		}
	}
	if d := cmp.Diff(m, get(t, r, m.ID)); d != "" {
		t.Error(d)
	}
	ok := fresh()
	ok.Name = ptr(strings.Repeat("☂", 255))
	create(t, r, ok)
}

func testContext(t *testing.T, r registry.Registry) {
	m := create(t, r, fresh())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.Get(ctx, m.ID)
	wantKind(t, err, image.Unavailable)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	_, err = r.Update(ctx, m.ID, func(m *image.Image) error { m.Name = nil; return nil })
	wantKind(t, err, image.Unavailable)
	_, err = r.List(ctx, registry.Query{Admin: true, Limit: 1})
	wantKind(t, err, image.Unavailable)
	if get(t, r, m.ID).Name == nil {
		t.Error("written after the context ended")
	}
}

func testFixed(t *testing.T, r registry.Registry) {
	m := create(t, r, fresh())
	got := update(t, r, m.ID, func(m *image.Image) {
		m.ID, m.CreatedAt, m.UpdatedAt, m.DeletedAt, m.Version = "other", time.Time{}, time.Time{}, ptr(time.Now()), 77
		m.Name = ptr("n")
	})
	if got.ID != m.ID || !got.CreatedAt.Equal(m.CreatedAt) || got.UpdatedAt.Before(m.UpdatedAt) || got.DeletedAt != nil || got.Version != m.Version+1 {
		t.Errorf("got %#v", got)
	}
}

func testClones(t *testing.T, r registry.Registry) {
	m := create(t, r, full())
	got := get(t, r, m.ID)
	got.Properties["os"], got.Tags[0], got.Locations[0].Metadata["store"] = "spoilt", "spoilt", "spoilt"
	if d := cmp.Diff(m, get(t, r, m.ID)); d != "" {
		t.Error(d)
	}
}
