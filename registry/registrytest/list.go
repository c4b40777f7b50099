package registrytest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"glimpse/registry"
	"glimpse/registry/image"
)

func testList(t *testing.T, open Open) {
	t.Run("visibility", func(t *testing.T) { testVisibility(t, open(t, long)) })
	r := open(t, long)
	fill(t, r)
	for name, test := range map[string]func(t *testing.T, r registry.Registry){
		"filters":                        testFilters,
		"filters that aren't":            testBadFilters,
		"every order, page by page":      testPages,
		"default order":                  testDefaultOrder,
		"no limit is an empty page":      testNoLimit,
		"a marker that isn't to be seen": testMarker,
		"records are whole":              testWhole,
	} {
		t.Run(name, func(t *testing.T) { test(t, r) })
	}
}

// names lists a page as sorted names.
func names(t *testing.T, r registry.Registry, q registry.Query) string {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 1000
	}
	page, err := r.List(t.Context(), q)
	must(t, err)
	var all []string
	for _, m := range page {
		if m.Name != nil {
			all = append(all, *m.Name)
		} else {
			all = append(all, "-")
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// Four owners, each with an image of each visibility; p1's shared one is
// accepted by p2, pending for p3 and rejected by p4.
func testVisibility(t *testing.T, r registry.Registry) {
	ids := map[string]string{}
	for _, owner := range []string{"p1", "p2", "p3", "p4"} {
		for _, v := range []image.Visibility{image.Private, image.Public, image.Shared, image.Community} {
			m := fresh()
			m.Owner, m.Visibility, m.Name = &owner, v, ptr(owner+string(v[:2]))
			ids[*m.Name] = create(t, r, m).ID
		}
	}
	for project, status := range map[string]image.MemberStatus{"p2": image.MemberAccepted, "p3": image.MemberPending, "p4": image.MemberRejected} {
		for _, name := range []string{"p1sh", "p1pr"} { // a private image's members see nothing
			_, err := r.AddMember(t.Context(), ids[name], project, -1)
			must(t, err)
			_, err = r.SetMemberStatus(t.Context(), ids[name], project, status)
			must(t, err)
		}
	}
	const public = "p1pu p2pu p3pu p4pu"
	const communities = "p1co p2co p3co p4co"
	for _, c := range []struct {
		project, visibility string
		admin               bool
		member              image.MemberStatus
		want                string
	}{
		{project: "p1", want: public + " p1pr p1sh p1co"},
		{project: "p2", want: public + " p2pr p2sh p2co p1sh"},
		{project: "p3", want: public + " p3pr p3sh p3co"},
		{project: "p3", member: "pending", want: public + " p3pr p3sh p3co p1sh"},
		{project: "p3", member: "all", want: public + " p3pr p3sh p3co p1sh"},
		{project: "p4", member: "rejected", want: public + " p4pr p4sh p4co p1sh"},
		{project: "p4", member: "accepted", want: public + " p4pr p4sh p4co"},
		{project: "p5", want: public},
		{project: "", want: public},
		{project: "p2", visibility: "public", want: public},
		{project: "p2", visibility: "private", want: "p2pr"},
		{project: "p2", visibility: "shared", want: "p2sh p1sh"},
		{project: "p3", visibility: "shared", want: "p3sh"},
		{project: "p3", visibility: "shared", member: "all", want: "p3sh p1sh"},
		{project: "p2", visibility: "community", want: communities},
		{project: "p2", visibility: "all", want: public + " " + communities + " p2pr p2sh p1sh"},
		{project: "", visibility: "private", want: ""},
		{project: "", visibility: "shared", member: "all", want: ""},
		{project: "p1", admin: true, want: public + " p1pr p2pr p3pr p4pr p1sh p2sh p3sh p4sh p1co"},
		{admin: true, want: public + " p1pr p2pr p3pr p4pr p1sh p2sh p3sh p4sh"},
		{admin: true, visibility: "all", want: public + " " + communities + " p1pr p2pr p3pr p4pr p1sh p2sh p3sh p4sh"},
		{admin: true, visibility: "community", want: communities},
		{admin: true, visibility: "private", want: "p1pr p2pr p3pr p4pr"},
	} {
		q := registry.Query{Project: c.project, Admin: c.admin, Visibility: c.visibility, MemberStatus: c.member}
		want := strings.Fields(c.want)
		slices.Sort(want)
		if got := names(t, r, q); got != strings.Join(want, " ") {
			t.Errorf("%+v:\ngot  %s\nwant %s", c, got, strings.Join(want, " "))
		}
		testWalk(t, r, q, 3)
	}
	must(t, r.RemoveMember(t.Context(), ids["p1sh"], "p2"))
	if got := names(t, r, registry.Query{Project: "p2", Visibility: "shared"}); got != "p2sh" {
		t.Errorf("after unsharing: %s", got)
	}
	remove(t, r, ids["p2sh"])
	if got := names(t, r, registry.Query{Project: "p2", Visibility: "shared"}); got != "" {
		t.Errorf("after deletion: %s", got)
	}
}

// fill makes images named a to j for the filters and orders, with nulls and ties.
func fill(t *testing.T, r registry.Registry) {
	t.Helper()
	for i, spoil := range []func(*image.Image){
		func(m *image.Image) {
			m.Properties = map[string]string{"os": "linux", "arch": "x86"}
			m.Tags = []string{"x", "y"}
		},
		func(m *image.Image) { m.Properties = map[string]string{"os": "linux"}; m.Tags = []string{"x"} },
		func(m *image.Image) { m.Properties = map[string]string{"os": ""}; m.Tags = []string{"y"} },
		func(m *image.Image) { m.Status, m.Size, m.MinDisk, m.MinRAM = image.Active, ptr(int64(10)), 1, 512 },
		func(m *image.Image) { m.Status, m.Size, m.MinDisk, m.MinRAM = image.Active, ptr(int64(20)), 2, 1024 },
		func(m *image.Image) {
			m.Size, m.DiskFormat, m.ContainerFormat = ptr(int64(10)), ptr("qcow2"), ptr("ovf")
		},
		func(m *image.Image) { m.Checksum, m.HashAlgo, m.HashValue = ptr("c1"), ptr("sha512"), ptr("h1") },
		func(m *image.Image) { m.DiskFormat, m.ContainerFormat, m.Name = nil, nil, nil; m.Protected = true },
		func(m *image.Image) { m.Hidden = true },
		func(m *image.Image) { m.Status = image.Killed },
		func(m *image.Image) { m.Owner, m.Name = ptr("p2"), nil },
	} {
		m := fresh()
		m.Name = ptr(string(rune('a' + i)))
		spoil(&m)
		create(t, r, m)
	}
	gone := fresh()
	gone.Properties, gone.Tags = map[string]string{"os": "linux"}, []string{"x"}
	remove(t, r, create(t, r, gone).ID)
}

func testFilters(t *testing.T, r registry.Registry) {
	field := func(field string, values ...string) registry.Query {
		return registry.Query{Equals: []registry.Equal{{Field: field, Values: values}}}
	}
	property := func(name string, values ...string) registry.Query {
		return registry.Query{Equals: []registry.Equal{{Field: name, Property: true, Values: values}}}
	}
	span := func(field string, least, most *int64) registry.Query {
		return registry.Query{Ranges: []registry.Range{{Field: field, Min: least, Max: most}}}
	}
	at := func(field, op string, t time.Time) registry.Query {
		return registry.Query{Times: []registry.TimeFilter{{Field: field, Op: op, At: t}}}
	}
	const all = "- - a b c d e f g"
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	for _, c := range []struct {
		q    registry.Query
		want string
	}{
		{registry.Query{}, all},
		{field("name", "a"), "a"},
		{field("name", "a", "c", "nope"), "a c"},
		{field("name", "' OR 1=1 --", `\`), ""},
		{field("name", "🚀"), ""},
		{field("name"), ""},
		{field("status", "active"), "d e"},
		{field("status", "killed"), ""},
		{field("status", "bogus"), ""},
		{field("disk_format", "qcow2"), "f"},
		{field("container_format", "ovf", "bare"), "- a b c d e f g"},
		{field("checksum", "c1"), "g"},
		{field("os_hash_value", "h1"), "g"},
		{field("os_hash_algo", "sha512"), "g"},
		{field("size", "10"), "d f"},
		{field("min_disk", "2"), "e"},
		{field("min_ram", "512", "1024"), "d e"},
		{property("os", "linux"), "a b"},
		{property("os", ""), "c"},
		{property("os", "linux", ""), "a b c"},
		{property("name", "a"), ""},
		{property("size", "not a number"), ""},
		{registry.Query{Equals: append(property("os", "linux").Equals, property("arch", "x86").Equals...)}, "a"},
		{span("size", ptr(int64(10)), nil), "d e f"},
		{span("size", ptr(int64(11)), ptr(int64(20))), "e"},
		{span("size", nil, ptr(int64(10))), "d f"},
		{span("min_disk", ptr(int64(1)), ptr(int64(1))), "d"},
		{span("min_ram", ptr(int64(600)), nil), "e"},
		{registry.Query{Tags: []string{"x"}}, "a b"},
		{registry.Query{Tags: []string{"x", "y"}}, "a"},
		{registry.Query{Protected: ptr(true)}, "-"},
		{registry.Query{Protected: ptr(false)}, "- a b c d e f g"},
		{registry.Query{Hidden: true}, "i"},
		{registry.Query{Owner: ptr("p2")}, "-"},
		{registry.Query{Owner: ptr("p3")}, ""},
		{at("created_at", "gt", past), all},
		{at("created_at", "lt", past), ""},
		{at("updated_at", "lte", future), all},
		{at("updated_at", "gte", future), ""},
		{at("created_at", "neq", past), all},
		{at("created_at", "eq", past), ""},
	} {
		c.q.Admin = true
		if got := names(t, r, c.q); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.q, got, c.want)
		}
	}
	first, err := r.List(t.Context(), registry.Query{Admin: true, Limit: 1, Equals: field("name", "a").Equals})
	must(t, err)
	for op, want := range map[string]int{"eq": 1, "gte": 1, "lte": 1, "gt": 0, "lt": 0, "neq": 0} {
		q := at("created_at", op, first[0].CreatedAt.In(time.FixedZone("", 3600)))
		q.Admin, q.Limit, q.Equals = true, 9, field("id", first[0].ID).Equals
		if page, err := r.List(t.Context(), q); err != nil || len(page) != want {
			t.Errorf("created_at %s: %d images, %v", op, len(page), err)
		}
	}
}

func testBadFilters(t *testing.T, r registry.Registry) {
	for _, q := range []registry.Query{
		{Equals: []registry.Equal{{Field: "nope", Values: []string{"x"}}}},
		{Equals: []registry.Equal{{Field: "size", Values: []string{"x"}}}},
		{Ranges: []registry.Range{{Field: "name"}}},
		{Times: []registry.TimeFilter{{Field: "name", Op: "gt"}}},
		{Times: []registry.TimeFilter{{Field: "created_at", Op: "about"}}},
		{Sort: []registry.Sort{{Key: "id; DROP TABLE images"}}},
	} {
		q.Admin, q.Limit = true, 1
		_, err := r.List(t.Context(), q)
		if image.KindOf(err) != image.Invalid {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

func testPages(t *testing.T, r registry.Registry) {
	keys := []string{"name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at"}
	for _, a := range keys {
		for _, desc := range []bool{false, true} {
			testWalk(t, r, registry.Query{Admin: true, Sort: []registry.Sort{{Key: a, Desc: desc}}}, 2)
			testWalk(t, r, registry.Query{Project: "p1", Sort: []registry.Sort{{Key: a, Desc: desc}}}, 1)
			for _, b := range []string{"size", "name", "id"} {
				if a != b {
					testWalk(t, r, registry.Query{Admin: true, Sort: []registry.Sort{{Key: a, Desc: desc}, {Key: b, Desc: !desc}}}, 1)
				}
			}
		}
	}
}

// testWalk pages through a list: the pages together must be the list in one
// piece, and that must be in order.
func testWalk(t *testing.T, r registry.Registry, q registry.Query, step int) {
	t.Helper()
	q.Limit = 1000
	whole, err := r.List(t.Context(), q)
	must(t, err)
	for i := 1; i < len(whole); i++ {
		if !inOrder(q.Keys(), whole[i-1], whole[i]) {
			t.Errorf("sort %+v: out of order at %d", q.Sort, i)
		}
	}
	var walked []string
	for q.Limit = step; ; {
		page, err := r.List(t.Context(), q)
		must(t, err)
		for _, m := range page {
			walked = append(walked, m.ID)
		}
		if len(page) < step || len(walked) > len(whole) {
			break
		}
		q.Marker = page[len(page)-1].ID
	}
	if !slices.EqualFunc(whole, walked, func(m image.Image, id string) bool { return m.ID == id }) {
		t.Errorf("sort %+v: %d images in pages, %d in one piece, or another order", q.Sort, len(walked), len(whole))
	}
}

// inOrder compares the keys as texts of equal width; the least text is NULL's.
func inOrder(keys []registry.Sort, a, b image.Image) bool {
	for _, key := range keys {
		switch c := strings.Compare(keyText(key.Key, a), keyText(key.Key, b)); {
		case c == 0:
			continue
		case key.Desc:
			return c > 0
		default:
			return c < 0
		}
	}
	return false
}

func keyText(key string, m image.Image) string {
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return "=" + *s
	}
	switch key {
	case "name":
		return text(m.Name)
	case "status":
		return string(m.Status)
	case "container_format":
		return text(m.ContainerFormat)
	case "disk_format":
		return text(m.DiskFormat)
	case "created_at":
		return m.CreatedAt.Format(time.RFC3339)
	case "updated_at":
		return m.UpdatedAt.Format(time.RFC3339)
	case "id":
		return m.ID
	}
	if m.Size == nil {
		return ""
	}
	return fmt.Sprintf("%20d", *m.Size)
}

func testDefaultOrder(t *testing.T, r registry.Registry) {
	want, err := r.List(t.Context(), registry.Query{Admin: true, Limit: 99, Sort: []registry.Sort{{Key: "created_at", Desc: true}, {Key: "id", Desc: true}}})
	must(t, err)
	got, err := r.List(t.Context(), registry.Query{Admin: true, Limit: 99})
	must(t, err)
	if !slices.EqualFunc(got, want, func(a, b image.Image) bool { return a.ID == b.ID }) {
		t.Error("the default is not the latest first")
	}
}

func testNoLimit(t *testing.T, r registry.Registry) {
	page, err := r.List(t.Context(), registry.Query{Admin: true})
	if err != nil || page == nil || len(page) != 0 {
		t.Error(page, err)
	}
}

func testMarker(t *testing.T, r registry.Registry) {
	secret, public, hidden := fresh(), fresh(), fresh()
	secret.Owner, secret.Visibility = ptr("p9"), image.Private
	hidden.Owner, hidden.Hidden, hidden.Visibility = ptr("p8"), true, image.Private
	public.Owner, public.Visibility = ptr("p9"), image.Public
	for _, m := range []image.Image{secret, public, hidden} {
		create(t, r, m)
		t.Cleanup(func() {
			_, _ = r.Update(context.WithoutCancel(t.Context()), m.ID, func(m *image.Image) error { m.Status = image.Deleted; return nil })
		})
	}
	list := func(project, marker string) error {
		_, err := r.List(t.Context(), registry.Query{Project: project, Marker: marker, Limit: 1})
		return err
	}
	wantKind(t, list("p8", "nope"), image.Invalid)
	wantKind(t, list("p8", secret.ID), image.Invalid)
	must(t, list("p9", secret.ID))
	must(t, list("p8", public.ID))
	must(t, list("p8", hidden.ID)) // hidden from lists only
	gone := create(t, r, fresh())
	remove(t, r, gone.ID)
	wantKind(t, list("p1", gone.ID), image.Invalid)
	shared := fresh()
	shared.Owner = ptr("p9")
	create(t, r, shared)
	wantKind(t, list("p8", shared.ID), image.Invalid)
	_, err := r.AddMember(t.Context(), shared.ID, "p8", -1)
	must(t, err)
	must(t, list("p8", shared.ID)) // pending is enough to see it
	remove(t, r, shared.ID)
}

func testWhole(t *testing.T, r registry.Registry) {
	page, err := r.List(t.Context(), registry.Query{Admin: true, Limit: 99})
	must(t, err)
	for _, m := range page {
		want := get(t, r, m.ID)
		if fmt.Sprintf("%+v", m) != fmt.Sprintf("%+v", want) && !sameShown(m, want) {
			t.Errorf("list %+v, get %+v", m, want)
		}
	}
}

func sameShown(a, b image.Image) bool {
	return a.ID == b.ID && a.Version == b.Version && fmt.Sprint(a.Properties, a.Tags, a.Locations, a.Status) == fmt.Sprint(b.Properties, b.Tags, b.Locations, b.Status)
}
