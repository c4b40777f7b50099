package registry_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/registry"
	"glimpse/registry/image"
	"glimpse/registry/memstore"
)

// bin remembers what was deleted; stores in broken refuse.
type bin struct {
	gone   []image.Secret
	asked  int
	broken string
}

func (b *bin) DeleteLocator(_ context.Context, store string, at image.Secret) error {
	b.asked++
	if store == b.broken {
		return errors.New("the store is away")
	}
	b.gone = append(b.gone, at)
	return nil
}

// attempt begins an upload to a store and notes its locator.
func attempt(t *testing.T, s *memstore.Store, id, store string) registry.Upload {
	t.Helper()
	if _, err := s.Create(t.Context(), image.Image{ID: id, Status: image.Queued, Visibility: image.Private}); err != nil {
		t.Fatal(err)
	}
	up, err := s.Begin(t.Context(), id, store, "node")
	if err == nil {
		err = s.Note(t.Context(), up.Token, image.Secret("file:///"+id))
	}
	if err != nil {
		t.Fatal(err)
	}
	return up
}

func newReaper(s *memstore.Store, b *bin) *registry.Reaper {
	return &registry.Reaper{Uploads: s, Deleter: b, Log: slog.New(slog.DiscardHandler)}
}

func TestAnUploadWhoseNodeDiedIsCleanedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := memstore.New(time.Minute), &bin{}
		attempt(t, s, "a", "main")
		r := newReaper(s, b)
		if rep, err := r.Pass(t.Context()); err != nil || rep.Seen != 0 {
			t.Fatalf("a live upload is touched: %+v %v", rep, err)
		}
		time.Sleep(3 * time.Minute)
		rep, err := r.Pass(t.Context())
		if err != nil || rep != (registry.Report{Seen: 1, Done: 1}) {
			t.Fatalf("%+v %v", rep, err)
		}
		if !slices.Equal(b.gone, []image.Secret{"file:///a"}) {
			t.Errorf("deleted: %d objects", len(b.gone))
		}
		if m, err := s.Get(t.Context(), "a"); err != nil || m.Status != image.Queued {
			t.Errorf("the image is %s: %v", m.Status, err)
		}
		if rep, err := r.Pass(t.Context()); err != nil || rep.Seen != 0 {
			t.Errorf("it comes back: %+v %v", rep, err)
		}
	})
}

func TestBytesThatAnImageNamesStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := memstore.New(time.Minute), &bin{}
		attempt(t, s, "a", "main")
		if _, err := s.Create(t.Context(), image.Image{
			ID: "other", Status: image.Active, Visibility: image.Private,
			Locations: []image.Location{{URL: "file:///a", Status: "active"}},
		}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Minute)
		rep, err := newReaper(s, b).Pass(t.Context())
		if err != nil || rep.Done != 0 || rep.Kept != 1 || b.asked != 0 {
			t.Errorf("%+v %v, %d deletes", rep, err, b.asked)
		}
	})
}

// A store that is away must keep neither its rows from a later pass nor other
// stores' rows from this one, however many come before them.
func TestAStoreThatIsAwayDoesNotHoldUpTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := memstore.New(time.Minute), &bin{broken: "bad"}
		for i := range 250 {
			attempt(t, s, fmt.Sprint("bad", i), "bad")
		}
		attempt(t, s, "good", "main")
		time.Sleep(3 * time.Minute)
		r := newReaper(s, b)
		rep, err := r.Pass(t.Context())
		if err == nil || strings.Contains(err.Error(), "file://") {
			t.Errorf("error: %v", err)
		}
		if rep != (registry.Report{Seen: 251, Done: 1, Kept: 250}) || b.asked != 4 {
			t.Errorf("%+v, %d deletes", rep, b.asked)
		}
		b.broken = ""
		if rep, err := r.Pass(t.Context()); err != nil || rep.Done != 250 {
			t.Errorf("the next pass: %+v %v", rep, err)
		}
	})
}

func TestAStoppedReaperLeavesTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := memstore.New(time.Minute), &bin{}
		attempt(t, s, "a", "main")
		time.Sleep(3 * time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := newReaper(s, b).Pass(ctx); !errors.Is(err, context.Canceled) || b.asked != 0 {
			t.Errorf("%v, %d deletes", err, b.asked)
		}
	})
}

func TestReaperPurgesDeadNodesAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(0)
		r := newReaper(s, &bin{})
		r.Nodes = s
		n := registry.NodeRow{ID: "n", Epoch: 2, TTL: time.Minute}
		if err := s.Beat(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		n.Epoch = 1 // refused for as long as there is a row
		for _, step := range []struct {
			after time.Duration
			gone  int
			kind  image.Kind
		}{{23 * time.Hour, 0, image.Conflict}, {time.Hour, 1, image.Internal}} {
			time.Sleep(step.after)
			report, err := r.Pass(t.Context())
			if err != nil || report.Done != step.gone {
				t.Errorf("%v: %+v", err, report)
			}
			if err := s.Beat(t.Context(), n); image.KindOf(err) != step.kind || (err == nil) != (step.gone == 1) {
				t.Error(err)
			}
		}
	})
}
