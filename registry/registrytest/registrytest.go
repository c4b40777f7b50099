// Package registrytest holds what every implementation of registry.Registry must
// do. Each group of tests opens one empty registry; the tests of a group use
// images of their own.
package registrytest

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"glimpse/registry"
	"glimpse/registry/image"
)

// Open returns an empty registry whose uploads have leases of that length, and
// closes it when the test ends.
type Open func(t *testing.T, lease time.Duration) registry.Registry

// Leases that tests ask for: one that no test outlives, and one that has lapsed
// when the next call comes.
const (
	long  = time.Hour
	short = time.Millisecond
)

// Run runs the whole kit.
func Run(t *testing.T, open Open) {
	for _, group := range []struct {
		name  string
		lease time.Duration
		tests map[string]func(t *testing.T, r registry.Registry)
	}{
		{"images", long, imageTests},
		{"members", long, memberTests},
		{"uploads", long, uploadTests},
		{"lapsed uploads", short, lapseTests},
		{"manifests", long, manifestTests},
		{"hashings", long, hashingTests},
		{"nodes", long, nodeTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			r := open(t, group.lease)
			for name, test := range group.tests {
				t.Run(name, func(t *testing.T) { test(t, r) })
			}
		})
	}
	t.Run("list", func(t *testing.T) { testList(t, open) })
}

func ptr[T any](v T) *T { return &v }

// fresh is a queued image with both formats.
func fresh() image.Image {
	return image.Image{
		ID: uuid.NewString(), Name: ptr("img"), Status: image.Queued, Visibility: image.Shared, Owner: ptr("p1"),
		DiskFormat: ptr("raw"), ContainerFormat: ptr("bare"),
	}
}

func create(t *testing.T, r registry.Registry, m image.Image) image.Image {
	t.Helper()
	stored, err := r.Create(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func get(t *testing.T, r registry.Registry, id string) image.Image {
	t.Helper()
	m, err := r.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func update(t *testing.T, r registry.Registry, id string, fn func(*image.Image)) image.Image {
	t.Helper()
	m, err := r.Update(t.Context(), id, func(m *image.Image) error { fn(m); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func remove(t *testing.T, r registry.Registry, id string) {
	t.Helper()
	update(t, r, id, func(m *image.Image) { m.Status = image.Deleted })
}

func wantKind(t *testing.T, err error, kind image.Kind) {
	t.Helper()
	if err == nil || image.KindOf(err) != kind {
		t.Fatalf("got error %v of kind %d, want kind %d", err, image.KindOf(err), kind)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
