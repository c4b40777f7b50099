package systest

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glimpse/cmd/testenv"

	_ "github.com/go-sql-driver/mysql"
)

// locating is a node that takes locations on this machine.
func locating(t *testing.T, sets ...string) *testenv.Node {
	t.Helper()
	return testenv.Glimpse(t, append([]string{"api.show_multiple_locations=true", "stores.web.type=http", "stores.web.allowed_hosts=[127.0.0.1]"}, sets...)...)
}

// publish writes an object where the web server finds it, and returns its hash.
func publish(t *testing.T, w *testenv.Web, name string, data []byte) string {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(w.Root, name), data, 0o600))
	h := sha512.Sum512(data)
	return hex.EncodeToString(h[:])
}

// locationCalls go in this order on both; WEB is the server, HASH that of its
// object "a".
func locationCalls() []call {
	add := func(at, value string) call {
		return change(v21, `[{"op": "add", "path": "/locations/`+at+`", "value": `+value+`}]`)
	}
	replace := func(value string) call {
		return change(v21, `[{"op": "replace", "path": "/locations", "value": `+value+`}]`)
	}
	remove := func(at string) call { return change(v21, `[{"op": "remove", "path": "/locations/`+at+`"}]`) }
	url := func(path string) string { return `{"url": "WEB` + path + `", "metadata": {"store": "web"}}` }
	claim := func(path, data string) string {
		return `{"url": "WEB` + path + `", "metadata": {"store": "web"}, "validation_data": ` + data + `}`
	}
	return []call{
		create(`{"locations": []}`), create(`{"locations": [` + url("/a") + `]}`),
		add("-", `{"url": "file:///etc/passwd", "metadata": {}}`), add("-", `{"url": "filesystem:///etc/passwd", "metadata": {}}`), add("-", `{"url": "swift+config://ref/c/o", "metadata": {}}`),
		add("-", `{"url": "cinder://v", "metadata": {}}`), add("-", `{"url": "x", "metadata": {}}`), add("-", `{"url": "", "metadata": {}}`), add("-", `{"url": "http://localhost:1/x", "metadata": {}}`),
		add("-", `{"url": "http://127.1/x", "metadata": {}}`), add("-", `{"url": "http://[::1]/x", "metadata": {}}`), add("-", `{"url": "http://169.254.169.254/latest", "metadata": {}}`),
		add("-", url("/missing")), add("-", url("/empty")), add("-", `{"metadata": {}}`), add("-", `{"url": "WEB/a"}`), add("-", `{"url": "WEB/a", "metadata": 1}`), add("-", `[]`), add("x", url("/a")),
		add("-", `{"url": "WEB/`+strings.Repeat("a", 255)+`", "metadata": {}}`), change(v21, `[{"op": "add", "path": "/locations", "value": []}]`), change(v21, `[{"op": "replace", "path": "/locations/0", "value": {}}]`),
		change(v21, `[{"op": "remove", "path": "/locations"}]`), change(v21, `[{"op": "add", "path": "/locations/0/url", "value": "x"}]`),
		remove("0"), remove("-"), replace(`[]`), replace(`{}`), replace(`["x"]`), replace(`[` + url("/missing") + `]`), replace(`[` + url("/a") + `, ` + url("/a") + `]`),
		add("-", claim("/a", `{"os_hash_algo": "sha256", "os_hash_value": "`+strings.Repeat("a", 64)+`"}`)), add("-", claim("/a", `{"os_hash_algo": "sha512", "os_hash_value": "aa"}`)),
		add("-", claim("/a", `{"os_hash_algo": "sha512", "os_hash_value": "`+strings.Repeat("x", 128)+`"}`)), add("-", claim("/a", `{"os_hash_algo": "sha512"}`)), add("-", claim("/a", `{}`)),
		add("-", claim("/a", `{"os_hash_algo": "sha512", "os_hash_value": "HASH", "checksum": "aa"}`)), add("-", claim("/a", `{"os_hash_algo": "sha512", "os_hash_value": "HASH", "checksum": "`+strings.Repeat("x", 32)+`"}`)),
		add("-", claim("/a", `{"os_hash_algo": "sha512", "os_hash_value": "HASH", "x": "y"}`)),
		add("-", claim("/a", `{"os_hash_algo": "sha512", "os_hash_value": "HASH"}`)),
		{method: "GET", path: "/v2/images/ID/file"},
		{method: "PUT", path: "/v2/images/ID/file", body: "x", headers: []string{"Content-Type", "application/octet-stream"}},
		add("-", url("/a")), add("0", url("/b")), add("99", url("/c")), add("-", claim("/d", `{"os_hash_algo": "sha512", "os_hash_value": "HASH"}`)),
		add("-", claim("/e", `{"os_hash_algo": "sha512", "os_hash_value": "`+strings.Repeat("a", 128)+`"}`)),
		replace(`[` + url("/a") + `]`), replace(`[]`), remove("9"), remove("x"), remove("-1"), remove("-"), remove("0"),
		{method: "POST", path: "/v2/images/ID/actions/deactivate"},
		add("-", url("/f")), remove("0"),
		{method: "POST", path: "/v2/images/ID/actions/reactivate"},
		add("-", url("/a1")), add("-", url("/a2")), add("-", url("/a3")), add("-", url("/a4")), add("-", url("/a5")), add("-", url("/a6")), add("-", url("/a7")), add("-", url("/a8")), add("-", url("/a9")),
		change(v20, `[{"add": "/locations/-", "value": `+url("/f")+`}]`), change(v20, `[{"remove": "/locations/1"}]`), change(v20, `[{"add": "/locations/-", "value": `+url("/f")+`}]`),
		{method: "DELETE", path: "/v2/images/ID"},
	}
}

