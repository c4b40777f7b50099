package proxy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"glimpse/registry/image"
)

func TestCreate(t *testing.T) {
	n := newNode(t, nil)
	long := strings.Repeat("a", 256)
	for name, c := range map[string]struct {
		token, body string
		want        int
	}{
		"nothing set":             {member, `{}`, 201},
		"id given":                {member, `{"id": "5f2e4a8c-0000-4000-8000-000000000001"}`, 201},
		"custom property":         {member, `{"os_distro": "debian"}`, 201},
		"tags twice":              {member, `{"tags": ["a", "a"]}`, 201},
		"a list":                  {member, `[]`, 400},
		"a string":                {member, `"x"`, 400},
		"no body":                 {member, ``, 400},
		"not JSON":                {member, `{`, 400},
		"key twice":               {member, `{"name": "a", "name": "b"}`, 400},
		"broken UTF-8":            {member, "{\"name\": \"\xff\"}", 400},
		"deep":                    {member, `{"a":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, 400},
		"NUL":                     {member, `{"name": "a\u0000b"}`, 400},
		"4 bytes":                 {member, `{"name": "🚀"}`, 400},
		"4 bytes in a tag":        {member, `{"tags": ["🚀"]}`, 400},
		"long name":               {member, `{"name": "` + long + `"}`, 400},
		"long tag":                {member, `{"tags": ["` + long + `"]}`, 400},
		"id is no UUID":           {member, `{"id": "x"}`, 400},
		"custom number":           {member, `{"a": 1}`, 400},
		"custom null":             {member, `{"a": null}`, 400},
		"name is a number":        {member, `{"name": 1}`, 400},
		"min_disk negative":       {member, `{"min_disk": -1}`, 400},
		"min_ram too large":       {member, `{"min_ram": 2147483648}`, 400},
		"min_ram is a fraction":   {member, `{"min_ram": 1.5}`, 400},
		"disk format unknown":     {member, `{"disk_format": "floppy"}`, 400},
		"visibility unknown":      {member, `{"visibility": "secret"}`, 400},
		"protected is a string":   {member, `{"protected": "true"}`, 400},
		"formats that do not mix": {member, `{"disk_format": "raw", "container_format": "ami"}`, 400},
		"status":                  {member, `{"status": "active"}`, 403},
		"checksum":                {member, `{"checksum": "x"}`, 403},
		"os_hash_value":           {member, `{"os_hash_value": "x"}`, 403},
		"self":                    {member, `{"self": "x"}`, 403},
		"stores":                  {member, `{"stores": "x"}`, 403},
		"deleted":                 {member, `{"deleted": true}`, 403},
		"location":                {member, `{"location": "x"}`, 403},
		"locations":               {member, `{"locations": []}`, 403},
		"reserved":                {member, `{"os_glance_x": "x"}`, 403},
		"another owner":           {member, `{"owner": "q"}`, 403},
		"another owner, by admin": {admin, `{"owner": "q"}`, 201},
		"public":                  {member, `{"visibility": "public"}`, 403},
		"public, by admin":        {admin, `{"visibility": "public"}`, 201},
		"community":               {member, `{"visibility": "community"}`, 201},
		"a reader":                {reader, `{}`, 403},
		"nobody":                  {"", `{}`, 401},
		"too many properties":     {member, `{` + many(129) + `}`, 413},
		"as many as allowed":      {member, `{` + many(128) + `}`, 201},
		"too many tags":           {member, `{"tags": [` + strings.TrimSuffix(tags(129), ",") + `]}`, 413},
		"too large":               {member, `{"name": "` + strings.Repeat("a", 1<<20) + `"}`, 413},
	} {
		t.Run(name, func(t *testing.T) {
			if r := n.create(c.token, c.body); r.code != c.want {
				t.Errorf("got %d %.300s", r.code, r.body)
			}
		})
	}
	if r := n.do(member, "POST", "/v2/images", `{}`, "Content-Type", "text/plain"); r.code != 415 {
		t.Errorf("as text: %d", r.code)
	}
	if r := n.create(member, `{"id": "5f2e4a8c-0000-4000-8000-000000000001"}`); r.code != 409 {
		t.Errorf("an id again: %d", r.code)
	}
}

func many(n int) string {
	var b []string
	for i := range n {
		b = append(b, fmt.Sprintf(`"p%d": "x"`, i))
	}
	return strings.Join(b, ",")
}

func tags(n int) (s string) {
	for i := range n {
		s += fmt.Sprintf(`"t%d",`, i)
	}
	return s
}

func TestWhatCreateAnswers(t *testing.T) {
	n := newNode(t, nil)
	r := n.create(member, `{"name": "x", "os_distro": "debian", "tags": ["b", "a", "b"]}`)
	v := r.json(t)
	id := v["id"].(string)
	for name, want := range map[string]any{
		"name": "x", "status": "queued", "visibility": "shared", "owner": "p", "os_distro": "debian", "min_disk": 0.0, "min_ram": 0.0,
		"protected": false, "os_hidden": false, "size": nil, "checksum": nil, "disk_format": nil, "virtual_size": nil,
		"self": "/v2/images/" + id, "file": "/v2/images/" + id + "/file", "schema": "/v2/schemas/image",
	} {
		if v[name] != want {
			t.Errorf("%s is %v, want %v", name, v[name], want)
		}
	}
	if got := fmt.Sprint(v["tags"]); got != "[b a]" {
		t.Errorf("tags %s", got)
	}
	if l := r.header.Get("Location"); l != "http://"+n.addr+"/v2/images/"+id {
		t.Errorf("Location %s", l)
	}
	if s := r.header.Get("OpenStack-image-store-ids"); s != "main" {
		t.Errorf("stores %s", s)
	}
	if r.header.Get("OpenStack-image-import-methods") != "" {
		t.Error("import is promised")
	}
	if len(v["created_at"].(string)) != len("2026-01-02T03:04:05Z") {
		t.Errorf("created_at %v", v["created_at"])
	}
}

// Four visibilities of one project's image, seen by others.
func TestWhoSeesAndMayTouchAnImage(t *testing.T) {
	n := newNode(t, nil)
	ids := map[string]string{}
	for _, v := range []string{"private", "shared", "community"} {
		ids[v] = n.active(member, `, "visibility": "`+v+`"`, []byte("x"))
	}
	ids["public"] = n.active(admin, `, "visibility": "public", "owner": "p"`, []byte("x"))
	shared := n.active(member, `, "visibility": "shared"`, []byte("x"))
	if _, err := n.reg.AddMember(t.Context(), shared, "q", -1); err != nil {
		t.Fatal(err)
	}
	ids["shared with them"] = shared
	for _, c := range []struct {
		image, token     string
		show, file, edit int
	}{
		{"private", member, 200, 200, 200},
		{"private", reader, 200, 403, 403},
		{"private", other, 404, 404, 404},
		{"private", admin, 200, 200, 200},
		{"private", "", 401, 401, 401},
		{"shared", other, 404, 404, 404},
		{"shared with them", other, 200, 200, 403},
		{"community", other, 200, 200, 403},
		{"public", other, 200, 200, 403},
		{"public", reader, 200, 403, 403},
		{"public", "dan:q:reader", 200, 403, 403},
		{"public", "dan:q:", 404, 404, 404},
		{"private", "dan:p:member", 404, 404, 404},
	} {
		path := "/v2/images/" + ids[c.image]
		if r := n.get(c.token, path); r.code != c.show {
			t.Errorf("%s by %q: show %d, want %d", c.image, c.token, r.code, c.show)
		}
		if r := n.get(c.token, path+"/file"); r.code != c.file {
			t.Errorf("%s by %q: file %d, want %d", c.image, c.token, r.code, c.file)
		}
		if r := n.patch(c.token, ids[c.image], `[{"op": "add", "path": "/a", "value": "b"}]`); r.code != c.edit {
			t.Errorf("%s by %q: patch %d, want %d", c.image, c.token, r.code, c.edit)
		}
	}
	if r := n.get("system:p:admin", "/v2/images/"+ids["public"]); r.code != 403 {
		t.Errorf("system scope: %d", r.code)
	}
	if r := n.get("away", "/v2/images"); r.code != 503 || r.header.Get("WWW-Authenticate") != "" {
		t.Errorf("Keystone away: %d", r.code)
	}
	if r := n.get("", "/v2/images"); r.header.Get("WWW-Authenticate") != `Keystone uri="http://k/v3"` {
		t.Errorf("challenge %q", r.header.Get("WWW-Authenticate"))
	}
}

func TestPatch(t *testing.T) {
	n := newNode(t, nil)
	queued := n.created(member, `, "there": "x"`)
	active := n.active(member, `, "there": "x"`, []byte("x"))
	for name, c := range map[string]struct {
		id, body string
		want     int
	}{
		"nothing":                    {queued, `[]`, 200},
		"name":                       {queued, `[{"op": "replace", "path": "/name", "value": "y"}]`, 200},
		"name to null":               {queued, `[{"op": "replace", "path": "/name", "value": null}]`, 200},
		"add over a property":        {queued, `[{"op": "add", "path": "/there", "value": "y"}]`, 200},
		"escapes":                    {queued, `[{"op": "add", "path": "/a~1b", "value": "y"}]`, 200},
		"tags":                       {queued, `[{"op": "replace", "path": "/tags", "value": ["a", "b"]}]`, 200},
		"one tag":                    {queued, `[{"op": "add", "path": "/tags/-", "value": "a"}]`, 400},
		"replace what is missing":    {queued, `[{"op": "replace", "path": "/missing", "value": "y"}]`, 409},
		"remove what is missing":     {queued, `[{"op": "remove", "path": "/missing"}]`, 409},
		"remove a base property":     {queued, `[{"op": "remove", "path": "/name"}]`, 403},
		"status":                     {queued, `[{"op": "replace", "path": "/status", "value": "active"}]`, 403},
		"id":                         {queued, `[{"op": "replace", "path": "/id", "value": "x"}]`, 403},
		"size":                       {queued, `[{"op": "replace", "path": "/size", "value": 1}]`, 403},
		"reserved":                   {queued, `[{"op": "add", "path": "/os_glance_x", "value": "y"}]`, 403},
		"locations":                  {queued, `[{"op": "add", "path": "/locations/-", "value": {"url": "http://x/", "metadata": {}}}]`, 403},
		"owner":                      {queued, `[{"op": "replace", "path": "/owner", "value": "q"}]`, 403},
		"public":                     {queued, `[{"op": "replace", "path": "/visibility", "value": "public"}]`, 403},
		"community":                  {queued, `[{"op": "replace", "path": "/visibility", "value": "community"}]`, 200},
		"unknown visibility":         {queued, `[{"op": "replace", "path": "/visibility", "value": "x"}]`, 400},
		"format while queued":        {queued, `[{"op": "replace", "path": "/disk_format", "value": "qcow2"}]`, 200},
		"format of an active image":  {active, `[{"op": "replace", "path": "/disk_format", "value": "qcow2"}]`, 403},
		"custom number":              {queued, `[{"op": "add", "path": "/a", "value": 1}]`, 400},
		"negative":                   {queued, `[{"op": "replace", "path": "/min_ram", "value": -1}]`, 400},
		"test":                       {queued, `[{"op": "test", "path": "/name", "value": "y"}]`, 400},
		"object":                     {queued, `{}`, 400},
		"missing image":              {"5f2e4a8c-0000-4000-8000-00000000dead", `[]`, 404},
		"a later operation is wrong": {queued, `[{"op": "add", "path": "/half", "value": "done"}, {"op": "remove", "path": "/missing"}]`, 409},
	} {
		t.Run(name, func(t *testing.T) {
			if r := n.patch(member, c.id, c.body); r.code != c.want {
				t.Errorf("got %d %.300s", r.code, r.body)
			}
		})
	}
	if v := n.get(member, "/v2/images/"+queued).json(t); v["half"] != nil || v["there"] != "y" || v["a/b"] != "y" {
		t.Errorf("got %v", v)
	}
	old := func(body string) reply {
		return n.do(member, "PATCH", "/v2/images/"+queued, body, "Content-Type", "application/openstack-images-v2.0-json-patch")
	}
	if r := old(`[{"add": "/there", "value": "z"}]`); r.code != 409 {
		t.Errorf("the old add over a property: %d", r.code)
	}
	if r := old(`[{"replace": "/there", "value": "z"}]`); r.code != 200 {
		t.Errorf("the old replace: %d", r.code)
	}
	if r := n.do(member, "PATCH", "/v2/images/"+queued, `[]`, "Content-Type", "application/json"); r.code != 415 || !strings.Contains(r.header.Get("Accept-Patch"), "v2.1") {
		t.Errorf("as JSON: %d, Accept-Patch %q", r.code, r.header.Get("Accept-Patch"))
	}
	if r := n.patch(admin, queued, `[{"op": "replace", "path": "/owner", "value": "q"}]`); r.code != 200 {
		t.Errorf("owner by admin: %d", r.code)
	}
}

func TestTags(t *testing.T) {
	n := newNode(t, nil)
	id := n.created(member, "")
	tag := func(method, tag string) int { return n.do(member, method, "/v2/images/"+id+"/tags/"+tag, "").code }
	for _, c := range []struct {
		method, tag string
		want        int
	}{
		{"PUT", "a", 204},
		{"PUT", "a", 204},
		{"PUT", "a%20b%2Fc", 204},
		{"PUT", strings.Repeat("a", 256), 400},
		{"PUT", "%F0%9F%9A%80", 400},
		{"PUT", "%00", 400},
		{"PUT", "%FF", 400},
		{"DELETE", "a", 204},
		{"DELETE", "a", 404},
		{"DELETE", "a%20b%2Fc", 204},
		{"GET", "a", 405},
	} {
		if got := tag(c.method, c.tag); got != c.want {
			t.Errorf("%s %.20s: %d, want %d", c.method, c.tag, got, c.want)
		}
	}
}

func TestDeactivation(t *testing.T) {
	n := newNode(t, nil)
	id, queued := n.active(member, "", []byte("x")), n.created(member, "")
	act := func(token, id, verb string) int {
		return n.do(token, "POST", "/v2/images/"+id+"/actions/"+verb, "").code
	}
	for _, c := range []struct {
		token, id, verb string
		want            int
	}{
		{member, queued, "deactivate", 403}, {member, id, "deactivate", 204}, {member, id, "deactivate", 204}, {reader, id, "reactivate", 403}, {other, id, "reactivate", 404},
	} {
		if got := act(c.token, c.id, c.verb); got != c.want {
			t.Errorf("%s by %s: %d, want %d", c.verb, c.token, got, c.want)
		}
	}
	if got := n.get(member, "/v2/images/"+id+"/file").code; got != 403 {
		t.Errorf("data of a deactivated image: %d", got)
	}
	if got := n.get(admin, "/v2/images/"+id+"/file").code; got != 200 {
		t.Errorf("by an admin: %d", got)
	}
	if act(member, id, "reactivate") != 204 || n.get(member, "/v2/images/"+id+"/file").code != 200 {
		t.Error("not active again")
	}
}

func TestDelete(t *testing.T) {
	n := newNode(t, nil)
	id := n.active(member, "", []byte("x"))
	del := func(token, id string) int { return n.do(token, "DELETE", "/v2/images/"+id, "").code }
	protected := n.active(member, `, "protected": true`, []byte("x"))
	for _, c := range []struct {
		token, id string
		want      int
	}{{other, id, 404}, {reader, id, 403}, {member, protected, 403}, {member, id, 204}, {member, id, 404}, {admin, id, 404}, {member, "..%2f..", 404}, {member, "x", 404}} {
		if got := del(c.token, c.id); got != c.want {
			t.Errorf("%s by %s: %d, want %d", c.id, c.token, got, c.want)
		}
	}
	if n.store.Len() != 1 {
		t.Errorf("%d objects in the store, want the protected image's", n.store.Len())
	}
	if r := n.create(member, `{"id": "`+id+`"}`); r.code != 409 {
		t.Errorf("the id of a deleted image: %d", r.code)
	}
}

func ids(t *testing.T, r reply) (names []string) {
	t.Helper()
	if r.code != 200 {
		t.Fatalf("%d %s", r.code, r.body)
	}
	var v struct{ Images []struct{ Name string } }
	must(t, json.Unmarshal(r.body, &v))
	for _, m := range v.Images {
		names = append(names, m.Name)
	}
	slices.Sort(names)
	return names
}

func TestList(t *testing.T) {
	n := newNode(t, nil)
	for _, body := range []string{
		`{"name": "a", "os_distro": "debian", "tags": ["x", "y"], "min_ram": 512, "visibility": "private"}`,
		`{"name": "b", "os_distro": "fedora", "tags": ["x"], "visibility": "shared"}`,
		`{"name": "c,d", "os_hidden": true}`, `{"name": "e", "visibility": "community", "protected": true}`,
	} {
		if r := n.create(member, body); r.code != 201 {
			t.Fatal(string(r.body))
		}
	}
	n.created(admin, `, "visibility": "public"`) // named x
	for query, want := range map[string]string{
		"": "a b e x", "name=a": "a", "name=in:a,b": "a b", `name=in:a,%22c,d%22`: "a", "os_distro=debian": "a", "tag=x": "a b", "tag=x&tag=y": "a",
		"visibility=public": "x", "visibility=community": "e", "visibility=private": "a", "visibility=all": "a b e x", "os_hidden=true": "c,d", "os_hidden=True": "c,d", "protected=true": "e",
		"min_ram_min=512": "a", "min_ram=512": "a", "min_ram_max=100": "b e x", "status=bogus": "", "limit=0": "", "owner=p": "a b e", "created_at=gt:2000-01-01T00:00:00Z": "a b e x",
		"created_at=lt:2000-01-01": "", "deleted=true": "a b e x", "sort=name:asc,status:desc": "a b e x", "sort_key=name&sort_key=size&sort_dir=asc&sort_dir=desc": "a b e x", "limit=99999": "a b e x",
	} {
		if got := strings.Join(ids(t, n.get(member, "/v2/images?"+query)), " "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	for _, query := range []string{
		"limit=-1", "limit=x", "limit=99999999999999999999", "marker=x", "marker=5f2e4a8c-0000-4000-8000-00000000dead", "sort_key=color", "sort_key=name&sort_dir=up", "sort=name:up", "sort=name&sort_key=name",
		"sort_key=name&sort_dir=asc&sort_dir=desc", "name=foo:x", "name=in:%22a", "created_at=x", "created_at=about:2000-01-01", "size_min=x", "visibility=x", "member_status=x", "protected=True", "os_hidden=1",
		"tag=" + strings.Repeat("a", 256), "changes-since=2000-01-01", "%ff=1", "a=%zz",
	} {
		if r := n.get(member, "/v2/images?"+query); r.code != 400 {
			t.Errorf("%.40s: %d", query, r.code)
		}
	}
	if r := n.get("dan:p:nothing", "/v2/images"); r.code != 403 {
		t.Errorf("without a role: %d", r.code)
	}
	if got := strings.Join(ids(t, n.get(other, "/v2/images")), " "); got != "x" {
		t.Errorf("another project sees %q", got)
	}
}

func TestPagesFollowOneAnother(t *testing.T) {
	n := newNode(t, nil)
	for i := range 7 {
		n.created(member, fmt.Sprintf(`, "n": "%d", "tags": ["a", "b"]`, i))
	}
	seen := map[string]bool{}
	path, pages := "/v2/images?limit=3&tag=a&tag=b&sort_key=name&sort_dir=asc", 0
	for path != "" {
		v := n.get(member, path).json(t)
		for _, m := range v["images"].([]any) {
			id := m.(map[string]any)["id"].(string)
			if seen[id] {
				t.Errorf("%s is on two pages", id)
			}
			seen[id] = true
		}
		if first := v["first"].(string); strings.Contains(first, "marker") || !strings.Contains(first, "tag=a&tag=b") {
			t.Errorf("first is %s", first)
		}
		path, _ = v["next"].(string)
		pages++
	}
	if len(seen) != 7 || pages != 3 {
		t.Errorf("%d images on %d pages", len(seen), pages)
	}
}

func TestAnUnknownPropertyIsShownAsText(t *testing.T) {
	n := newNode(t, nil)
	id := n.created(member, "")
	_, err := n.reg.Update(t.Context(), id, func(m *image.Image) error {
		m.Properties = map[string]string{"os_glance_stage_host": "http://secret", "os_glance_failed_import": ""}
		return nil
	})
	must(t, err)
	v := n.get(member, "/v2/images/"+id).json(t)
	if v["os_glance_stage_host"] != nil || v["os_glance_failed_import"] != "" {
		t.Errorf("got %v", v)
	}
}
