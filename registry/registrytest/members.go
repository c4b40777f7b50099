package registrytest

import (
	"sync"
	"testing"

	"github.com/google/uuid"

	"glimpse/registry"
	"glimpse/registry/image"
)

var memberTests = map[string]func(t *testing.T, r registry.Registry){
	"a share's life":                      testMember,
	"members come oldest first":           testMemberOrder,
	"a quota":                             testMemberLimit,
	"a quota holds against a rush":        testMemberRush,
	"removed and added in one second":     testMemberAgain,
	"members of an image that isn't":      testMemberNoImage,
	"members go with their image":         testMemberDeleted,
	"a status that isn't one":             testMemberStatus,
	"a member's change counts as a write": testMemberVersion,
	"text that the table can't hold":      testMemberText,
}

func testMember(t *testing.T, r registry.Registry) {
	m := create(t, r, fresh())
	got, err := r.AddMember(t.Context(), m.ID, "p2", 128)
	must(t, err)
	if got.ID == 0 || got.ImageID != m.ID || got.MemberID != "p2" || got.Status != image.MemberPending || got.CanShare || got.CreatedAt.IsZero() || got.UpdatedAt.IsZero() {
		t.Errorf("got %#v", got)
	}
	_, err = r.AddMember(t.Context(), m.ID, "p2", 128)
	wantKind(t, err, image.Conflict)
	for _, status := range []image.MemberStatus{image.MemberAccepted, image.MemberAccepted, image.MemberRejected, image.MemberPending} {
		if got, err = r.SetMemberStatus(t.Context(), m.ID, "p2", status); err != nil || got.Status != status {
			t.Fatal(got, err)
		}
		if got, err = r.Member(t.Context(), m.ID, "p2"); err != nil || got.Status != status {
			t.Fatal(got, err)
		}
	}
	must(t, r.RemoveMember(t.Context(), m.ID, "p2"))
	wantKind(t, r.RemoveMember(t.Context(), m.ID, "p2"), image.NotFound)
	_, err = r.Member(t.Context(), m.ID, "p2")
	wantKind(t, err, image.NotFound)
	_, err = r.SetMemberStatus(t.Context(), m.ID, "p2", image.MemberAccepted)
	wantKind(t, err, image.NotFound)
}

func testMemberOrder(t *testing.T, r registry.Registry) {
	m := create(t, r, fresh())
	for _, p := range []string{"z", "a", "m"} {
		_, err := r.AddMember(t.Context(), m.ID, p, -1)
		must(t, err)
	}
	must(t, r.RemoveMember(t.Context(), m.ID, "a"))
	all, err := r.Members(t.Context(), m.ID)
	must(t, err)
	if len(all) != 2 || all[0].MemberID != "z" || all[1].MemberID != "m" {
		t.Errorf("got %v", all)
	}
}

func testMemberLimit(t *testing.T, r registry.Registry) {
	m := create(t, r, fresh())
	_, err := r.AddMember(t.Context(), m.ID, "p2", 0)
	wantKind(t, err, image.TooLarge)
	_, err = r.AddMember(t.Context(), m.ID, "p2", 1)
	must(t, err)
	_, err = r.AddMember(t.Context(), m.ID, "p3", 1)
	wantKind(t, err, image.TooLarge)
	_, err = r.AddMember(t.Context(), m.ID, "p2", 1)
	wantKind(t, err, image.TooLarge)
	must(t, r.RemoveMember(t.Context(), m.ID, "p2"))
	_, err = r.AddMember(t.Context(), m.ID, "p3", 1)
	must(t, err)
}

func testMemberRush(t *testing.T, r registry.Registry) {
	m := create(t, r, fresh())
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			_, err := r.AddMember(t.Context(), m.ID, uuid.NewString(), 3)
			if err != nil && image.KindOf(err) != image.TooLarge {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	all, err := r.Members(t.Context(), m.ID)
	must(t, err)
	if len(all) != 3 {
		t.Errorf("%d members", len(all))
	}
}

func testMemberAgain(t *testing.T, r registry.Registry) {
	m := create(t, r, fresh())
	for range 4 {
		_, err := r.AddMember(t.Context(), m.ID, "p2", -1)
		must(t, err)
		got, err := r.SetMemberStatus(t.Context(), m.ID, "p2", image.MemberAccepted)
		must(t, err)
		if got.Status != image.MemberAccepted {
			t.Errorf("status %s", got.Status)
		}
		must(t, r.RemoveMember(t.Context(), m.ID, "p2"))
		got, err = r.AddMember(t.Context(), m.ID, "p2", -1)
		must(t, err)
		if got.Status != image.MemberPending {
			t.Errorf("comes back as %s", got.Status)
		}
		must(t, r.RemoveMember(t.Context(), m.ID, "p2"))
	}
}

func testMemberNoImage(t *testing.T, r registry.Registry) {
	id := uuid.NewString()
	_, err := r.AddMember(t.Context(), id, "p2", -1)
	wantKind(t, err, image.NotFound)
	wantKind(t, r.RemoveMember(t.Context(), id, "p2"), image.NotFound)
	all, err := r.Members(t.Context(), id)
	if err != nil || len(all) != 0 {
		t.Error(all, err)
	}
}

func testMemberDeleted(t *testing.T, r registry.Registry) {
	m := create(t, r, fresh())
	_, err := r.AddMember(t.Context(), m.ID, "p2", -1)
	must(t, err)
	remove(t, r, m.ID)
	all, err := r.Members(t.Context(), m.ID)
	if err != nil || len(all) != 0 {
		t.Error(all, err)
	}
	_, err = r.SetMemberStatus(t.Context(), m.ID, "p2", image.MemberAccepted)
	wantKind(t, err, image.NotFound)
}

func testMemberStatus(t *testing.T, r registry.Registry) {
	m := create(t, r, fresh())
	_, err := r.AddMember(t.Context(), m.ID, "p2", -1)
	must(t, err)
	_, err = r.SetMemberStatus(t.Context(), m.ID, "p2", "maybe")
	wantKind(t, err, image.Invalid)
}

func testMemberVersion(t *testing.T, r registry.Registry) {
	m := create(t, r, fresh())
	_, err := r.AddMember(t.Context(), m.ID, "p2", -1)
	must(t, err)
	must(t, r.RemoveMember(t.Context(), m.ID, "p2"))
	if got := get(t, r, m.ID).Version; got != m.Version+2 {
		t.Errorf("version %d after %d", got, m.Version)
	}
}

func testMemberText(t *testing.T, r registry.Registry) {
	m := create(t, r, fresh())
	_, err := r.AddMember(t.Context(), m.ID, "🚀", -1)
	wantKind(t, err, image.Invalid)
}
