package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func ptr[T any](v T) *T { return &v }

func TestTheStatusMachineHasNoOtherEdges(t *testing.T) {
	all := []Status{Queued, Saving, Uploading, Importing, Active, Deactivated, Killed, PendingDelete, Deleted}
	want := map[Status]string{
		Queued: "saving uploading importing active deleted", Saving: "queued active killed deleted",
		Uploading: "queued importing deleted", Importing: "queued active deleted",
		Active: "deactivated pending_delete deleted", Deactivated: "active deleted",
		Killed: "deleted", PendingDelete: "active deleted", Deleted: "",
	}
	for _, from := range all {
		for _, to := range all {
			allowed := false
			for _, w := range strings.Fields(want[from]) {
				allowed = allowed || w == string(to)
			}
			if from.CanBecome(to) != allowed {
				t.Errorf("%s to %s: got %v", from, to, !allowed)
			}
		}
	}
}

func TestAnImageWithoutFormatsCannotBecomeActive(t *testing.T) {
	m := Image{Status: Saving}
	if err := m.SetStatus(Active); KindOf(err) != Invalid || m.Status != Saving {
		t.Errorf("got %v, status %s", err, m.Status)
	}
	m.DiskFormat, m.ContainerFormat = ptr("raw"), ptr("bare")
	if err := m.SetStatus(Active); err != nil {
		t.Error(err)
	}
	if err := m.SetStatus(Queued); KindOf(err) != Conflict {
		t.Errorf("active to queued: %v", err)
	}
}

func TestGoingBackToQueuedForgetsTheData(t *testing.T) {
	m := Image{Status: Saving, Size: ptr(int64(1)), VirtualSize: ptr(int64(2)), Checksum: ptr("x"), HashAlgo: ptr("y"), HashValue: ptr("z")}
	if err := m.SetStatus(Queued); err != nil {
		t.Fatal(err)
	}
	if m.Size != nil || m.VirtualSize != nil || m.Checksum != nil || m.HashAlgo != nil || m.HashValue != nil {
		t.Errorf("left: %+v", m)
	}
}

func TestWhoSeesAnImage(t *testing.T) {
	owner := ptr("a")
	for _, c := range []struct {
		v             Visibility
		owner         *string
		project       string
		admin, member bool
		want          bool
	}{
		{Private, owner, "a", false, false, true},
		{Private, owner, "b", false, false, false},
		{Private, owner, "b", false, true, false}, // a member of an image that is private now
		{Private, owner, "", true, false, true},
		{Private, owner, "", false, false, false},
		{Shared, owner, "b", false, false, false},
		{Shared, owner, "b", false, true, true},
		{Public, owner, "b", false, false, true},
		{Community, owner, "b", false, false, true},
		{Private, nil, "b", false, false, true},
	} {
		if got := (Image{Visibility: c.v, Owner: c.owner}).VisibleTo(c.project, c.admin, c.member); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
	if (Image{Owner: ptr("")}).OwnedBy("") {
		t.Error("no project owns what has no owner")
	}
}

func TestACloneSharesNothing(t *testing.T) {
	m := Image{Properties: map[string]string{"a": "b"}, Tags: []string{"t"}, Locations: []Location{{Metadata: map[string]string{"store": "s"}}}}
	c := m.Clone()
	c.Properties["a"], c.Tags[0], c.Locations[0].Metadata["store"] = "x", "x", "x"
	if m.Properties["a"] != "b" || m.Tags[0] != "t" || m.Locations[0].Metadata["store"] != "s" {
		t.Errorf("the original changed: %+v", m)
	}
}

func TestASecretDoesNotPrint(t *testing.T) {
	s := Secret("hunter2")
	l := Location{URL: s}
	j, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "url", s, "location", l)
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", l, l, l, s, s), string(j), log.String()} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("it does: %s", text)
		}
	}
	if s.Reveal() != "hunter2" {
		t.Error("nor does it reveal")
	}
}

func TestAnErrorKeepsItsKindAndItsCause(t *testing.T) {
	cause := errors.New("password wrong at 10.0.0.1")
	err := fmt.Errorf("ops: %w", Wrap(Unavailable, cause, "The store is away."))
	if KindOf(err) != Unavailable || !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
	var e *Error
	if !errors.As(err, &e) || strings.Contains(e.Msg, "password") {
		t.Error("the cause is in the text for users")
	}
	if KindOf(cause) != Internal || KindOf(nil) != Internal {
		t.Error("an error without a kind has one")
	}
	if e := Errorf(Invalid, "bad: %w", cause); !errors.Is(e, cause) || e.Error() != "bad: password wrong at 10.0.0.1" && !strings.HasPrefix(e.Error(), "bad: ") {
		t.Errorf("got %v", e)
	}
}
