package systest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glimpse/cmd/testenv"
)

// Who asks is told by the OS_* variables, by clouds.yaml, by an application
// credential or by a token, and what went wrong by the exit code.
func TestPullAndPushWithKeystone(t *testing.T) {
	n, k := withKeystone(t)
	dir := t.TempDir()
	in := filepath.Join(dir, "in")
	random(t, in, 9<<20)
	demo := puller{t: t, env: k.Env("demo", "demopw", "demo")}
	made, _ := demo.ok("push", "-q", in)
	id := strings.TrimSpace(made)
	if m := on2(t, n, k).show(id); m["name"] != "in" || m["status"] != "active" || m["visibility"] != "shared" {
		t.Errorf("%v", m)
	}
	pulls := func(name string, p puller, args ...string) {
		t.Helper()
		out := filepath.Join(dir, "out")
		p.ok(append(append([]string{"pull", "-q"}, args...), id, out)...)
		testenv.Run(t, nil, "cmp", in, out)
		must(t, os.Remove(out))
	}
	pulls("variables", demo)
	secret := "the-secret-of-a-user"
	clouds := filepath.Join(dir, "clouds.yaml")
	must(t, os.WriteFile(clouds, fmt.Appendf(nil, `clouds:
  mine:
    region_name: RegionOne
    auth: {auth_url: %q, username: demo, password: demopw, project_name: demo, user_domain_name: Default, project_domain_name: Default}
  wrong:
    auth: {auth_url: %q, username: demo, password: %q, project_name: demo, user_domain_name: Default, project_domain_name: Default}
  empty: {auth_type: none}
`, k.URL, k.URL, secret), 0o600))
	file := []string{"OS_CLIENT_CONFIG_FILE=" + clouds}
	pulls("clouds.yaml", puller{t: t, env: file}, "--os-cloud", "mine")
	appID, appSecret := k.ApplicationCredential(t, "demo", "demopw", "demo")
	pulls("application credential", puller{t: t, env: []string{"OS_AUTH_URL=" + k.URL, "OS_APPLICATION_CREDENTIAL_ID=" + appID, "OS_APPLICATION_CREDENTIAL_SECRET=" + appSecret}})
	pulls("token and endpoint", puller{t: t, endpoint: n.URL("/v2/"), env: []string{"OS_TOKEN=" + k.Token(t, "demo", "demopw", "demo")}})
	pulls("token and catalog", puller{t: t, env: []string{"OS_AUTH_URL=" + k.URL, "OS_TOKEN=" + k.Token(t, "demo", "demopw", "demo"), "OS_PROJECT_NAME=demo", "OS_PROJECT_DOMAIN_NAME=Default"}})

	out := filepath.Join(dir, "out")
	for name, c := range map[string]struct {
		p    puller
		args []string
		want int
	}{
		"no such command line":  {demo, []string{"pull"}, 2},
		"nobody to ask":         {puller{t: t}, []string{"pull", id, out}, 2},
		"no such cloud":         {puller{t: t, env: file}, []string{"pull", "--os-cloud", "other", id, out}, 2},
		"a cloud without auth":  {puller{t: t, env: file}, []string{"pull", "--os-cloud", "empty", id, out}, 2},
		"no URL":                {puller{t: t}, []string{"pull", "--endpoint", "here", id, out}, 2},
		"a folder":              {demo, []string{"pull", id, dir}, 2},
		"no such image":         {demo, []string{"pull", "nothing of the kind", out}, 3},
		"no such id":            {demo, []string{"pull", "11111111-2222-3333-4444-555555555555", out}, 3},
		"another project":       {puller{t: t, env: k.Env("alt", "altpw", "alt")}, []string{"pull", id, out}, 3},
		"a reader may not":      {puller{t: t, env: k.Env("reader", "demopw", "demo")}, []string{"pull", id, out}, 4},
		"a wrong password":      {puller{t: t, env: file}, []string{"pull", "--os-cloud", "wrong", id, out}, 4},
		"a bad token":           {puller{t: t, endpoint: n.URL(""), env: []string{"OS_TOKEN=nonsense"}}, []string{"pull", id, out}, 4},
		"a reader may not push": {puller{t: t, env: k.Env("reader", "demopw", "demo")}, []string{"push", in}, 4},
		"nobody there":          {puller{t: t, endpoint: "http://127.0.0.1:1"}, []string{"pull", id, out}, 6},
		"no file to push":       {demo, []string{"push", filepath.Join(dir, "none")}, 1},
		"no such region":        {puller{t: t, env: append(k.Env("demo", "demopw", "demo"), "OS_REGION_NAME=Elsewhere")}, []string{"pull", id, out}, 2},
		"no folder to pull to":  {demo, []string{"pull", id, filepath.Join(dir, "none", "out")}, 1},
	} {
		code, _, said := c.p.run(c.args...)
		if code != c.want {
			t.Errorf("%s: ended with %d, want %d: %s", name, code, c.want, said)
		}
		if said == "" || strings.Contains(said, secret) || strings.Contains(said, "demopw") {
			t.Errorf("%s: %q", name, said)
		}
	}
	if left, _ := filepath.Glob(out + "*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// on2 asks a node as demo.
func on2(t *testing.T, n *testenv.Node, k *testenv.KeystoneServer) api {
	t.Helper()
	a := on(t, n.API)
	a.token = k.Token(t, "demo", "demopw", "demo")
	return a
}
