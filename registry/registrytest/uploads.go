package registrytest

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"glimpse/registry"
	"glimpse/registry/image"
)

var uploadTests = map[string]func(t *testing.T, r registry.Registry){
	"an upload's life":                               testUpload,
	"one of six begins":                              testBeginRush,
	"an image that can't begin":                      testBeginRefused,
	"a failure, then another attempt":                testFail,
	"a failure that is told twice":                   testFailAgain,
	"an image without formats doesn't become active": testNoFormat,
	"deleted meanwhile":                              testDeletedMeanwhile,
	"a done attempt whose image is deleted":          testDoneDeleted,
	"a done attempt whose image waits for deletion":  testDonePending,
	"a locator that a location names":                testNamed,
	"a URL that others' images name":                 testNamedByOthers,
	"an attempt that wrote nothing":                  testWroteNothing,
	"a token that never was":                         testNoToken,
	"a live attempt is left alone":                   testReapLive,
	"a copy's life":                                  testCopy,
	"a copy that is too late":                        testLateCopy,
	"what only another node can clean up":            testDoneBeyondReach,
	"a copy that is taken off the record":            testRetire,
}

func begin(t *testing.T, r registry.Registry, id string) registry.Upload {
	t.Helper()
	up, err := r.Begin(t.Context(), id, "main", "n1")
	must(t, err)
	return up
}

func activation(url string) registry.Activation {
	return registry.Activation{
		Size: 5, VirtualSize: ptr(int64(9)), Checksum: "c", HashAlgo: "sha512", HashValue: "h", URL: image.Secret(url),
		Metadata: map[string]string{"store": "main"}, Validator: "etag", Node: "n1", Key: "c:" + url, Segments: [][]byte{{1, 0}, {255}},
	}
}

func testUpload(t *testing.T, r registry.Registry) {
	m := create(t, r, fresh())
	up := begin(t, r, m.ID)
	if up.ImageID != m.ID || len(up.Token) != 32 || up.Store != "main" || up.Node != "n1" || !up.First || up.State != registry.UploadLive || time.Until(up.LeaseUntil) < time.Minute {
		t.Errorf("got %#v", up)
	}
	if got := get(t, r, m.ID); got.Status != image.Saving || got.Version != m.Version+1 {
		t.Errorf("got %s, version %d", got.Status, got.Version)
	}
	must(t, r.Note(t.Context(), up.Token, "file:///x"))
	if ok, err := r.Attempted(t.Context(), up.Token); err != nil || !ok {
		t.Errorf("attempted: %v %v", ok, err)
	}
	must(t, r.Renew(t.Context(), up.Token))
	if node, err := r.Uploader(t.Context(), m.ID); err != nil || node != "" {
		t.Errorf("before it is done it was uploaded by %q, %v", node, err)
	}
	got, err := r.Activate(t.Context(), up.Token, activation("file:///x"))
	must(t, err)
	if node, err := r.Uploader(t.Context(), m.ID); err != nil || node != "n1" {
		t.Errorf("uploaded by %q, %v", node, err)
	}
	if got.Status != image.Active || *got.Size != 5 || *got.VirtualSize != 9 || *got.Checksum != "c" || *got.HashAlgo != "sha512" || *got.HashValue != "h" ||
		len(got.Locations) != 1 || got.Locations[0].URL != "file:///x" || got.Locations[0].Status != "active" || got.Locations[0].Metadata["store"] != "main" {
		t.Errorf("got %#v", got)
	}
	if d := cmp.Diff(got, get(t, r, m.ID)); d != "" {
		t.Error(d)
	}
	checkBytes(t, r, got.Locations[0].ID)
	wantKind(t, r.Renew(t.Context(), up.Token), image.Gone)
	wantKind(t, r.Note(t.Context(), up.Token, "file:///y"), image.Gone)
	_, err = r.Activate(t.Context(), up.Token, activation("file:///y"))
	wantKind(t, err, image.Gone)
	must(t, r.Fail(t.Context(), up.Token, false))
	if got := get(t, r, m.ID).Status; got != image.Active {
		t.Errorf("a late failure made it %s", got)
	}
}

