package registrytest

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"glimpse/registry"
	"glimpse/registry/image"
)

var hashingTests = map[string]func(t *testing.T, r registry.Registry){
	"an image waits to be hashed": testHashing,
}

func next(t *testing.T, r registry.Registry, hold time.Duration) (registry.Hashing, bool) {
	t.Helper()
	h, ok, err := r.NextHash(t.Context(), hold)
	must(t, err)
	return h, ok
}

// testHashing has the queue for itself.
func testHashing(t *testing.T, r registry.Registry) {
	if h, ok := next(t, r, time.Hour); ok {
		t.Fatalf("got %v of an empty queue", h)
	}
	one, two := uuid.NewString(), uuid.NewString()
	early, err := r.WishHash(t.Context(), one, time.Hour)
	must(t, err)
	if h, ok := next(t, r, time.Hour); ok {
		t.Fatalf("got %v, which is not due yet", h)
	}
	must(t, r.KeepHash(t.Context(), early, 0))
	h, ok := next(t, r, time.Hour)
	if !ok || h != early || h.ImageID != one || len(h.Token) != 32 {
		t.Fatalf("got %v %v, want %v", h, ok, early)
	}
	if again, ok := next(t, r, time.Hour); ok {
		t.Fatalf("%v was taken twice", again)
	}
	h.Tries = 2
	must(t, r.KeepHash(t.Context(), h, 0))
	if got, ok := next(t, r, 0); !ok || got != h {
		t.Fatalf("got %v %v, want %v", got, ok, h)
	}

	// A wish that comes meanwhile is not lost.
	late, err := r.WishHash(t.Context(), one, 0)
	must(t, err)
	must(t, r.DoneHash(t.Context(), h))
	h.Tries = 7
	must(t, r.KeepHash(t.Context(), h, time.Hour))
	if got, ok := next(t, r, time.Hour); !ok || got != late || late.Token == early.Token {
		t.Fatalf("got %v %v, want %v", got, ok, late)
	}
	must(t, r.DoneHash(t.Context(), late))

	for _, id := range []string{two, one} {
		_, err := r.WishHash(t.Context(), id, -time.Minute)
		must(t, err)
		time.Sleep(time.Millisecond)
	}
	if h, ok := next(t, r, time.Hour); !ok || h.ImageID != two {
		t.Errorf("got %v %v, want the one that waits for longer", h, ok)
	}
	if h, ok := next(t, r, time.Hour); !ok || h.ImageID != one {
		t.Errorf("got %v %v, want the other one", h, ok)
	}
	_, err = r.WishHash(t.Context(), uuid.NewString()+"-too-long", 0)
	wantKind(t, err, image.Invalid)
}

// testNamedByOthers is of the uploads' group, where the other question about
// names is.
func testNamedByOthers(t *testing.T, r registry.Registry) {
	m := fresh()
	m.Status = image.Active
	m.Locations = []image.Location{{URL: "file:///theirs", Status: "active"}}
	create(t, r, m)
	for owner, want := range map[string]bool{"p1": false, "p2": true, "": true} {
		if got, err := r.NamedByOthers(t.Context(), "file:///theirs", owner); err != nil || got != want {
			t.Errorf("%q: %v %v, want %v", owner, got, err, want)
		}
	}
	if got, err := r.NamedByOthers(t.Context(), "file:///nobodys", "p2"); err != nil || got {
		t.Error(got, err)
	}
	update(t, r, m.ID, func(m *image.Image) { m.Owner = nil })
	if got, err := r.NamedByOthers(t.Context(), "file:///theirs", ""); err != nil || !got {
		t.Error("an image without owner is somebody's", got, err)
	}
	remove(t, r, m.ID)
	if got, err := r.NamedByOthers(t.Context(), "file:///theirs", "p2"); err != nil || got {
		t.Error(got, err)
	}
}