// A real Glance is asked the same about locations: the same status, and of what
// is changed the same left. Of several stores it finds the one of an http URL by
// its metadata alone.
func TestLocationsAnswerAsGlances(t *testing.T) {
	testenv.Need(t, "glance-api", "mariadbd", "nginx")
	web := testenv.Nginx(t, "")
	data := content(t, 1<<20)
	hash := ""
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9"} {
		hash = publish(t, web, name, data)
	}
	publish(t, web, "empty", nil)
	dsn := testenv.MariaDB(t)
	testenv.GlanceDB(t, dsn)
	g := testenv.Glance(t, dsn, t.TempDir(), fmt.Sprintf(`[DEFAULT]
show_multiple_locations = true
enabled_backends = main:file, web:http
[import_filtering_opts]
allowed_hosts = [127.0.0.1]
allowed_ports = [%s]
`, web.URL[strings.LastIndex(web.URL, ":")+1:]))
	n := locating(t)
	type answer struct {
		code  int
		shown string
	}
	answers := func(a api) (all []answer) {
		id := a.create("n", "raw")
		for _, c := range locationCalls() {
			r := strings.NewReplacer("ID", id, "WEB", web.URL, "HASH", hash)
			code, text := a.text(c.method, r.Replace(c.path), r.Replace(c.body), c.headers...)
			var m map[string]any
			shown := ""
			if code == 200 && c.method == "PATCH" {
				must(t, json.Unmarshal([]byte(text), &m))
				places, ok := m["locations"].([]any)
				shown = fmt.Sprint(ok, len(places), m["status"], m["size"], m["os_hash_value"]) // the checksum we fill in, when a claim has been proved
			}
			all = append(all, answer{code, shown})
		}
		return all
	}
	theirs, ours := answers(on(t, g.Addr)), answers(on(t, n.API))
	for i, c := range locationCalls() {
		if ours[i] != theirs[i] {
			t.Errorf("%s %.60s %.200s: %v, Glance answers %v", c.method, c.path, c.body, ours[i], theirs[i])
		}
	}
	t.Logf("%d requests compared", len(theirs))
}

