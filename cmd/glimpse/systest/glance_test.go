package systest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"glimpse/cmd/testenv"
)

// Glance and Glimpse on one database and one folder: each serves what the other
// wrote.
func TestBesideARealGlance(t *testing.T) {
	testenv.Need(t, "glance-api", "mariadbd")
	dsn, folder := testenv.MariaDB(t), t.TempDir()
	testenv.GlanceDB(t, dsn)
	g := testenv.Glance(t, dsn, folder)
	theirs, file := on(t, g.Addr), filepath.Join(t.TempDir(), "in")
	random(t, file, 10<<20+777)
	before := theirs.create("before", "raw")
	theirs.upload(before, file)

	n := testenv.Glimpse(t, "registry.url="+dsn, "stores.main.path="+folder, "stores.main.cache=on")
	ours := on(t, n.API)
	ours.same(before, file)
	until(t, "the image is learned", func() bool { return metric(t, n, `glimpse_learned_images_total{result="match"}`) == 1 })
	ours.same(before, file)

	id := ours.create("ours", "raw")
	ours.upload(id, file)
	theirs.same(id, file)
	mine, other := ours.show(id), theirs.show(id)
	for _, name := range []string{"name", "status", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "disk_format", "visibility", "stores", "created_at", "updated_at", "owner", "tags", "min_disk", "protected"} {
		a, _ := json.Marshal(mine[name])
		b, _ := json.Marshal(other[name])
		if string(a) != string(b) {
			t.Errorf("%s: %s here, %s there", name, a, b)
		}
	}
	// A change there is seen here after at most max_staleness.
	code, body := theirs.text("PATCH", "/v2/images/"+id, `[{"op": "replace", "path": "/name", "value": "changed"}, {"op": "add", "path": "/color", "value": "red"}]`,
		"Content-Type", "application/openstack-images-v2.1-json-patch")
	if code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	until(t, "the change is seen", func() bool { m := ours.show(id); return m["name"] == "changed" && m["color"] == "red" })
	if code, body := ours.text("DELETE", "/v2/images/"+before, ""); code != 204 {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := theirs.text("GET", "/v2/images/"+before, ""); code != 404 {
		t.Errorf("deleted here, there it is %d", code)
	}
	if _, err := os.Stat(filepath.Join(folder, before)); !os.IsNotExist(err) {
		t.Errorf("its file is left: %v", err)
	}
}

// Bytes that do not give the hash in their record are found out when they have
// all been seen, and refused from then on.
func TestAGlanceImageThatWasDamaged(t *testing.T) {
	testenv.Need(t, "glance-api", "mariadbd")
	dsn, folder := testenv.MariaDB(t), t.TempDir()
	testenv.GlanceDB(t, dsn)
	g := testenv.Glance(t, dsn, folder)
	theirs, file := on(t, g.Addr), filepath.Join(t.TempDir(), "in")
	random(t, file, 9<<20)
	id := theirs.create("damaged", "raw")
	theirs.upload(id, file)
	g.Stop()
	f, err := os.OpenFile(filepath.Join(folder, id), os.O_RDWR, 0)
	must(t, err)
	_, err = f.WriteAt([]byte("rot"), 5<<20)
	must(t, err)
	must(t, f.Close())
	n := testenv.Glimpse(t, "registry.url="+dsn, "stores.main.path="+folder)
	ours := on(t, n.API)
	code, _ := ours.text("GET", "/v2/images/"+id+"/file", "") // nothing is known yet
	if code != 200 {
		t.Errorf("%d", code)
	}
	until(t, "the mismatch is found", func() bool { return metric(t, n, `glimpse_learned_images_total{result="mismatch"}`) == 1 })
	until(t, "it is refused", func() bool {
		code, _ := ours.text("GET", "/v2/images/"+id+"/file", "")
		return code == 503
	})
}

// After db remove a real Glance runs on and answers byte for byte as it did with
// Glimpse's tables beside its own.
func TestTheWayBack(t *testing.T) {
	testenv.Need(t, "glance-api", "mariadbd")
	dsn, folder := testenv.MariaDB(t), t.TempDir()
	n := testenv.Glimpse(t, "registry.url="+dsn, "stores.main.path="+folder)
	ours, file := on(t, n.API), filepath.Join(t.TempDir(), "in")
	random(t, file, 1<<20)
	var ids []string
	for _, name := range []string{"a", "b", "c"} {
		ids = append(ids, ours.create(name, "raw"))
	}
	ours.upload(ids[0], file)
	for _, c := range [][2]string{{"PATCH", `[{"op": "add", "path": "/color", "value": "red"}]`}, {"PATCH", `[{"op": "remove", "path": "/color"}]`}, {"PATCH", `[{"op": "add", "path": "/color", "value": "blue"}]`}} {
		if code, body := ours.text(c[0], "/v2/images/"+ids[0], c[1], "Content-Type", "application/openstack-images-v2.1-json-patch"); code != 200 {
			t.Fatalf("%d %s", code, body)
		}
	}
	ours.text("PUT", "/v2/images/"+ids[1]+"/tags/x", "")
	ours.text("DELETE", "/v2/images/"+ids[2], "")
	args := n.Args()
	n.Stop()
	answers := func() (all []string) {
		g := testenv.Glance(t, dsn, folder)
		defer g.Stop()
		a := on(t, g.Addr)
		for _, path := range []string{"/v2/images", "/v2/images/" + ids[0], "/v2/images/" + ids[1], "/v2/images/" + ids[2], "/v2/images?tag=x", "/v2/images?color=blue"} {
			code, body := a.text("GET", path, "")
			if want := map[bool]int{true: 404, false: 200}[path == "/v2/images/"+ids[2]]; code != want {
				t.Errorf("%s: %d %s", path, code, body)
			}
			all = append(all, body)
		}
		a.same(ids[0], file)
		return all
	}
	before := answers()
	if out, err := testenv.TryRun(t, nil, testenv.Binary(t), append([]string{"db", "remove"}, args...)...); err == nil {
		t.Errorf("removed without being sure: %s", out)
	}
	testenv.Run(t, nil, testenv.Binary(t), append([]string{"db", "remove", "--yes"}, args...)...)
	after := answers()
	for i := range before {
		if before[i] != after[i] {
			t.Errorf("before %s\nafter %s", before[i], after[i])
		}
	}
	n.Start() // and forth again: what was forgotten is learned anew
	ours.same(ids[0], file)
}