// checkBytes looks at what Activate filed beside the image.
func checkBytes(t *testing.T, r registry.Registry, location int64) {
	t.Helper()
	c, ok, err := r.Content(t.Context(), location)
	if want := (registry.Content{LocationID: location, Algo: "sha512", Hash: "h", Size: 5, Key: "c:file:///x"}); err != nil || !ok || c != want {
		t.Errorf("content %v %v %v", c, ok, err)
	}
	p, ok, err := r.Pinned(t.Context(), location)
	if want := (registry.Pin{LocationID: location, Size: 5, Validator: "etag"}); err != nil || !ok || p != want {
		t.Errorf("pin %v %v %v", p, ok, err)
	}
	for i, want := range [][]byte{{1, 0}, {255}} {
		b, ok, err := r.Segment(t.Context(), "c:file:///x", i)
		if err != nil || !ok || !bytes.Equal(b, want) {
			t.Errorf("segment %d: %v %v %v", i, b, ok, err)
		}
	}
}

func testBeginRush(t *testing.T, r registry.Registry) {
	m := create(t, r, fresh())
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			switch _, err := r.Begin(t.Context(), m.ID, "main", "n1"); {
			case err == nil:
				won.Add(1)
			case image.KindOf(err) != image.Conflict:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d began", won.Load())
	}
}

func testBeginRefused(t *testing.T, r registry.Registry) {
	for _, status := range []image.Status{image.Saving, image.Active, image.Deactivated, image.Importing, image.Uploading, image.Killed} {
		m := fresh()
		m.Status = status
		create(t, r, m)
		_, err := r.Begin(t.Context(), m.ID, "main", "n1")
		wantKind(t, err, image.Conflict)
		if got := get(t, r, m.ID).Status; got != status {
			t.Errorf("%s became %s", status, got)
		}
	}
	_, err := r.Begin(t.Context(), uuid.NewString(), "main", "n1")
	wantKind(t, err, image.NotFound)
	m := create(t, r, fresh())
	remove(t, r, m.ID)
	_, err = r.Begin(t.Context(), m.ID, "main", "n1")
	wantKind(t, err, image.NotFound)
}

func testFail(t *testing.T, r registry.Registry) {
	m := create(t, r, fresh())
	one := begin(t, r, m.ID)
	must(t, r.Note(t.Context(), one.Token, "file:///one"))
	must(t, r.Fail(t.Context(), one.Token, false))
	if got := get(t, r, m.ID).Status; got != image.Queued {
		t.Fatalf("got %s", got)
	}
	wantLapsed(t, r, one.Token, true)
	two := begin(t, r, m.ID)
	if two.First || two.Token == one.Token {
		t.Errorf("got %#v", two)
	}
	// The late one can neither win nor spoil the other.
	_, err := r.Activate(t.Context(), one.Token, activation("file:///one"))
	wantKind(t, err, image.Gone)
	must(t, r.Fail(t.Context(), one.Token, false))
	if got := get(t, r, m.ID).Status; got != image.Saving {
		t.Fatalf("got %s", got)
	}
	ok, err := r.Reap(t.Context(), one.Token)
	if err != nil || !ok {
		t.Errorf("reap: %v %v", ok, err)
	}
	must(t, r.Fail(t.Context(), one.Token, true))
	wantLapsed(t, r, one.Token, false)
	_, err = r.Activate(t.Context(), two.Token, activation("file:///two"))
	must(t, err)
}

func testFailAgain(t *testing.T, r registry.Registry) {
	m := create(t, r, fresh())
	up := begin(t, r, m.ID)
	for _, clean := range []bool{true, true, false} {
		must(t, r.Fail(t.Context(), up.Token, clean))
	}
	wantLapsed(t, r, up.Token, false)
	ok, err := r.Reap(t.Context(), up.Token)
	if err != nil || ok {
		t.Errorf("reap: %v %v", ok, err)
	}
}

