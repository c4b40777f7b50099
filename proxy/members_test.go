package proxy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"glimpse/registry/image"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func (n *node) members(token, method, id, project, body string) reply {
	n.t.Helper()
	path := "/v2/images/" + id + "/members"
	if project != "" {
		path += "/" + project
	}
	return n.do(token, method, path, body)
}

// share shares an image of ann's with a project.
func (n *node) share(id, project string) {
	n.t.Helper()
	if r := n.members(member, "POST", id, "", `{"member": "`+project+`"}`); r.code != 200 {
		n.t.Fatalf("%d %s", r.code, r.body)
	}
}

const (
	third   = "dan:r:member,reader"
	sharee  = "fay:q:reader"
	outside = "gus:s:member,reader"
)

// Who may do what with the shares of an image that q and r have.
func TestWhoMayDoWhatWithShares(t *testing.T) {
	n := newNode(t, nil)
	for _, c := range []struct {
		token                               string
		list                                int
		sees                                string
		add, showQ, showR, answerQ, removeQ int
	}{
		{admin, 200, "q r", 200, 200, 200, 200, 204},
		{member, 200, "q r", 200, 200, 200, 403, 204},
		{reader, 200, "q r", 403, 200, 200, 403, 403},
		{other, 200, "q", 403, 200, 404, 200, 403},
		{sharee, 200, "q", 403, 200, 404, 403, 403},
		{third, 200, "r", 403, 404, 200, 404, 404},
		{outside, 404, "", 404, 404, 404, 404, 404},
		{"eve:p:", 404, "", 404, 404, 404, 404, 404},
		{"", 401, "", 401, 401, 401, 401, 401},
	} {
		id := n.created(member, "")
		n.share(id, "q")
		n.share(id, "r")
		r := n.members(c.token, "GET", id, "", "")
		if r.code != c.list {
			t.Errorf("list by %q: %d, want %d", c.token, r.code, c.list)
		}
		var seen []string
		if r.code == 200 {
			for _, m := range r.json(t)["members"].([]any) {
				seen = append(seen, m.(map[string]any)["member_id"].(string))
			}
		}
		if got := strings.Join(seen, " "); got != c.sees {
			t.Errorf("%q sees %q, want %q", c.token, got, c.sees)
		}
		for _, x := range []struct {
			method, project, body string
			want                  int
		}{
			{"POST", "", `{"member": "more"}`, c.add},
			{"GET", "q", "", c.showQ},
			{"GET", "r", "", c.showR},
			{"PUT", "q", `{"status": "accepted"}`, c.answerQ},
			{"DELETE", "q", "", c.removeQ},
		} {
			if r := n.members(c.token, x.method, id, x.project, x.body); r.code != x.want {
				t.Errorf("%s %s by %q: %d %s, want %d", x.method, x.project, c.token, r.code, r.body, x.want)
			}
		}
	}
}

// A share shows the image until it ends, whatever the other project says to it.
func TestAShareShowsTheImageUntilItEnds(t *testing.T) {
	n := newNode(t, nil)
	id := n.active(member, "", []byte("x"))
	sees := func(when string, show, file int) {
		t.Helper()
		for path, want := range map[string]int{"": show, "/file": file} {
			if r := n.get(other, "/v2/images/"+id+path); r.code != want {
				t.Errorf("%s: GET %s: %d, want %d", when, path, r.code, want)
			}
		}
	}
	sees("at first", 404, 404)
	n.share(id, "q")
	sees("pending", 200, 200)
	for _, status := range []string{"accepted", "rejected", "pending"} {
		if r := n.members(other, "PUT", id, "q", `{"status": "`+status+`"}`); r.code != 200 || r.json(t)["status"] != status {
			t.Errorf("%s: %d %s", status, r.code, r.body)
		}
		sees(status, 200, 200)
		for _, filter := range []string{"pending", "accepted", "rejected", "all"} {
			want := 0
			if filter == status || filter == "all" {
				want = 1
			}
			if got := len(ids(t, n.get(other, "/v2/images?member_status="+filter))); got != want {
				t.Errorf("%s: %d images with member_status %s, want %d", status, got, filter, want)
			}
		}
	}
	if r := n.patch(member, id, `[{"op": "replace", "path": "/visibility", "value": "private"}]`); r.code != 200 {
		t.Fatal(string(r.body))
	}
	sees("private", 404, 404)
	if r := n.patch(member, id, `[{"op": "replace", "path": "/visibility", "value": "shared"}]`); r.code != 200 {
		t.Fatal(string(r.body))
	}
	sees("shared again", 200, 200)
	if r := n.members(member, "DELETE", id, "q", ""); r.code != 204 || len(r.body) > 0 {
		t.Fatalf("%d %s", r.code, r.body)
	}
	sees("removed", 404, 404)
}

