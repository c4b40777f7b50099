package systest

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"glimpse/cmd/testenv"
)

// withKeystone starts a node that asks a real Keystone, whose catalog names it.
func withKeystone(t *testing.T) (*testenv.Node, *testenv.KeystoneServer) {
	t.Helper()
	k := testenv.Keystone(t)
	n := testenv.Glimpse(t, "auth.mode=keystone", "auth.keystone.auth_url="+k.URL, "auth.keystone.username=glance", "auth.keystone.password=glancepw")
	k.SetImageEndpoint(t, n.URL(""))
	return n, k
}

// image is the output of openstack ... -f json.
func image(t *testing.T, text string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return m
}

func TestTheOpenstackClient(t *testing.T) {
	testenv.Need(t, "openstack")
	_, k := withKeystone(t)
	env := k.Env("demo", "demopw", "demo")
	dir := t.TempDir()
	file := filepath.Join(dir, "in")
	random(t, file, 20<<20)
	os := func(args ...string) string {
		t.Helper()
		return testenv.Run(t, env, "/usr/bin/openstack", append([]string{"image"}, args...)...)
	}
	m := image(t, os("create", "-f", "json", "--file", file, "--disk-format", "raw", "--container-format", "bare", "--property", "color=red", "os-raw"))
	id := m["id"].(string)
	if v := image(t, os("show", "-f", "json", "os-raw")); v["status"] != "active" || v["size"] != float64(20<<20) {
		t.Errorf("show: %v", v)
	}
	if l := os("list", "-f", "value", "-c", "Name"); strings.TrimSpace(l) != "os-raw" {
		t.Errorf("list: %q", l)
	}
	os("save", "--file", filepath.Join(dir, "out"), id) // checks the hash itself
	testenv.Run(t, nil, "cmp", file, filepath.Join(dir, "out"))
	os("set", "--property", "os_distro=debian", "--min-disk", "2", "--name", "renamed", "--tag", "blue", id)
	os("unset", "--property", "color", id)
	v := image(t, os("show", "-f", "json", "renamed"))
	props := v["properties"].(map[string]any)
	if v["min_disk"] != 2.0 || props["os_distro"] != "debian" || props["color"] != nil || v["tags"].([]any)[0] != "blue" {
		t.Errorf("after set and unset: %v", v)
	}
	os("unset", "--tag", "blue", id)
	os("set", "--deactivate", id)
	if _, err := testenv.TryRun(t, env, "/usr/bin/openstack", "image", "save", "--file", filepath.Join(dir, "no"), id); err == nil {
		t.Error("a deactivated image was saved")
	}
	os("set", "--activate", id)
	os("delete", id)
	if l := os("list", "-f", "value"); strings.TrimSpace(l) != "" {
		t.Errorf("left: %q", l)
	}
}

