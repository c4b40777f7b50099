package registrytest

import (
	"slices"
	"testing"
	"time"

	"glimpse/registry"
	"glimpse/registry/image"
)

var lapseTests = map[string]func(t *testing.T, r registry.Registry){
	"a node that died":                  testLapse,
	"too late to activate":              testTooLate,
	"too late to adopt":                 testTooLateToAdopt,
	"a lapsed lease is renewed in time": testLateRenewal,
	"overtaken":                         testOvertaken,
	"oldest first and at most n":        testLapsedOrder,
	"only another node can clean up":    testReach,
}

// beginLapsed begins an attempt and waits until it counts as lapsed.
func beginLapsed(t *testing.T, r registry.Registry, locator image.Secret) registry.Upload {
	t.Helper()
	m := create(t, r, fresh())
	up := begin(t, r, m.ID)
	if locator != "" {
		must(t, r.Note(t.Context(), up.Token, locator))
	}
	awaitLapse(t, r, up.Token)
	return up
}

func awaitLapse(t *testing.T, r registry.Registry, token string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !lapsed(t, r, token) {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("not lapsed")
		}
	}
}

func testLapse(t *testing.T, r registry.Registry) {
	up := beginLapsed(t, r, "file:///dead")
	ok, err := r.Reap(t.Context(), up.Token)
	if err != nil || !ok {
		t.Errorf("reap: %v %v", ok, err)
	}
	if got := get(t, r, up.ImageID).Status; got != image.Queued {
		t.Errorf("got %s", got)
	}
	wantKind(t, r.Renew(t.Context(), up.Token), image.Gone)
	wantKind(t, r.Note(t.Context(), up.Token, "file:///late"), image.Gone)
	wantLapsed(t, r, up.Token, true) // failed, not known to be clean
	must(t, r.Fail(t.Context(), up.Token, true))
	wantLapsed(t, r, up.Token, false)
}

func testTooLate(t *testing.T, r registry.Registry) {
	up := beginLapsed(t, r, "file:///toolate")
	_, err := r.Activate(t.Context(), up.Token, activation("file:///toolate"))
	wantKind(t, err, image.Gone)
	if got := get(t, r, up.ImageID); got.Status != image.Saving || len(got.Locations) != 0 {
		t.Errorf("got %#v", got)
	}
}

func testTooLateToAdopt(t *testing.T, r registry.Registry) {
	m := activeImage(t, r, "file:///first")
	up, err := r.BeginCopy(t.Context(), m.ID, "other", "n1")
	must(t, err)
	must(t, r.Note(t.Context(), up.Token, "file:///lapsedcopy"))
	awaitLapse(t, r, up.Token)
	_, err = r.Adopt(t.Context(), up.Token, "", adds("file:///lapsedcopy"))
	wantKind(t, err, image.Gone)
	if got := get(t, r, m.ID); len(got.Locations) != 1 {
		t.Errorf("got %#v", got)
	}
}

func testLateRenewal(t *testing.T, r registry.Registry) {
	up := beginLapsed(t, r, "file:///renewed")
	must(t, r.Renew(t.Context(), up.Token))
	awaitLapse(t, r, up.Token)
}

func testOvertaken(t *testing.T, r registry.Registry) {
	one := beginLapsed(t, r, "file:///o1")
	_, err := r.Reap(t.Context(), one.Token)
	must(t, err)
	two := begin(t, r, one.ImageID)
	if two.First {
		t.Error("a second attempt calls itself the first")
	}
	_, err = r.Activate(t.Context(), one.Token, activation("file:///o1"))
	wantKind(t, err, image.Gone)
	must(t, r.Fail(t.Context(), one.Token, true))
	if got := get(t, r, one.ImageID).Status; got != image.Saving {
		t.Errorf("the overtaken one made it %s", got)
	}
	must(t, r.Fail(t.Context(), two.Token, true))
}

func testLapsedOrder(t *testing.T, r registry.Registry) {
	for {
		all, err := r.Lapsed(t.Context(), 1000, registry.Reach{})
		must(t, err)
		if len(all) == 0 {
			break
		}
		for _, up := range all {
			_, err := r.Reap(t.Context(), up.Token)
			must(t, err)
			must(t, r.Fail(t.Context(), up.Token, true))
		}
	}
	one, two := beginLapsed(t, r, "file:///1"), beginLapsed(t, r, "file:///2")
	all, err := r.Lapsed(t.Context(), 1, registry.Reach{})
	must(t, err)
	if len(all) != 1 || all[0].Token != one.Token || all[0].Locator != "file:///1" || all[0].ImageID != one.ImageID {
		t.Errorf("got %#v", all)
	}
	all, err = r.Lapsed(t.Context(), 9, registry.Reach{})
	must(t, err)
	if len(all) != 2 || all[1].Token != two.Token {
		t.Errorf("got %#v", all)
	}
	if all, err := r.Lapsed(t.Context(), 0, registry.Reach{}); err != nil || len(all) != 0 {
		t.Error(all, err)
	}
}

// An attempt in another node's own folder is ended by any node, and its bytes are
// that node's matter.
func testReach(t *testing.T, r registry.Registry) {
	up := beginLapsed(t, r, "file:///elsewhere") // by n1, into main
	n2 := registry.Reach{Node: "n2", Own: []string{"b", "main"}}
	wantListed(t, r, up.Token, n2, true)
	if ok, err := r.Reap(t.Context(), up.Token); err != nil || !ok {
		t.Errorf("reap: %v %v", ok, err)
	}
	wantListed(t, r, up.Token, n2, false)
	wantListed(t, r, up.Token, registry.Reach{Node: up.Node, Own: []string{"main"}}, true)
}

func wantListed(t *testing.T, r registry.Registry, token string, within registry.Reach, want bool) {
	t.Helper()
	all, err := r.Lapsed(t.Context(), 1000, within)
	must(t, err)
	if slices.ContainsFunc(all, func(u registry.Upload) bool { return u.Token == token }) != want {
		t.Errorf("within %+v it is listed: %v", within, !want)
	}
}
