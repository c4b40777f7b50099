package systest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"glimpse/cmd/testenv"
)

// errand is a request by somebody; ID stands for the id of the image that is
// shared, PRIVATE and PUBLIC for those of two others of its owner.
type errand struct {
	who                []string
	method, path, body string
	// want is ours where it differs from Glance's on purpose, and why.
	want int
	why  string
}

// behindFront is a pipeline of Glance's that believes the headers of a front, and
// rules that are those of the newest Glance.
const behindFront = `[DEFAULT]
enforce_secure_rbac = true
[oslo_policy]
enforce_new_defaults = true
[paste_deploy]
config_file = %[1]s
`

// trusting starts a Glance whose callers are who their headers say.
func trusting(t *testing.T, dsn string, further ...string) *testenv.GlanceServer {
	t.Helper()
	paste, err := os.ReadFile("/etc/glance/glance-api-paste.ini")
	must(t, err)
	file := filepath.Join(t.TempDir(), "paste.ini")
	must(t, os.WriteFile(file, []byte(strings.Replace(string(paste), " unauthenticated-context ", " context ", 1)), 0o600))
	return testenv.Glance(t, dsn, t.TempDir(), append([]string{fmt.Sprintf(behindFront, file)}, further...)...)
}

func person(user, project, roles string) []string {
	return []string{"X-Identity-Status", "Confirmed", "X-User-Id", user, "X-Project-Id", project, "X-Roles", roles}
}

var (
	ann      = person("ann", "p", "member,reader") // the owner
	ben      = person("ben", "p", "reader")
	cat      = person("cat", "q", "member,reader") // shared with
	carl     = person("carl", "q", "reader")
	dan      = person("dan", "r", "member,reader") // not at first
	nobody   = person("eve", "p", "")
	root     = person("root", "ops", "admin,member,reader")
	everyone = [][]string{nobody, ben, carl, cat, dan, ann, root}
)