func testNoFormat(t *testing.T, r registry.Registry) {
	m := fresh()
	m.DiskFormat = nil
	create(t, r, m)
	up := begin(t, r, m.ID)
	_, err := r.Activate(t.Context(), up.Token, activation("file:///f"))
	wantKind(t, err, image.Invalid)
	if got := get(t, r, m.ID); got.Status != image.Saving || len(got.Locations) != 0 {
		t.Errorf("got %#v", got)
	}
}

func testDeletedMeanwhile(t *testing.T, r registry.Registry) {
	m := create(t, r, fresh())
	up := begin(t, r, m.ID)
	must(t, r.Note(t.Context(), up.Token, "file:///d"))
	remove(t, r, m.ID)
	wantKind(t, r.Renew(t.Context(), up.Token), image.Gone)
	wantKind(t, r.Note(t.Context(), up.Token, "file:///e"), image.Gone)
	_, err := r.Activate(t.Context(), up.Token, activation("file:///d"))
	wantKind(t, err, image.Gone)
	must(t, r.Fail(t.Context(), up.Token, false))
	ok, err := r.Reap(t.Context(), up.Token)
	if err != nil || !ok {
		t.Errorf("reap: %v %v", ok, err)
	}
}

func testDoneDeleted(t *testing.T, r registry.Registry) {
	m := create(t, r, fresh())
	up := begin(t, r, m.ID)
	must(t, r.Note(t.Context(), up.Token, "file:///dd"))
	_, err := r.Activate(t.Context(), up.Token, activation("file:///dd"))
	must(t, err)
	wantLapsed(t, r, up.Token, false)
	must(t, r.Fail(t.Context(), up.Token, true)) // its image lives: nothing is clean yet
	ok, err := r.Reap(t.Context(), up.Token)
	if err != nil || ok {
		t.Errorf("reap of a live image's bytes: %v %v", ok, err)
	}
	remove(t, r, m.ID)
	wantLapsed(t, r, up.Token, true)
	ok, err = r.Reap(t.Context(), up.Token)
	if err != nil || !ok {
		t.Errorf("reap: %v %v", ok, err)
	}
	must(t, r.Fail(t.Context(), up.Token, false))
	wantLapsed(t, r, up.Token, true)
	must(t, r.Fail(t.Context(), up.Token, true))
	wantLapsed(t, r, up.Token, false)
}

func testDonePending(t *testing.T, r registry.Registry) {
	m := create(t, r, fresh())
	up := begin(t, r, m.ID)
	must(t, r.Note(t.Context(), up.Token, "file:///dp"))
	_, err := r.Activate(t.Context(), up.Token, activation("file:///dp"))
	must(t, err)
	update(t, r, m.ID, func(m *image.Image) { m.Status = image.PendingDelete })
	wantLapsed(t, r, up.Token, false)
	ok, err := r.Reap(t.Context(), up.Token)
	if err != nil || ok {
		t.Errorf("reap: %v %v", ok, err)
	}
}

func testNamed(t *testing.T, r registry.Registry) {
	other := fresh()
	other.Status = image.Active
	other.Locations = []image.Location{{URL: "file:///named", Status: "active"}}
	create(t, r, other)
	m := create(t, r, fresh())
	up := begin(t, r, m.ID)
	must(t, r.Note(t.Context(), up.Token, "file:///named"))
	must(t, r.Fail(t.Context(), up.Token, false))
	ok, err := r.Reap(t.Context(), up.Token)
	if err != nil || ok {
		t.Errorf("reap of another image's bytes: %v %v", ok, err)
	}
	remove(t, r, other.ID)
	ok, err = r.Reap(t.Context(), up.Token)
	if err != nil || !ok {
		t.Errorf("reap: %v %v", ok, err)
	}
}

