package proxy

import (
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func TestDiscovery(t *testing.T) {
	n := newNode(t, nil)
	for _, c := range []struct {
		path   string
		accept string
		want   int
	}{
		{"/", "", 300},
		{"/versions", "", 200},
		{"/v1/images", "", 300},
		{"/v3/", "", 300},
		{"/v2.99/images", "", 300},
		{"/v2.6/images", "", 300},
		{"/nothing", "", 300},
		{"/v2", "", 302},
		{"/v2/", "", 404},
		{"/v2.9/images", "", 200},
		{"/v2.0/images", "", 200},
		{"/v2/images/", "", 404},
		{"/v2/nothing", "", 404},
		{"/images", "application/vnd.openstack.images-v2.1", 200},
		{"/healthcheck", "", 200},
	} {
		r := n.get(member, c.path, "Accept", c.accept)
		if r.code != c.want {
			t.Errorf("%s: %d, want %d", c.path, r.code, c.want)
		}
		if c.want == 300 && !strings.Contains(string(r.body), `"versions":[{"id":"v2.17"`) {
			t.Errorf("%s: %s", c.path, r.body)
		}
		if r.header.Get("X-Openstack-Request-Id") == "" {
			t.Errorf("%s: no request id", c.path)
		}
	}
	if l := n.get("", "/v2").header.Get("Location"); !strings.HasSuffix(l, "/v2/") {
		t.Errorf("Location %s", l)
	}
	for _, v := range n.get("", "/versions").json(t)["versions"].([]any) {
		m := v.(map[string]any)
		if want := map[bool]string{true: "CURRENT", false: "SUPPORTED"}[m["id"] == "v2.17"]; m["status"] != want {
			t.Errorf("%v is %v", m["id"], m["status"])
		}
		if m["id"] == "v2.6" || m["id"] == "v2.16" {
			t.Errorf("%v is not true", m["id"])
		}
	}
}

func TestMethodsThatAreNotThere(t *testing.T) {
	n := newNode(t, nil)
	for path, allow := range map[string]string{"/v2/images": "POST", "/v2/schemas/image": "GET", "/v2/images/5f2e4a8c-0000-4000-8000-000000000001/file": "PUT"} {
		r := n.do(member, "PROPFIND", path, "")
		if r.code != 405 || !strings.Contains(r.header.Get("Allow"), allow) {
			t.Errorf("%s: %d, Allow %q", path, r.code, r.header.Get("Allow"))
		}
	}
	for _, c := range []struct{ method, path string }{
		{"PUT", "/v2/images/5f2e4a8c-0000-4000-8000-000000000001/stage"}, {"POST", "/v2/images/5f2e4a8c-0000-4000-8000-000000000001/import"}, {"GET", "/v2/tasks"},
	} {
		if r := n.do(member, c.method, c.path, ""); r.code != 404 {
			t.Errorf("%s %s: %d", c.method, c.path, r.code)
		}
	}
	if r := n.do(member, "GET", "/v2/images", "a body"); r.code != 400 {
		t.Errorf("GET with a body: %d", r.code)
	}
}

func TestErrorsInTheFormThatIsAccepted(t *testing.T) {
	n := newNode(t, nil)
	for accept, want := range map[string]string{
		"":                 "404 Not Found\n\nNo image found with ID nope\n\n",
		"text/plain":       "404 Not Found\n\nNo image found with ID nope\n\n",
		"*/*":              "<html>",
		"text/html":        "<html>",
		"application/json": `{"code":"404 Not Found","message":"No image found with ID nope<br /><br />\n\n\n","title":"Not Found"}`,
	} {
		r := n.get(member, "/v2/images/nope", "Accept", accept)
		if !strings.HasPrefix(string(r.body), want) {
			t.Errorf("%q: %s", accept, r.body)
		}
	}
	if r := n.get(member, "/v2/images/%3Cb%3E", "Accept", "text/html"); strings.Contains(string(r.body), "<b>") {
		t.Errorf("markup comes back: %s", r.body)
	}
}

func TestRequestIDs(t *testing.T) {
	n := newNode(t, nil)
	if r := n.get("", "/", "X-Openstack-Request-Id", "req-mine"); r.header.Get("X-Openstack-Request-Id") != "req-mine" {
		t.Errorf("%v", r.header)
	}
	for _, bad := range []string{strings.Repeat("a", 65), "a b", "<x>"} {
		if got := n.get("", "/", "X-Openstack-Request-Id", bad).header.Get("X-Openstack-Request-Id"); got == bad || !strings.HasPrefix(got, "req-") {
			t.Errorf("%.20q gives %q", bad, got)
		}
	}
}

// The schema is fetched by clients that then refuse an image that does not fit.
func TestAnImageFitsItsSchema(t *testing.T) {
	n := newNode(t, nil)
	schema := n.get(member, "/v2/schemas/image").json(t)
	delete(schema, "links") // hyper-schema, with templates for names
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft4)
	must(t, c.AddResource("image.json", map[string]any(schema)))
	s, err := c.Compile("image.json")
	must(t, err)
	for _, id := range []string{n.created(member, ""), n.active(member, `, "os_distro": "debian", "tags": ["a"]`, []byte("x")), n.create(member, "{}").json(t)["id"].(string)} {
		v := n.get(member, "/v2/images/"+id).json(t)
		if err := s.Validate(map[string]any(v)); err != nil {
			t.Errorf("%v: %v", v, err)
		}
		v["min_ram"] = "much"
		if s.Validate(map[string]any(v)) == nil {
			t.Error("the schema takes anything")
		}
	}
	for _, path := range []string{"images", "member", "members"} {
		if r := n.get(member, "/v2/schemas/"+path); r.code != 200 || r.json(t)["name"] != path {
			t.Errorf("%s: %d", path, r.code)
		}
	}
}

func TestInfo(t *testing.T) {
	n := newNode(t, nil)
	if b := string(n.get(member, "/v2/info/stores").body); b != `{"stores":[{"id":"main","description":"first","default":"true"}]}` {
		t.Errorf("stores: %s", b)
	}
	if b := string(n.get(member, "/v2/info/import").body); !strings.Contains(b, `"value":[]`) {
		t.Errorf("import: %s", b)
	}
	single := newNode(t, func(c *Config) { c.SingleStore = true })
	if r := single.get(member, "/v2/info/stores"); r.code != 404 {
		t.Errorf("single store: %d", r.code)
	}
	id := single.created(member, "")
	if v := single.get(member, "/v2/images/"+id).json(t); v["stores"] != nil {
		t.Errorf("stores shown: %v", v)
	}
	if b := string(single.get("", "/").body); strings.Contains(b, "v2.8") {
		t.Errorf("versions: %s", b)
	}
}