// Two projects share an image by the clients' own commands: it is listed for whom
// accepts it, and gone for whom it is taken back from.
func TestClientsShareAnImage(t *testing.T) {
	testenv.Need(t, "openstack", "glance")
	_, k := withKeystone(t)
	demo, alt := k.Env("demo", "demopw", "demo"), k.Env("alt", "altpw", "alt")
	dir := t.TempDir()
	file := filepath.Join(dir, "in")
	random(t, file, 5<<20)
	openstack := func(env []string, args ...string) string {
		t.Helper()
		return strings.TrimSpace(testenv.Run(t, env, "/usr/bin/openstack", args...))
	}
	glance := func(env []string, args ...string) string {
		t.Helper()
		return testenv.Run(t, env, "/usr/bin/glance", args...)
	}
	project := openstack(alt, "token", "issue", "-f", "value", "-c", "project_id")
	id := image(t, openstack(demo, "image", "create", "-f", "json", "--file", file, "--disk-format", "raw", "--container-format", "bare", "--shared", "ours"))["id"].(string)
	listed := func(when, want string, more ...string) {
		t.Helper()
		if l := openstack(alt, append([]string{"image", "list", "-f", "value", "-c", "Name"}, more...)...); l != want {
			t.Errorf("%s: listed %q, want %q", when, l, want)
		}
	}
	members := func(env []string, want string) {
		t.Helper()
		if l := openstack(env, "image", "member", "list", "-f", "value", id); l != id+" "+project+" "+want {
			t.Errorf("%q, want %s", l, want)
		}
	}
	if m := image(t, openstack(demo, "image", "add", "project", "-f", "json", id, project)); m["status"] != "pending" || m["member_id"] != project {
		t.Errorf("add project: %v", m)
	}
	members(demo, "pending")
	listed("pending", "")
	listed("pending", "ours", "--member-status", "pending")
	openstack(alt, "image", "set", "--accept", id)
	members(alt, "accepted")
	listed("accepted", "ours")
	openstack(alt, "image", "save", "--file", filepath.Join(dir, "out"), "ours")
	testenv.Run(t, nil, "cmp", file, filepath.Join(dir, "out"))
	openstack(alt, "image", "set", "--reject", id)
	members(demo, "rejected")
	listed("rejected", "")
	openstack(alt, "image", "set", "--pending", id)
	members(alt, "pending")
	if _, err := testenv.TryRun(t, demo, "/usr/bin/glance", "member-update", id, project, "accepted"); err == nil || !strings.Contains(err.Error(), "HTTP 403") {
		t.Errorf("the owner accepts on behalf: %v", err)
	}
	openstack(demo, "image", "remove", "project", id, project)
	if l := openstack(demo, "image", "member", "list", "-f", "value", id); l != "" {
		t.Errorf("removed: %q", l)
	}
	if out, err := testenv.TryRun(t, alt, "/usr/bin/openstack", "image", "show", id); err == nil {
		t.Errorf("removed, and yet shown: %s", out)
	}

	// glanceclient builds its members of the schema, and refuses what does not fit.
	glance(demo, "member-create", id, project)
	glance(alt, "member-update", id, project, "accepted")
	for _, args := range [][]string{{"member-list", "--image-id", id}, {"member-get", id, project}} {
		if out := glance(demo, args...); !strings.Contains(out, project) || !strings.Contains(out, "accepted") {
			t.Errorf("%v: %s", args, out)
		}
	}
	if out := glance(alt, "image-list", "--member-status", "accepted"); !strings.Contains(out, "ours") {
		t.Errorf("list: %s", out)
	}
	glance(demo, "member-delete", id, project)
	if out, err := testenv.TryRun(t, alt, "/usr/bin/glance", "image-show", id); err == nil || !strings.Contains(err.Error(), "HTTP 404") {
		t.Errorf("deleted, and yet shown: %v %s", err, out)
	}
}

func TestGlanceclient(t *testing.T) {
	testenv.Need(t, "glance")
	n, k := withKeystone(t)
	env := k.Env("demo", "demopw", "demo")
	dir := t.TempDir()
	file := filepath.Join(dir, "in")
	random(t, file, 20<<20)
	glance := func(args ...string) string {
		t.Helper()
		return testenv.Run(t, env, "/usr/bin/glance", args...)
	}
	// It fetches the schema, makes the image and uploads in chunks, from a pipe.
	glance("image-create", "--name", "gl-file", "--disk-format", "raw", "--container-format", "bare", "--file", file, "--property", "color=red")
	testenv.Run(t, append(env, "FILE="+file), "bash", "-c", `cat "$FILE" | /usr/bin/glance image-create --name gl-pipe --disk-format raw --container-format bare`)
	a := on(t, n.API)
	a.token = k.Token(t, "demo", "demopw", "demo")
	_, text := a.text("GET", "/v2/images", "")
	var list struct {
		Images []struct{ ID, Name, Status string }
	}
	must(t, json.Unmarshal([]byte(text), &list))
	if len(list.Images) != 2 {
		t.Fatalf("%s", text)
	}
	if l := glance("image-list"); !strings.Contains(l, "gl-file") || !strings.Contains(l, "gl-pipe") {
		t.Errorf("list: %s", l)
	}
	for _, m := range list.Images {
		if m.Status != "active" {
			t.Errorf("%s is %s", m.Name, m.Status)
		}
		glance("image-download", "--file", filepath.Join(dir, m.Name), m.ID) // verifies the hash itself
		testenv.Run(t, nil, "cmp", file, filepath.Join(dir, m.Name))
		glance("image-update", "--property", "os_distro=debian", m.ID)
		glance("image-tag-update", m.ID, "blue")
		if s := glance("image-show", m.ID); !strings.Contains(s, "debian") || !strings.Contains(s, "blue") {
			t.Errorf("show: %s", s)
		}
		glance("image-tag-delete", m.ID, "blue")
		glance("image-delete", m.ID)
	}
}