func TestOnlySharedImagesHaveMembers(t *testing.T) {
	n := newNode(t, nil)
	for _, c := range []struct {
		visibility, token string
		want, show        int
	}{
		{"private", member, 403, 404},
		{"private", admin, 403, 404},
		{"private", other, 404, 404},
		{"community", member, 403, 404},
		{"community", other, 403, 404},
		{"public", other, 403, 404},
	} {
		id := n.created(admin, `, "owner": "p", "visibility": "`+c.visibility+`"`)
		_, err := n.reg.AddMember(t.Context(), id, "q", -1) // from when it was shared
		must(t, err)
		for _, x := range []struct {
			method, project, body string
			want                  int
		}{
			{"GET", "", "", c.want},
			{"POST", "", `{"member": "r"}`, c.want},
			{"GET", "q", "", c.show},
			{"PUT", "q", `{"status": "accepted"}`, c.want},
			{"DELETE", "q", "", c.want},
		} {
			if r := n.members(c.token, x.method, id, x.project, x.body); r.code != x.want {
				t.Errorf("%s %s of a %s image by %s: %d, want %d", x.method, x.project, c.visibility, c.token, r.code, x.want)
			}
		}
	}
}

func TestWhatIsNoShare(t *testing.T) {
	n := newNode(t, func(c *Config) { c.Limits.Members = 2 })
	id := n.created(member, "")
	n.share(id, "q")
	for _, c := range []struct {
		token, method, project, body string
		want                         int
	}{
		{member, "POST", "", "", 400},
		{member, "POST", "", "{", 400},
		{member, "POST", "", "[]", 400},
		{member, "POST", "", "{}", 400},
		{member, "POST", "", `{"member": ""}`, 400},
		{member, "POST", "", `{"member": null}`, 400},
		{member, "POST", "", `{"member": 1}`, 400},
		{member, "POST", "", `{"member": "a", "member": "b"}`, 400},
		{member, "POST", "", `{"member": "` + strings.Repeat("m", 256) + `"}`, 400},
		{member, "POST", "", `{"member": "` + strings.Repeat("m", 1<<20) + `"}`, 413},
		{member, "POST", "", `{"member": "q"}`, 409},
		{member, "GET", "", "a body", 400},
		{member, "GET", "q", "a body", 400},
		{member, "DELETE", "q", "a body", 400},
		{member, "GET", "%ff", "", 404},
		{member, "GET", "nope", "", 404},
		{member, "DELETE", "nope", "", 404},
		{admin, "PUT", "nope", `{"status": "accepted"}`, 404},
		{other, "PUT", "q", "", 400},
		{other, "PUT", "q", "{}", 400},
		{other, "PUT", "q", `{"status": "maybe"}`, 400},
		{other, "PUT", "q", `{"status": null}`, 400},
		{other, "PUT", "q", `{"status": ["accepted"]}`, 400},
		{other, "PUT", "q", `{"status": "` + strings.Repeat("m", 1<<20) + `"}`, 413},
		{member, "PUT", "q", `{"status": "maybe"}`, 403}, // whatever it says
		{other, "PUT", "q", `{"status": "accepted", "member": "x"}`, 200},
		{member, "POST", "", `{"member": "r", "colour": "red"}`, 200},
		{member, "POST", "", `{"member": "s"}`, 413}, // a third
		{member, "POST", "", `{"member": "q"}`, 413},
		{member, "PATCH", "q", `{}`, 405},
		{member, "POST", "q", `{}`, 405},
		{member, "PUT", "", `{}`, 405},
	} {
		r := n.members(c.token, c.method, id, c.project, c.body)
		if r.code != c.want {
			t.Errorf("%s %s %.60s by %s: %d %.200s, want %d", c.method, c.project, c.body, c.token, r.code, r.body, c.want)
		}
		if r.code == 404 && !strings.Contains(string(r.body), "not found in the member list") {
			t.Errorf("%s: %s", c.project, r.body)
		}
	}
	for _, id := range []string{"nope", "5f2e4a8c-0000-4000-8000-00000000dead"} {
		if r := n.members(member, "POST", id, "", `{"member": "q"}`); r.code != 404 {
			t.Errorf("%s: %d", id, r.code)
		}
	}
}

