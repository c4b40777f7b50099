package systest

import (
	"path/filepath"
	"strings"
	"testing"

	"glimpse/cmd/testenv"
)

// An image lies in the Swift account of whoever uploads it, whose own client
// finds it there; its container's lists follow its visibility and its members; and
// it goes with its record.
func TestAnImageInItsUsersAccount(t *testing.T) {
	testenv.Need(t, "swift")
	k, srv := testenv.Keystone(t), testenv.SwiftKeystone(t)
	n := testenv.Glimpse(t, "auth.mode=keystone", "auth.keystone.auth_url="+k.URL, "auth.keystone.username=glance", "auth.keystone.password=glancepw",
		"default_store=obj", "stores.obj.type=swift", "stores.obj.auth_url="+srv.AuthURL, "stores.obj.user="+srv.User, "stores.obj.key="+srv.Key,
		"stores.obj.user_domain_id=default", "stores.obj.project_domain_id=default", "stores.obj.multi_tenant=true", "stores.obj.create_container_on_put=true")
	a, file := on(t, n.API), filepath.Join(t.TempDir(), "in")
	a.token = k.Token(t, "demo", "demopw", "demo")
	random(t, file, 9<<20)
	id := a.create("mine", "raw")
	a.upload(id, file)
	a.same(id, file)

	swift := func(args ...string) string {
		t.Helper()
		return testenv.Run(t, k.Env("demo", "demopw", "demo"), "swift", args...)
	}
	out := filepath.Join(t.TempDir(), "out")
	swift("download", "glance_"+id, id, "-o", out)
	if sha(t, out) != sha(t, file) {
		t.Error("other bytes are in the account")
	}
	acl := func(want string) {
		t.Helper()
		text := swift("stat", "glance_"+id)
		for l := range strings.Lines(text) {
			if name, is, _ := strings.Cut(l, ":"); strings.TrimSpace(name) == "Read ACL" && strings.TrimSpace(is) != want {
				t.Errorf("%q, not %q", strings.TrimSpace(l), want)
			}
		}
	}
	acl("")
	if code, body := a.text("POST", "/v2/images/"+id+"/members", `{"member": "them"}`); code != 200 {
		t.Fatal(code, body)
	}
	acl("them:*")
	if code, body := a.text("DELETE", "/v2/images/"+id+"/members/them", ""); code != 204 {
		t.Fatal(code, body)
	}
	acl("")
	if code, body := a.text("PATCH", "/v2/images/"+id, `[{"op": "replace", "path": "/visibility", "value": "community"}]`, "Content-Type", v21); code != 200 {
		t.Fatal(code, body)
	}
	acl("*:*")
	if code, body := a.text("DELETE", "/v2/images/"+id, ""); code != 204 {
		t.Fatal(code, body)
	}
	if left := swift("list"); strings.Contains(left, id) {
		t.Errorf("the container is left: %s", left)
	}
	if log := n.Log(); strings.Contains(log, a.token) || strings.Contains(log, srv.Key) || strings.Contains(log, "/AUTH_") {
		t.Errorf("the log: %s", log)
	}
}