// errands go in this order on both.
func errands() (all []errand) {
	const at = "/v2/images/ID/members"
	do := func(who []string, method, path, body string) {
		all = append(all, errand{who: who, method: method, path: path, body: body})
	}
	differs := func(want int, why string) { all[len(all)-1].want, all[len(all)-1].why = want, why }
	everybody := func(method, path, body string) {
		for _, who := range everyone {
			do(who, method, path, body)
		}
	}
	look := func() { // what everybody sees now
		everybody("GET", at, "")
		everybody("GET", at+"/q", "")
		everybody("GET", at+"/r", "")
		everybody("GET", "/v2/images/ID", "")
		everybody("GET", "/v2/images/ID/file", "")
		for _, q := range []string{"", "?member_status=pending", "?member_status=rejected", "?member_status=all", "?visibility=shared", "?visibility=shared&member_status=pending"} {
			everybody("GET", "/v2/images"+q, "")
		}
	}
	do(cat, "GET", "/v2/schemas/member", "")
	do(cat, "GET", "/v2/schemas/members", "")
	look()

	for _, body := range []string{
		"", "{}", "[]", `"q"`, "null", "{", `{"member": ""}`, `{"member": null}`, `{"member": []}`, `{"members": ["q"]}`, `{"member_id": "q"}`,
	} {
		do(ann, "POST", at, body)
	}
	do(cat, "POST", at, "{}")
	for _, who := range [][]string{nobody, ben, cat, dan} {
		do(who, "POST", at, `{"member": "q"}`)
	}
	for _, id := range []string{"PRIVATE", "PUBLIC", "nope", "00000000-0000-4000-8000-000000000000"} {
		for _, who := range [][]string{ann, cat, root} {
			to := "/v2/images/" + id + "/members"
			do(who, "POST", to, `{"member": "q"}`)
			do(who, "GET", to, "")
			do(who, "GET", to+"/q", "")
			do(who, "PUT", to+"/q", `{"status": "accepted"}`)
			do(who, "DELETE", to+"/q", "")
		}
	}
	do(ann, "POST", at, `{"member": "q", "colour": "red"}`)
	do(ann, "POST", at, `{"member": "q"}`)
	look()
	do(cat, "POST", at, `{"member": "r"}`)
	do(root, "POST", at, `{"member": "r"}`)
	look()
	do(ann, "POST", at, `{"member": "s"}`) // more than there may be
	do(ann, "POST", at, `{"member": "q"}`)
	do(cat, "POST", at, `{"member": "s"}`)

	for _, body := range []string{
		"", "{}", "[]", `"accepted"`, "null", "{", `{"status": ""}`, `{"status": null}`, `{"status": 1}`, `{"status": []}`, `{"status": "maybe"}`, `{"status": "Accepted"}`, `{"member": "q"}`,
	} {
		do(cat, "PUT", at+"/q", body)
		do(dan, "PUT", at+"/q", body)
		do(ann, "PUT", at+"/q", body)
	}
	everybody("PUT", at+"/nope", `{"status": "accepted"}`)
	for _, status := range []string{"rejected", "pending", "accepted", "accepted"} {
		do(cat, "PUT", at+"/q", `{"status": "`+status+`", "member": "x"}`)
		look()
	}
	everybody("PUT", at+"/q", `{"status": "rejected"}`)
	do(root, "PUT", at+"/r", `{"status": "accepted"}`)
	look()

	for _, method := range []string{"PATCH", "PUT", "DELETE", "HEAD"} {
		do(ann, method, at, `{"member": "q"}`)
	}
	for _, method := range []string{"PATCH", "POST", "HEAD"} {
		do(ann, method, at+"/q", `{"status": "accepted"}`)
	}
	do(ann, "GET", at, "a body")
	do(ann, "GET", at+"/q", "a body")
	do(ann, "DELETE", at+"/q", "a body")
	do(ann, "GET", at+"/", "")
	do(ann, "GET", at+"/"+url.PathEscape("a b"), "")

	visibility := func(v string) {
		do(root, "PATCH", "/v2/images/ID", `[{"op": "replace", "path": "/visibility", "value": "`+v+`"}]`)
		look()
		everybody("PUT", at+"/q", `{"status": "accepted"}`)
		do(cat, "DELETE", at+"/q", "")
	}
	for _, v := range []string{"private", "community", "public", "shared"} {
		visibility(v)
	}
	for _, who := range [][]string{nobody, ben, carl, cat, dan} {
		do(who, "DELETE", at+"/q", "")
	}
	do(ann, "DELETE", at+"/nope", "")
	do(ann, "DELETE", at+"/q", "")
	do(ann, "DELETE", at+"/q", "")
	look()
	do(ann, "POST", at, `{"member": "q"}`) // pending again
	look()
	do(root, "DELETE", at+"/r", "")
	do(ann, "POST", at, `{"member": "p"}`) // its owner
	do(ann, "PUT", at+"/p", `{"status": "accepted"}`)
	look()
	do(ann, "DELETE", at+"/p", "")
	for _, body := range []string{ // Glance keeps the first
		`{"member": 1}`, `{"member": true}`, `{"member": {"a": 1}}`, `{"member": "` + strings.Repeat("m", 256) + `"}`, `{"member": "🚀"}`,
	} {
		do(ann, "POST", at, body)
		differs(400, "a project's id is a string of at most 255 characters that the table can hold")
	}
	do(ann, "DELETE", "/v2/images/ID", "")
	look()
	do(ann, "POST", at, `{"member": "q"}`)
	do(ann, "DELETE", at+"/q", "")
	return all
}

var dates = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