const sdkScript = `
import sys, openstack, hashlib
conn = openstack.connect()
made = conn.image.create_image(name='sdk', filename=sys.argv[1], disk_format='raw', container_format='bare', wait=True)
found = conn.image.find_image('sdk')
assert found.id == made.id and found.status == 'active', found
assert conn.image.find_image('nothing of the kind') is None
conn.image.download_image(found, output=sys.argv[2])
conn.image.update_image(found, os_distro='debian')
assert conn.image.get_image(found.id).os_distro == 'debian'
assert [i.id for i in conn.image.images()] == [made.id]
conn.image.delete_image(found)
assert conn.image.find_image('sdk') is None
`

func TestOpenstacksdk(t *testing.T) {
	_, k := withKeystone(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "in")
	random(t, file, 20<<20)
	testenv.Run(t, k.Env("demo", "demopw", "demo"), "/usr/bin/python3", "-c", sdkScript, file, filepath.Join(dir, "out"))
	testenv.Run(t, nil, "cmp", file, filepath.Join(dir, "out"))
}

// nbdkit's curl plugin reads an image by ranges of its own choice, as a
// hypervisor would.
func TestNbdkitReadsRanges(t *testing.T) {
	testenv.Need(t, "nbdkit", "nbdcopy")
	n, k := withKeystone(t)
	file := filepath.Join(t.TempDir(), "in")
	random(t, file, 50<<20+12345)
	a := on(t, n.API)
	a.token = k.Token(t, "demo", "demopw", "demo")
	id := a.create("nbd", "raw")
	a.upload(id, file)
	out := file + ".out"
	testenv.Run(t, nil, "nbdkit", "-U", "-", "curl", n.URL("/v2/images/"+id+"/file"), "header=X-Auth-Token: "+a.token, "--run", `nbdcopy "$uri" `+out)
	testenv.Run(t, nil, "cmp", "-n", "52441145", file, out) // nbdkit pads nothing, but sectors may follow
}

func TestWhoMayWithRealTokens(t *testing.T) {
	n, k := withKeystone(t)
	owner := on(t, n.API)
	owner.token = k.Token(t, "demo", "demopw", "demo")
	file := filepath.Join(t.TempDir(), "in")
	random(t, file, 1<<20)
	id := owner.create("private", "raw")
	owner.upload(id, file)
	as := func(user, password, project string) api {
		a := owner
		a.token = k.Token(t, user, password, project)
		return a
	}
	for name, c := range map[string]struct {
		a          api
		show, file int
	}{
		"another project": {as("alt", "altpw", "alt"), 404, 404},
		"a reader":        {as("reader", "demopw", "demo"), 200, 403},
		"an admin":        {as("admin", "secret", "admin"), 200, 200},
	} {
		if code, _ := c.a.text("GET", "/v2/images/"+id, ""); code != c.show {
			t.Errorf("%s: show %d, want %d", name, code, c.show)
		}
		if code, _ := c.a.text("GET", "/v2/images/"+id+"/file", ""); code != c.file {
			t.Errorf("%s: file %d, want %d", name, code, c.file)
		}
	}
	nobody := owner
	nobody.token = "gAAAAAnonsense"
	resp := nobody.do("GET", "/v2/images", nil, "X-Roles", "admin", "X-Project-Id", "demo", "X-Identity-Status", "Confirmed")
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Keystone uri=") {
		t.Errorf("a bad token: %s %v", resp.Status, resp.Header)
	}
	fresh := as("alt", "altpw", "alt")
	k.Stop()
	defer func() { must(t, k.Start()) }()
	if code, _ := owner.text("GET", "/v2/images/"+id, ""); code != 200 {
		t.Errorf("Keystone away, a known token: %d", code)
	}
	fresh.token = "gAAAAAunknown"
	if code, _ := fresh.text("GET", "/v2/images", ""); code != 503 {
		t.Errorf("Keystone away, an unknown token: %d", code)
	}
}
