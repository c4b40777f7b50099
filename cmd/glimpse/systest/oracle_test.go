package systest

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

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

// What a real Glance says of its stores, and of an image in two of them, and what
// it answers to those who remove one of the copies.
func TestSeveralStoresAreGlances(t *testing.T) {
	dsn := testenv.MariaDB(t)
	testenv.GlanceDB(t, dsn)
	folder := t.TempDir()
	g := testenv.Glance(t, dsn, folder)
	n := testenv.Glimpse(t, "stores.main.description=first", "stores.spare.type=file", "stores.spare.path=spare", "stores.web.type=http")

	stores := func(a api, path string) (byID map[string]map[string]any) {
		var v struct{ Stores []map[string]any }
		code, body := a.text("GET", path, "")
		if code != 200 {
			t.Fatal(path, code, body)
		}
		must(t, json.Unmarshal([]byte(body), &v))
		byID = map[string]map[string]any{}
		for _, s := range v.Stores {
			byID[s["id"].(string)] = s
			delete(s, "weight") // newer than this Glance
			if p, ok := s["properties"].(map[string]any); ok {
				delete(p, "data_dir")
			}
		}
		return byID
	}
	theirs, ours := on(t, g.Addr), on(t, n.API)
	for _, path := range []string{"/v2/info/stores", "/v2/info/stores/detail"} {
		if want, got := stores(theirs, path), stores(ours, path); !reflect.DeepEqual(want, got) {
			t.Errorf("%s: %v, Glance answers %v", path, got, want)
		}
	}

	octets := []string{"Content-Type", "application/octet-stream"}
	answers := func(a api, copied func(id string)) (seen []string) {
		see := func(v ...any) { seen = append(seen, fmt.Sprint(v...)) }
		resp := a.do("POST", "/v2/images", strings.NewReader(`{"disk_format": "raw", "container_format": "bare"}`), "Content-Type", "application/json")
		resp.Body.Close()
		ids := strings.Split(resp.Header.Get("OpenStack-image-store-ids"), ",")
		slices.Sort(ids)
		see("ids ", ids)
		for _, store := range []string{"spare", "web", "attic"} {
			id := a.create(store, "raw")
			code, _ := a.text("PUT", "/v2/images/"+id+"/file", "0123456789", append(octets, "X-Image-Meta-Store", store)...)
			m := a.show(id)
			see("upload to ", store, " ", code, " ", m["status"], " ", m["stores"])
		}
		queued, id := a.create("queued", "raw"), a.create("two", "raw")
		code, _ := a.text("PUT", "/v2/images/"+id+"/file", "0123456789", octets...)
		see("upload ", code)
		remove := func(store, id string) {
			code, _ := a.text("DELETE", "/v2/stores/"+store+"/"+id, "")
			see("remove from ", store, " ", code)
		}
		remove("main", queued)
		remove("main", id)
		remove("spare", id)
		remove("attic", id)
		remove("main", "00000000-0000-4000-8000-000000000000")
		copied(id)
		see(a.show(id)["stores"])
		remove("web", id)
		a.text("POST", "/v2/images/"+id+"/actions/deactivate", "")
		remove("main", id)
		a.text("POST", "/v2/images/"+id+"/actions/reactivate", "")
		remove("main", id)
		see(a.show(id)["stores"])
		remove("main", id)
		remove("spare", id)
		code, body := a.text("GET", "/v2/images/"+id+"/file", "")
		see(code, " ", body)
		return seen
	}
	put := func(db *sql.DB, dir, id string) {
		file := filepath.Join(dir, id)
		must(t, os.WriteFile(file, []byte("0123456789"), 0o644))
		now := time.Now().UTC().Format("2006-01-02 15:04:05")
		_, err := db.Exec("INSERT INTO image_locations (image_id, value, meta_data, status, deleted, created_at, updated_at) VALUES (?, ?, '{\"store\": \"spare\"}', 'active', 0, ?, ?)",
			id, "file://"+file, now, now)
		must(t, err)
	}
	want := answers(theirs, func(id string) {
		db := sqlOf(t, dsn)
		defer db.Close()
		put(db, g.Spare, id)
	})
	got := answers(ours, func(id string) {
		db := registryOf(t, n)
		defer db.Close()
		put(db, filepath.Join(n.Dir, "spare"), id)
		until(t, "the copy is seen", func() bool { return ours.show(id)["stores"] == "main,spare" })
	})
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%s; Glance: %s", got[i], want[i])
		}
	}
	t.Logf("%d answers compared: %q", len(want), want)
}

// sqlOf opens a Glance's database.
func sqlOf(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	user, at, _ := strings.Cut(strings.TrimPrefix(dsn, "mysql://"), "@")
	addr, name, _ := strings.Cut(at, "/")
	db, err := sql.Open("mysql", user+"@tcp("+addr+")/"+name)
	must(t, err)
	return db
}
