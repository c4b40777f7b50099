package clustertest

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
	"glimpse/cluster/serve"
)

// Hands answers the questions of a hand-over, made up: the funcs that are set.
type Hands struct {
	List  func(ctx context.Context, q cluster.Claim) (cluster.Page, error)
	Taken func(ctx context.Context, from string) (cluster.Account, error)
	Own   cluster.Vitals
}

// Holdings calls List.
func (h *Hands) Holdings(ctx context.Context, q cluster.Claim) (cluster.Page, error) {
	return h.List(ctx, q)
}

// Take calls Taken.
func (h *Hands) Take(ctx context.Context, from string) (cluster.Account, error) {
	return h.Taken(ctx, from)
}

// Vitals returns Own.
func (h *Hands) Vitals() cluster.Vitals { return h.Own }

// HandoverPlane starts a peer plane on which Self asks and Other answers from h;
// nil: it is of an earlier version.
type HandoverPlane func(t *testing.T, h serve.Handover) (Handover, ring.Node)

// Handovers is what every peer plane has to pass that has these questions.
func Handovers(t *testing.T, start HandoverPlane) {
	k := &handoverKit{start}
	t.Run("pages", k.pages)
	t.Run("bad pages", k.badPages)
	t.Run("takes", k.takes)
	t.Run("an earlier version", k.earlier)
}

type handoverKit struct{ start HandoverPlane }

func claim() cluster.Claim {
	return cluster.Claim{From: Self, Geometry: Geometry, Level: cluster.Home, After: cluster.Cursor{Key: "p:\xff", Index: 7}}
}

func holding(key chunk.Key, runs ...cluster.Run) cluster.Holding {
	return cluster.Holding{Object: chunk.Object{Key: key, Size: size, Validator: "\"\x00\xff", Ref: "image/1"}, Runs: runs}
}

func (k *handoverKit) pages(t *testing.T) {
	var asked cluster.Claim
	want := cluster.Page{
		Holdings: []cluster.Holding{holding("q:1", cluster.Run{First: 0, Count: 1}, cluster.Run{First: 3, Count: 7}), holding("q:2", cluster.Run{First: 9, Count: 1})},
		Next:     cluster.Cursor{Key: "q:3\xfe", Index: 2},
	}
	h := &Hands{List: func(_ context.Context, q cluster.Claim) (cluster.Page, error) { asked = q; return want, nil }}
	h.Own = cluster.Vitals{MemoryBytes: 1, DiskBytes: 2, SentOrigin: 3, GivenBytes: 4, Handover: "warming"}
	plane, at := k.start(t, h)
	got, err := plane.List(t.Context(), at, claim())
	if err != nil || !cmp.Equal(got, want) || asked != claim() {
		t.Errorf("%v of %+v: %s", err, asked, cmp.Diff(want, got))
	}
	for name, want := range kinds() {
		h.List = func(context.Context, cluster.Claim) (cluster.Page, error) { return cluster.Page{}, secretly(want) }
		if _, err := plane.List(t.Context(), at, claim()); !is(err, want) || errors.Is(err, cluster.ErrAway) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*cluster.Claim){
		"level":    func(q *cluster.Claim) { q.Level = 0 },
		"geometry": func(q *cluster.Claim) { q.Geometry.Extent++ },
		"cursor":   func(q *cluster.Claim) { q.After.Index = -1 },
	} {
		q := claim()
		change(&q)
		if _, err := plane.List(t.Context(), at, q); !errors.Is(err, cluster.ErrAway) {
			t.Errorf("a claim of another %s: %v", name, err)
		}
	}
	if v, err := plane.Vitals(t.Context(), at); err != nil || v != h.Own {
		t.Errorf("%+v, %v", v, err)
	}
}

func (k *handoverKit) badPages(t *testing.T) {
	run := func(first, count int) cluster.Run { return cluster.Run{First: first, Count: count} }
	one := func(h cluster.Holding) cluster.Page { return cluster.Page{Holdings: []cluster.Holding{h}} }
	bad := map[string]cluster.Page{
		"past the end":   one(holding("q:1", run(9, 2))),
		"far past it":    one(holding("q:1", run(1, int(^uint(0)>>1)))),
		"before it":      one(holding("q:1", run(-1, 2))),
		"no chunks":      one(holding("q:1", run(1, 0))),
		"out of order":   one(holding("q:1", run(5, 1), run(1, 1))),
		"twice":          one(holding("q:1", run(1, 2), run(2, 1))),
		"an upload":      one(holding("u:1", run(0, 1))),
		"nothing's":      one(holding("", run(0, 1))),
		"objects":        {Holdings: []cluster.Holding{holding("q:2", run(0, 1)), holding("q:1", run(0, 1))}},
		"going back":     {Next: cluster.Cursor{Key: "p:", Index: 0}},
		"going nowhere":  {Next: claim().After},
		"no such cursor": {Next: cluster.Cursor{Key: "q:", Index: -1}},
	}
	h := &Hands{}
	plane, at := k.start(t, h)
	for name, page := range bad {
		h.List = func(context.Context, cluster.Claim) (cluster.Page, error) { return page, nil }
		if got, err := plane.List(t.Context(), at, claim()); !errors.Is(err, cluster.ErrAway) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func (k *handoverKit) takes(t *testing.T) {
	want := cluster.Account{Chunks: 3, Bytes: 1 << 40, Left: 2}
	from := ""
	h := &Hands{Taken: func(_ context.Context, id string) (cluster.Account, error) { from = id; return want, nil }}
	plane, at := k.start(t, h)
	if got, err := plane.Take(t.Context(), at); err != nil || got != want || from != Self {
		t.Errorf("%+v for %s, %v", got, from, err)
	}
	h.Taken = func(context.Context, string) (cluster.Account, error) {
		return want, secretly(chunk.ErrUnavailable)
	}
	if got, err := plane.Take(t.Context(), at); !errors.Is(err, chunk.ErrUnavailable) {
		t.Errorf("%+v, %v", got, err)
	}
	// Who leaves ends the work.
	began, ended := make(chan struct{}), make(chan struct{})
	h.Taken = func(ctx context.Context, _ string) (cluster.Account, error) {
		defer close(ended)
		close(began)
		<-ctx.Done()
		return cluster.Account{}, ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-began
		cancel()
	}()
	if _, err := plane.Take(ctx, at); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	<-ended
}

// earlier: who does not know the questions is there all the same, and passed over.
func (k *handoverKit) earlier(t *testing.T) {
	plane, at := k.start(t, nil)
	for range 5 { // not as something that fails
		_, list := plane.List(t.Context(), at, claim())
		_, take := plane.Take(t.Context(), at)
		_, vitals := plane.Vitals(t.Context(), at)
		for _, err := range []error{list, take, vitals} {
			if !errors.Is(err, cluster.ErrUnknown) || !errors.Is(err, cluster.ErrAway) {
				t.Fatal(err)
			}
		}
	}
	if err := plane.Drop(t.Context(), at, "an-image"); err != nil {
		t.Errorf("and yet it is there: %v", err)
	}
}