// The new form on a real web server: active at once and hashed afterwards, or
// when the hash that was given has been seen to be right; and a false one.
func TestLocationsAreHashed(t *testing.T) {
	web := testenv.Nginx(t, "")
	n := locating(t, "api.show_multiple_locations=false")
	a := on(t, n.API)
	data := content(t, 9<<20+5)
	hash := publish(t, web, "image", data)
	add := func(id, more string) {
		t.Helper()
		code, body := a.text("POST", "/v2/images/"+id+"/locations", fmt.Sprintf(`{"url": "%s/image?sig=hush"%s}`, web.URL, more), "Content-Type", "application/json")
		if code != http.StatusAccepted || body != "" {
			t.Fatal(code, body)
		}
	}
	claim := func(hash string) string {
		return `, "validation_data": {"os_hash_algo": "sha512", "os_hash_value": "` + hash + `"}`
	}
	plain, proved, false_ := a.create("plain", "raw"), a.create("proved", "raw"), a.create("false", "raw")
	add(plain, "")
	if m := a.show(plain); m["status"] != "active" || m["size"] != float64(len(data)) {
		t.Errorf("got %v", m)
	}
	add(proved, claim(hash))
	add(false_, claim(strings.Repeat("a", 128)))
	for _, id := range []string{plain, proved} {
		until(t, "hashed", func() bool {
			m := a.show(id)
			return m["status"] == "active" && m["os_hash_value"] == hash && m["checksum"] != nil
		})
	}
	until(t, "queued again", func() bool { m := a.show(false_); return m["status"] == "queued" && m["os_hash_value"] == nil })
	file := filepath.Join(t.TempDir(), "data")
	must(t, os.WriteFile(file, data, 0o600))
	a.same(plain, file)
	a.same(proved, file)
	code, body := a.text("GET", "/v2/images/"+plain+"/locations", "")
	if want := fmt.Sprintf(`[{"metadata":{"store":"web"},"url":"%s/image?sig=hush"}]`, web.URL); code != 200 || body != want {
		t.Errorf("%d %s, want %s", code, body, want)
	}
	if out := n.Log(); strings.Contains(out, "hush") || !strings.Contains(out, "do not give the hash that was announced") {
		t.Errorf("the log tells too much, or too little:\n%s", out)
	}
}

// A node that dies while it hashes takes the image up again.
func TestACrashWhileHashing(t *testing.T) {
	web := testenv.Nginx(t, "limit_rate 1m;")
	n := locating(t)
	a := on(t, n.API)
	hash := publish(t, web, "image", content(t, 6<<20))
	id := a.create("x", "raw")
	code, body := a.text("POST", "/v2/images/"+id+"/locations", fmt.Sprintf(`{"url": "%s/image", "validation_data": {"os_hash_algo": "sha512", "os_hash_value": %q}}`, web.URL, hash), "Content-Type", "application/json")
	if code != http.StatusAccepted {
		t.Fatal(code, body)
	}
	until(t, "it is read", func() bool { return metric(t, n, `glimpse_origin_reads_total{store="web"}`) > 0 })
	n.Kill()
	db := registryOf(t, n)
	var waiting int
	must(t, db.QueryRow("SELECT COUNT(*) FROM glimpse_hashing h JOIN images i ON i.id = h.image_id WHERE i.status = 'importing'").Scan(&waiting))
	if waiting != 1 {
		t.Fatalf("%d images wait", waiting)
	}
	_, err := db.Exec("UPDATE glimpse_hashing SET due = 0") // as if the dead node's time were over
	must(t, err)
	must(t, db.Close())
	n.Start()
	until(t, "it is active", func() bool {
		m := a.show(id)
		return m["status"] == "active" && m["os_hash_value"] == hash && m["checksum"] != nil
	})
}

