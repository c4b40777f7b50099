package systest

import (
	"fmt"
	"strings"
	"testing"

	"glimpse/cmd/testenv"
)

// call is one request of the comparison; ID stands for the image's id.
type call struct {
	method, path, body string
	headers            []string
	// want is ours where it differs from Glance's on purpose, and why.
	want int
	why  string
}

const (
	v21 = "application/openstack-images-v2.1-json-patch"
	v20 = "application/openstack-images-v2.0-json-patch"
)

func create(body string) call {
	return call{method: "POST", path: "/v2/images", body: body, headers: []string{"Content-Type", "application/json"}}
}

func change(media, body string) call {
	return call{method: "PATCH", path: "/v2/images/ID", body: body, headers: []string{"Content-Type", media}}
}

func ranged(header, value string) call {
	return call{method: "GET", path: "/v2/images/ID/file", headers: []string{header, value}}
}

// differs marks a call whose answer is ours on purpose.
func (c call) differs(want int, why string) call {
	c.want, c.why = want, why
	return c
}

// calls go in this order on both; the image is queued at first, and active after
// its upload.
func calls() []call {
	get := func(path string) call { return call{method: "GET", path: path} }
	list := []call{
		get("/versions"), get("/v2/images/"), get("/v2/nothing"), get("/v2/images/nope"), get("/v2/schemas/image"), get("/v2/schemas/members"),
		get("/v2/info/import"), get("/v2/info/stores"), get("/healthcheck").differs(200, "Debian's pipeline mounts it elsewhere"),
		create(`{}`), create(`{"id": "x"}`), create(`{"status": "active"}`), create(`{"self": "x"}`), create(`{"os_glance_x": "y"}`), create(`{"name": 1}`),
		create(`{"a": 1}`), create(`{"min_ram": -1}`), create(`{"disk_format": "floppy"}`), create(`{"visibility": "x"}`), create(`{"deleted": "x"}`), create(`{"tags": ["a", "a"]}`),
		create(`{"name": "` + strings.Repeat("a", 256) + `"}`), create(`{`), create(`[]`).differs(400, "Glance answers 500"), create(`{"name": "🚀"}`),
		get("/v2/images/ID"), get("/v2/images/ID/file"), ranged("Range", "bytes=0-1").differs(416, "Glance answers 500"),
		change(v21, `[]`), change(v21, `{}`), change(v21, `[{"op": "replace", "path": "/name", "value": "n"}]`), change(v21, `[{"op": "add", "path": "/c", "value": "d"}]`),
		change(v21, `[{"op": "add", "path": "/c", "value": "e"}]`), change(v21, `[{"op": "replace", "path": "/missing", "value": "e"}]`), change(v21, `[{"op": "remove", "path": "/missing"}]`),
		change(v21, `[{"op": "remove", "path": "/name"}]`), change(v21, `[{"op": "replace", "path": "/status", "value": "active"}]`), change(v21, `[{"op": "replace", "path": "/id", "value": "x"}]`),
		change(v21, `[{"op": "test", "path": "/name", "value": "n"}]`), change(v21, `[{"op": "add", "path": "name", "value": "n"}]`), change(v21, `[{"op": "add", "path": "/a/b", "value": "n"}]`),
		change(v21, `[{"op": "add", "path": "/os_glance_x", "value": "n"}]`), change(v21, `[{"op": "add", "path": "/x", "value": 1}]`), change(v21, `[{"op": "replace", "path": "/tags", "value": ["x"]}]`),
		change(v21, `[{"op": "add", "path": "/tags/-", "value": "x"}]`), change(v21, `[{"op": "add", "path": "/x"}]`), change(v20, `[{"add": "/c", "value": "f"}]`), change(v20, `[{"replace": "/c", "value": "f"}]`),
		change("application/json", `[]`), change(v21, `[{"op": "replace", "path": "/locations", "value": []}]`),
		{method: "PUT", path: "/v2/images/ID/tags/t"},
		{method: "PUT", path: "/v2/images/ID/tags/" + strings.Repeat("t", 256)},
		{method: "DELETE", path: "/v2/images/ID/tags/t"},
		{method: "DELETE", path: "/v2/images/ID/tags/t"},
		{method: "POST", path: "/v2/images/ID/actions/deactivate"},
		{method: "PUT", path: "/v2/images/ID/file", body: "x", headers: []string{"Content-Type", "application/json"}},
		{method: "PUT", path: "/v2/images/ID/file", body: "x", headers: []string{"Content-Type", "application/octet-stream", "X-Image-Meta-Store", "attic"}},
		{method: "PUT", path: "/v2/images/ID/file", body: "0123456789", headers: []string{"Content-Type", "application/octet-stream"}},
		{method: "PUT", path: "/v2/images/ID/file", body: "x", headers: []string{"Content-Type", "application/octet-stream"}},
		get("/v2/images/ID/file"), change(v21, `[{"op": "replace", "path": "/disk_format", "value": "qcow2"}]`),
		{method: "POST", path: "/v2/images/ID/actions/deactivate"},
		{method: "POST", path: "/v2/images/ID/actions/deactivate"},
		get("/v2/images/ID/file"),
		{method: "POST", path: "/v2/images/ID/actions/reactivate"},
		{method: "PROPFIND", path: "/v2/images"},
		{method: "POST", path: "/v2/images/ID"},
		{method: "HEAD", path: "/v2/images/ID"},
		{method: "HEAD", path: "/v2/images/ID/file", want: 200, why: "HEAD answers like GET"},
	}
	for _, r := range []string{"bytes=0-0", "bytes=2-5", "bytes=5-99", "bytes=-3", "bytes=-99", "bytes=10-", "bytes=5-2", "bytes=x", "lines=1-2", "bytes=0-1,3-4"} {
		list = append(list, ranged("Range", r))
	}
	list = append(list, ranged("Content-Range", "bytes 0-4/*"))
	for _, q := range []string{
		"limit=1", "limit=0", "limit=-1", "limit=x", "marker=x", "sort_key=name&sort_dir=asc", "sort_key=color", "sort_key=name&sort_dir=up", "sort=name:asc,size", "sort=name&sort_key=name", "sort=name:up",
		"sort_key=name&sort_key=size&sort_key=id&sort_dir=asc&sort_dir=desc", "name=n", "name=in:a,n", "name=foo:x", `name=in:%22a`, "created_at=gt:2000-01-01T00:00:00Z", "created_at=x", "created_at=about:2000-01-01",
		"size_min=1", "size_min=x", "visibility=public", "visibility=all", "visibility=x", "member_status=all", "member_status=x", "protected=true", "protected=True", "os_hidden=True", "os_hidden=1",
		"tag=x", "changes-since=2000-01-01", "deleted=true", "status=bogus", "c=f", "owner=p", "min_ram=0", "checksum=x",
	} {
		list = append(list, get("/v2/images?"+q))
	}
	list = append(list, get("/v2/images?tag="+strings.Repeat("t", 256)).differs(400, "no tag is that long; this Glance lists nothing"))
	return append(list, call{method: "DELETE", path: "/v2/images/ID"}, call{method: "DELETE", path: "/v2/images/ID"}, get("/v2/images/ID"), create(`{"id": "ID"}`))
}

// A real Glance is asked the same: the same status, but for what is told.
func TestStatusesAreGlances(t *testing.T) {
	dsn := testenv.MariaDB(t)
	testenv.GlanceDB(t, dsn)
	g := testenv.Glance(t, dsn, t.TempDir())
	n := testenv.Glimpse(t)
	answers := func(a api) (codes []int) {
		id := a.create("n", "raw")
		for _, c := range calls() {
			r := strings.NewReplacer("ID", id)
			code, _ := a.text(c.method, r.Replace(c.path), r.Replace(c.body), c.headers...)
			codes = append(codes, code)
		}
		return codes
	}
	theirs, ours := answers(on(t, g.Addr)), answers(on(t, n.API))
	for i, c := range calls() {
		what := fmt.Sprintf("%s %.60s %.80s %v", c.method, c.path, c.body, c.headers)
		switch {
		case c.want != 0 && ours[i] != c.want:
			t.Errorf("%s: %d, want %d (%s)", what, ours[i], c.want, c.why)
		case c.want == 0 && ours[i] != theirs[i]:
			t.Errorf("%s: %d, Glance answers %d", what, ours[i], theirs[i])
		}
	}
	t.Logf("%d requests compared", len(theirs))
}