// Each call asks the rule of its name, and a share that may not be seen isn't
// there.
func TestTheRulesOfShares(t *testing.T) {
	for rule, want := range map[string][5]int{ // POST, GET of all, GET, PUT, DELETE
		"":              {200, 200, 200, 200, 204},
		"add_member":    {403, 200, 200, 200, 204},
		"get_members":   {200, 403, 200, 200, 204},
		"get_member":    {200, 200, 404, 403, 403},
		"modify_member": {200, 200, 200, 403, 204},
		"delete_member": {200, 200, 200, 200, 403},
	} {
		n := newNode(t, func(c *Config) { c.Policy = rules(t, map[string]string{rule: "!"}) })
		id := n.created(member, "")
		_, err := n.reg.AddMember(t.Context(), id, "q", -1)
		must(t, err)
		all := n.members(admin, "GET", id, "", "")
		if rule == "get_member" && len(all.json(t)["members"].([]any)) != 0 {
			t.Errorf("%s: a list shows what a call of its own would not: %s", rule, all.body)
		}
		got := [5]int{
			n.members(admin, "POST", id, "", `{"member": "r"}`).code, all.code, n.members(admin, "GET", id, "q", "").code,
			n.members(admin, "PUT", id, "q", `{"status": "accepted"}`).code, n.members(admin, "DELETE", id, "q", "").code,
		}
		if got != want {
			t.Errorf("without %s: %v, want %v", rule, got, want)
		}
	}
}

// The schemas are fetched by clients that then refuse what does not fit.
func TestMembersFitTheirSchemas(t *testing.T) {
	n := newNode(t, nil)
	id := n.created(member, "")
	made := n.members(member, "POST", id, "", `{"member": "q"}`)
	for _, c := range []struct{ schema, body string }{
		{"member", string(made.body)},
		{"member", string(n.members(other, "PUT", id, "q", `{"status": "rejected"}`).body)},
		{"member", string(n.members(other, "GET", id, "q", "").body)},
		{"members", string(n.members(member, "GET", id, "", "").body)},
	} {
		schema := n.get(member, "/v2/schemas/"+c.schema).json(t)
		delete(schema, "links")
		k := jsonschema.NewCompiler()
		k.DefaultDraft(jsonschema.Draft4)
		must(t, k.AddResource(c.schema+".json", map[string]any(schema)))
		s, err := k.Compile(c.schema + ".json")
		must(t, err)
		v := reply{body: []byte(c.body)}.json(t)
		if err := s.Validate(map[string]any(v)); err != nil {
			t.Errorf("%s: %v", c.body, err)
		}
		if v["schema"] != "/v2/schemas/"+c.schema {
			t.Errorf("schema %v", v["schema"])
		}
	}
	v := made.json(t)
	created, _ := v["created_at"].(string)
	want := fmt.Sprintf(`{"created_at":%q,"image_id":%q,"member_id":"q","schema":"/v2/schemas/member","status":"pending","updated_at":%[1]q}`, created, id)
	if len(created) != len("2006-01-02T15:04:05Z") || string(made.body) != want {
		t.Errorf("%s, want %s", made.body, want)
	}
}

// sharing notes of which images the stores were told who may read them.
type sharing struct {
	Ops
	told []string
}

func (s *sharing) Share(ctx context.Context, m image.Image) {
	s.told = append(s.told, m.ID)
	s.Ops.Share(ctx, m)
}

func TestTheStoresAreToldOfShares(t *testing.T) {
	s := &sharing{}
	n := newNode(t, func(c *Config) { s.Ops, c.Ops = c.Ops, s })
	id := n.created(member, "")
	n.share(id, "q")
	n.members(member, "POST", id, "", `{"member": "q"}`) // a second time: nothing changes
	n.members(other, "PUT", id, "q", `{"status": "accepted"}`)
	if want := []string{id}; !slices.Equal(s.told, want) {
		t.Errorf("shared: told of %v", s.told)
	}
	n.members(member, "DELETE", id, "q", "")
	if want := []string{id, id}; !slices.Equal(s.told, want) {
		t.Errorf("removed: told of %v", s.told)
	}
}