func testWroteNothing(t *testing.T, r registry.Registry) {
	m := create(t, r, fresh())
	up := begin(t, r, m.ID)
	must(t, r.Fail(t.Context(), up.Token, false))
	ok, err := r.Reap(t.Context(), up.Token)
	if err != nil || ok {
		t.Errorf("reap: %v %v", ok, err)
	}
	wantLapsed(t, r, up.Token, false)
}

func testNoToken(t *testing.T, r registry.Registry) {
	token := "00000000000000000000000000000000"
	wantKind(t, r.Renew(t.Context(), token), image.Gone)
	wantKind(t, r.Note(t.Context(), token, "file:///n"), image.Gone)
	_, err := r.Activate(t.Context(), token, activation("file:///n"))
	wantKind(t, err, image.Gone)
	must(t, r.Fail(t.Context(), token, true))
	ok, err := r.Reap(t.Context(), token)
	if err != nil || ok {
		t.Errorf("reap: %v %v", ok, err)
	}
	if ok, err := r.Attempted(t.Context(), token); err != nil || ok {
		t.Errorf("attempted: %v %v", ok, err)
	}
}

// adds gives an image a place, as a copy does.
func adds(url string) func(*image.Image) error {
	return func(m *image.Image) error {
		m.Locations = append(m.Locations, image.Location{URL: image.Secret(url), Status: string(image.Active)})
		return nil
	}
}

func activeImage(t *testing.T, r registry.Registry, url string) image.Image {
	t.Helper()
	m := fresh()
	m.Status = image.Active
	m.Locations = []image.Location{{URL: image.Secret(url), Status: string(image.Active)}}
	return create(t, r, m)
}

func testCopy(t *testing.T, r registry.Registry) {
	_, err := r.BeginCopy(t.Context(), create(t, r, fresh()).ID, "main", "n1")
	wantKind(t, err, image.Conflict)
	m := activeImage(t, r, "file:///first")
	up, err := r.BeginCopy(t.Context(), m.ID, "other", "n1")
	must(t, err)
	if up.ImageID != m.ID || up.Store != "other" || up.State != registry.UploadLive {
		t.Errorf("got %#v", up)
	}
	if got := get(t, r, m.ID); got.Status != image.Active || got.Version != m.Version {
		t.Errorf("got %s, version %d", got.Status, got.Version)
	}
	must(t, r.Note(t.Context(), up.Token, "file:///copy"))
	_, err = r.Adopt(t.Context(), up.Token, "", func(*image.Image) error { return image.Errorf(image.Conflict, "no") })
	wantKind(t, err, image.Conflict)
	got, err := r.Adopt(t.Context(), up.Token, "", adds("file:///copy"))
	must(t, err)
	if len(got.Locations) != 2 || got.Locations[1].URL != "file:///copy" {
		t.Errorf("got %#v", got.Locations)
	}
	_, err = r.Adopt(t.Context(), up.Token, "", adds("file:///again"))
	wantKind(t, err, image.Gone)
	must(t, r.Fail(t.Context(), up.Token, false)) // it is done
	wantLapsed(t, r, up.Token, false)
	remove(t, r, m.ID)
	wantLapsed(t, r, up.Token, true)
}

// What a deleted image had in another node's own folder is that node's matter.
func testDoneBeyondReach(t *testing.T, r registry.Registry) {
	m := create(t, r, fresh())
	up := begin(t, r, m.ID) // by n1, into main
	must(t, r.Note(t.Context(), up.Token, "file:///doneelsewhere"))
	got, err := r.Activate(t.Context(), up.Token, activation("file:///doneelsewhere"))
	must(t, err)
	if node, err := r.Holder(t.Context(), got.Locations[0].ID); err != nil || node != "n1" {
		t.Errorf("holder: %q %v", node, err)
	}
	remove(t, r, m.ID)
	wantListed(t, r, up.Token, registry.Reach{Node: "n1", Own: []string{"main", "b"}}, true)
	wantListed(t, r, up.Token, registry.Reach{Node: "n2", Own: []string{"b"}}, true)
	wantListed(t, r, up.Token, registry.Reach{Node: "n1", Stores: []string{"b", "main"}}, true)
	wantListed(t, r, up.Token, registry.Reach{Node: "n1", Stores: []string{"b"}}, false)
	wantListed(t, r, up.Token, registry.Reach{Node: "n1", Stores: []string{}}, false)
	wantListed(t, r, up.Token, registry.Reach{Node: "n2", Own: []string{"b", "main"}}, false)
}