// A real Glance, asked the same by the same persons, gives the same codes and
// says the same.
func TestMembersAreGlances(t *testing.T) {
	dsn := testenv.MariaDB(t)
	testenv.GlanceDB(t, dsn)
	g := trusting(t, dsn, "[DEFAULT]", "image_member_quota = 2")
	n := testenv.Glimpse(t, "auth.mode=trusted-headers", "api.image_member_quota=2")
	type reply struct {
		code int
		kind string
		body any
	}
	answers := func(a api) (all []reply) {
		var names []string
		for _, c := range []struct {
			who        []string
			visibility string
		}{{ann, "shared"}, {ann, "private"}, {root, "public"}} {
			a.as = c.who
			_, body := a.text("POST", "/v2/images", `{"name": "x", "disk_format": "raw", "container_format": "bare", "owner": "p", "visibility": "`+c.visibility+`"}`, "Content-Type", "application/json")
			var m struct{ ID string }
			must(t, json.Unmarshal([]byte(body), &m))
			names = append(names, m.ID)
		}
		if code, body := a.text("PUT", "/v2/images/"+names[0]+"/file", "0123456789", "Content-Type", "application/octet-stream"); code != 204 {
			t.Fatal(code, body)
		}
		ids := strings.NewReplacer("ID", names[0], "PRIVATE", names[1], "PUBLIC", names[2])
		back := strings.NewReplacer(names[0], "ID", names[1], "PRIVATE", names[2], "PUBLIC")
		for _, d := range errands() {
			a.as = d.who
			media := "application/json"
			if d.method == "PATCH" {
				media = v21
			}
			resp := a.do(d.method, ids.Replace(d.path), strings.NewReader(d.body), "Content-Type", media, "Accept", "application/json")
			b, err := io.ReadAll(resp.Body)
			must(t, err)
			must(t, resp.Body.Close())
			kind := "" // of a body that is there
			if len(b) > 0 {
				kind, _, _ = strings.Cut(resp.Header.Get("Content-Type"), ";")
			}
			all = append(all, reply{resp.StatusCode, kind, plainly(d, resp.StatusCode, back.Replace(string(b)))})
		}
		return all
	}
	theirs, ours := answers(on(t, g.Addr)), answers(on(t, n.API))
	codes, silent := map[int]int{}, 0
	for i, d := range errands() {
		what := fmt.Sprintf("%d. %s: %s %s %.60s", i, d.who[3], d.method, d.path, d.body)
		codes[theirs[i].code]++
		switch {
		case d.want != 0:
			if ours[i].code != d.want {
				t.Errorf("%s: %v, want %d (%s)", what, ours[i], d.want, d.why)
			}
		case slices.Equal(d.who, nobody) && theirs[i].code == 403 && ours[i].code == 404:
			silent++ // Glance lets on that the image is there to whom it shows no image
		case !reflect.DeepEqual(ours[i], theirs[i]):
			t.Errorf("%s: %v, Glance answers %v", what, ours[i], theirs[i])
		}
	}
	t.Logf("%d answers compared, by code %v; %d times ours does not let on that an image is there", len(theirs), codes, silent)
}

// plainly is what an answer says, without dates and the order of lists. Of images
// it is which they are, and of errors and schemas nothing that is for people.
func plainly(d errand, code int, body string) any {
	var v map[string]any
	switch err := json.Unmarshal([]byte(dates.ReplaceAllString(body, "DATE")), &v); {
	case code != 200 || strings.HasSuffix(d.path, "/file"):
		return len(body) > 0
	case err != nil:
		return body
	case v["images"] != nil:
		var ids []string
		for _, m := range v["images"].([]any) {
			ids = append(ids, m.(map[string]any)["id"].(string))
		}
		return slices.Sorted(slices.Values(ids))
	case v["file"] != nil:
		return v["visibility"]
	case strings.Contains(d.path, "schemas"):
		return undescribed(v)
	}
	if all, ok := v["members"].([]any); ok {
		slices.SortFunc(all, func(a, b any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	return v
}

// undescribed is a schema without the texts for people.
func undescribed(v any) any {
	if m, ok := v.(map[string]any); ok {
		for k, x := range m {
			if m[k] = undescribed(x); k == "description" {
				delete(m, k)
			}
		}
	}
	return v
}