// The calls of a real glanceclient.
func TestGlanceclientAddsLocations(t *testing.T) {
	testenv.Need(t, "glance", "nginx")
	web := testenv.Nginx(t, "")
	k := testenv.Keystone(t)
	n := locating(t, "auth.mode=keystone", "auth.keystone.auth_url="+k.URL, "auth.keystone.username=glance", "auth.keystone.password=glancepw")
	k.SetImageEndpoint(t, n.URL(""))
	env := k.Env("demo", "demopw", "demo")
	data := content(t, 1<<20)
	hash := publish(t, web, "one", data)
	publish(t, web, "two", data)
	a := on(t, n.API)
	a.token = k.Token(t, "demo", "demopw", "demo")
	id := a.create("x", "raw")
	testenv.Run(t, env, "/usr/bin/glance", "location-add", "--url", web.URL+"/one", "--hash-algo", "sha512", "--hash-value", hash, id)
	testenv.Run(t, env, "/usr/bin/glance", "location-add", "--url", web.URL+"/two", "--metadata", `{"a": "b"}`, id)
	testenv.Run(t, env, "/usr/bin/glance", "location-update", "--url", web.URL+"/two", "--metadata", `{"c": "d"}`, id)
	testenv.Run(t, env, "/usr/bin/glance", "image-download", "--file", filepath.Join(t.TempDir(), "out"), id) // checks the hash
	got, _ := json.Marshal(a.show(id)["locations"])
	want := fmt.Sprintf(`[{"metadata":{"store":"web"},"url":"%[1]s/one"},{"metadata":{"c":"d","store":"web"},"url":"%[1]s/two"}]`, web.URL)
	if !bytes.Equal(got, []byte(want)) {
		t.Errorf("got %s, want %s", got, want)
	}
	if out, err := testenv.TryRun(t, env, "/usr/bin/glance", "location-delete", "--url", web.URL+"/one", id); err == nil || !strings.Contains(out+err.Error(), "403") {
		t.Errorf("a member deletes: %v %s", err, out)
	}
	testenv.Run(t, k.Env("admin", "secret", "admin"), "/usr/bin/glance", "location-delete", "--url", web.URL+"/one", id)
	if places := a.show(id)["locations"].([]any); len(places) != 1 {
		t.Errorf("%d locations", len(places))
	}
}

// With the same key Glance and Glimpse read each other's locations on one
// database, where none lies open.
func TestEncryptedLocationsBesideARealGlance(t *testing.T) {
	testenv.Need(t, "glance-api", "mariadbd")
	const key = "0123456789abcdef"
	dsn, folder := testenv.MariaDB(t), t.TempDir()
	testenv.GlanceDB(t, dsn)
	g := testenv.Glance(t, dsn, folder, "[DEFAULT]\nmetadata_encryption_key = "+key)
	n := testenv.Glimpse(t, "registry.url="+dsn, "stores.main.path="+folder, "api.metadata_encryption_key="+key)
	theirs, ours := on(t, g.Addr), on(t, n.API)
	file := filepath.Join(t.TempDir(), "in")
	random(t, file, 5<<20+7)
	first, second := theirs.create("theirs", "raw"), ours.create("ours", "raw")
	theirs.upload(first, file)
	ours.upload(second, file)
	theirs.same(second, file)
	ours.same(first, file)
	// A Glance writes all locations anew with each change.
	if code, body := theirs.text("PATCH", "/v2/images/"+second, `[{"op": "replace", "path": "/name", "value": "changed"}]`, "Content-Type", v21); code != 200 {
		t.Fatal(code, body)
	}
	until(t, "the change is seen", func() bool { return ours.show(second)["name"] == "changed" })
	ours.same(second, file)
	db := database(t, dsn)
	var open, all int
	must(t, db.QueryRow("SELECT (SELECT COUNT(*) FROM image_locations WHERE value LIKE '%file%') + (SELECT COUNT(*) FROM glimpse_uploads WHERE locator LIKE '%file%'), "+
		"(SELECT COUNT(*) FROM image_locations) + (SELECT COUNT(*) FROM glimpse_uploads)").Scan(&open, &all))
	if open > 0 || all != 3 {
		t.Errorf("%d of %d lie open", open, all)
	}
	for _, id := range []string{first, second} {
		if code, body := ours.text("DELETE", "/v2/images/"+id, ""); code != 204 {
			t.Error(code, body)
		}
		if _, err := os.Stat(filepath.Join(folder, id)); !os.IsNotExist(err) {
			t.Errorf("the bytes of %s are left: %v", id, err)
		}
	}
}