// What is noted with a copy, and what becomes of one that is taken off the record.
func testRetire(t *testing.T, r registry.Registry) {
	m := activeImage(t, r, "file:///retired1")
	up, err := r.BeginCopy(t.Context(), m.ID, "other", "n1")
	must(t, err)
	must(t, r.Note(t.Context(), up.Token, "file:///retired2"))
	got, err := r.Adopt(t.Context(), up.Token, "n1", adds("file:///retired2"))
	must(t, err)
	for i, want := range []string{"", "n1"} {
		if node, err := r.Holder(t.Context(), got.Locations[i].ID); err != nil || node != want {
			t.Errorf("holder of place %d: %q %v", i, node, err)
		}
	}
	retire := func(id string, at image.Secret, want bool) {
		t.Helper()
		if found, err := r.Retire(t.Context(), id, at); err != nil || found != want {
			t.Errorf("retired %v %v", found, err)
		}
	}
	retire(m.ID, "file:///another", false)
	retire("no-such-image", "file:///retired2", false)
	wantLapsed(t, r, up.Token, false)
	_, err = r.Update(t.Context(), m.ID, func(m *image.Image) error { m.Locations = m.Locations[:1]; return nil })
	must(t, err)
	retire(m.ID, "file:///retired2", true)
	retire(m.ID, "file:///retired2", false)
	wantLapsed(t, r, up.Token, true)
	if ok, err := r.Reap(t.Context(), up.Token); err != nil || !ok {
		t.Errorf("reap: %v %v", ok, err)
	}
	must(t, r.Fail(t.Context(), up.Token, true))
	wantLapsed(t, r, up.Token, false)
}

func testLateCopy(t *testing.T, r registry.Registry) {
	m := activeImage(t, r, "file:///first")
	up, err := r.BeginCopy(t.Context(), m.ID, "other", "n1")
	must(t, err)
	must(t, r.Note(t.Context(), up.Token, "file:///latecopy"))
	must(t, r.Fail(t.Context(), up.Token, false))
	ok, err := r.Reap(t.Context(), up.Token)
	if err != nil || !ok {
		t.Errorf("reap: %v %v", ok, err)
	}
	_, err = r.Adopt(t.Context(), up.Token, "", adds("file:///latecopy"))
	wantKind(t, err, image.Gone)
	if got := get(t, r, m.ID); got.Status != image.Active || len(got.Locations) != 1 {
		t.Errorf("got %#v", got)
	}
}

func testReapLive(t *testing.T, r registry.Registry) {
	m := create(t, r, fresh())
	up := begin(t, r, m.ID)
	must(t, r.Note(t.Context(), up.Token, "file:///live"))
	ok, err := r.Reap(t.Context(), up.Token)
	if err != nil || ok {
		t.Errorf("reap: %v %v", ok, err)
	}
	wantLapsed(t, r, up.Token, false)
	_, err = r.Activate(t.Context(), up.Token, activation("file:///live"))
	must(t, err)
}

func lapsed(t *testing.T, r registry.Registry, token string) bool {
	t.Helper()
	all, err := r.Lapsed(t.Context(), 1000, registry.Reach{})
	must(t, err)
	return slices.ContainsFunc(all, func(up registry.Upload) bool { return up.Token == token })
}

func wantLapsed(t *testing.T, r registry.Registry, token string, want bool) {
	t.Helper()
	if lapsed(t, r, token) != want {
		t.Errorf("lapsed: %v, want %v", !want, want)
	}
}
