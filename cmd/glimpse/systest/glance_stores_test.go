package systest

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// origin is a store as Glance and Glimpse are both told of it.
type origin struct {
	id, kind string
	glance   string                             // the options of its group
	glimpse  []string                           // its keys
	in       func(*testing.T) []string          // the names of what lies in it
	pieces   func(t *testing.T, key string) int // what an image of several megabytes is cut into; nil: it is not
}

// origins is the table of stores; Glance cuts images where we do, in pieces of 2 to
// 8 MiB.
func origins(t *testing.T, folder string) []origin {
	s3, swift := testenv.Versitygw(t), testenv.Swift(t)
	refs := filepath.Join(t.TempDir(), "refs.conf")
	must(t, os.WriteFile(refs, fmt.Appendf(nil, "[site]\nauth_version = 1\nauth_address = %s\nuser = %s\nkey = %s\n", swift.AuthURL, swift.User, swift.Key), 0o600))
	const swiftSizes = "swift_store_create_container_on_put = true\nswift_store_large_object_size = 3\nswift_store_large_object_chunk_size = 2\n"
	ourSizes := []string{"create_container_on_put=true", "large_object_size=3", "large_object_chunk_size=4MiB"}
	buckets := func(bucket, conditional string) (string, []string) {
		return fmt.Sprintf("s3_store_host = %s\ns3_store_access_key = %s\ns3_store_secret_key = %s\ns3_store_bucket = %s\ns3_store_create_bucket_on_put = true\n"+
				"s3_store_bucket_url_format = path\ns3_store_large_object_size = 5\ns3_store_large_object_chunk_size = 5\n", s3.URL, s3.Access, s3.Secret, bucket),
			[]string{"endpoint=" + s3.URL, "access_key=" + s3.Access, "secret_key=" + s3.Secret, "bucket=" + bucket, "create_bucket=true", "part_size=8MiB", "conditional_writes=" + conditional}
	}
	one, ourOne := buckets("one", "on")
	two, ourTwo := buckets("two", "off")
	return []origin{
		{
			id: "main", kind: "file", glimpse: []string{"path=" + folder}, glance: "filesystem_store_datadir = " + folder,
			in: files(folder),
		},
		{
			id: "one", kind: "s3", glance: one, glimpse: ourOne,
			in: files(s3.Data + "/one"), pieces: parts(s3.Data + "/one"),
		},
		{
			id: "two", kind: "s3", glance: two, glimpse: ourTwo,
			in: files(s3.Data + "/two"), pieces: parts(s3.Data + "/two"),
		},
		{
			id: "user", kind: "swift",
			glance:  fmt.Sprintf("swift_store_auth_version = 1\nswift_store_auth_address = %s\nswift_store_user = %s\nswift_store_key = %s\nswift_store_container = user\n", swift.AuthURL, swift.User, swift.Key) + swiftSizes,
			glimpse: append([]string{"auth_version=1", "auth_address=" + swift.AuthURL, "user=" + swift.User, "key=" + swift.Key, "container=user"}, ourSizes...),
			in:      objects(swift, "user"), pieces: segments(swift, "user"),
		},
		{
			id: "refs", kind: "swift",
			glance:  "swift_store_config_file = " + refs + "\ndefault_swift_reference = site\nswift_store_container = refs\n" + swiftSizes,
			glimpse: append([]string{"config_file=" + refs, "default_swift_reference=site", "container=refs"}, ourSizes...),
			in:      objects(swift, "refs"), pieces: segments(swift, "refs"),
		},
	}
}

// files lists a folder, with what lies deeper in it.
func files(folder string) func(*testing.T) []string {
	return func(t *testing.T) (names []string) {
		t.Helper()
		must(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				names = append(names, path)
			}
			return err
		}))
		return names
	}
}

// parts tells by the ETag that versitygw keeps with an object's file.
func parts(bucket string) func(*testing.T, string) int {
	return func(t *testing.T, key string) (n int) {
		t.Helper()
		etag := make([]byte, 100)
		k, err := syscall.Getxattr(filepath.Join(bucket, key), "user.etag", etag)
		must(t, err)
		if _, after, ok := strings.Cut(string(etag[:k]), "-"); ok {
			_, err = fmt.Sscan(strings.Trim(after, `"`), &n)
			must(t, err)
		}
		return n
	}
}

// objects lists a container.
func objects(s *testenv.SwiftServer, container string) func(*testing.T) []string {
	return func(t *testing.T) []string { return listing(t, s, container, "") }
}

func segments(s *testenv.SwiftServer, container string) func(*testing.T, string) int {
	return func(t *testing.T, key string) int { return len(listing(t, s, container, key+"-")) }
}

func listing(t *testing.T, s *testenv.SwiftServer, container, prefix string) []string {
	t.Helper()
	login := api{t: t}.do("GET", s.AuthURL, nil, "X-Auth-User", s.User, "X-Auth-Key", s.Key)
	login.Body.Close()
	in := api{t: t, base: login.Header.Get("X-Storage-Url"), token: login.Header.Get("X-Auth-Token")}
	code, body := in.text("GET", "/"+container+"?prefix="+prefix, "")
	if code/100 != 2 {
		t.Fatalf("listing: %d %s", code, body)
	}
	return strings.Fields(body)
}

// pair is a real Glance and a Glimpse on one database and the same stores.
type pair struct {
	t            *testing.T
	stores       []origin
	dsn, folder  string
	g            *testenv.GlanceServer
	n            *testenv.Node
	theirs, ours api
	db           *sql.DB
	file         string
}

func newPair(t *testing.T) *pair {
	testenv.Need(t, "glance-api", "mariadbd")
	p := &pair{t: t, dsn: testenv.MariaDB(t), folder: t.TempDir(), file: filepath.Join(t.TempDir(), "in")}
	p.stores = origins(t, p.folder)
	random(t, p.file, 12<<20+777)
	u, err := url.Parse(p.dsn)
	must(t, err)
	password, _ := u.User.Password()
	p.db, err = sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s)%s", u.User.Username(), password, u.Host, u.Path))
	must(t, err)
	t.Cleanup(func() { p.db.Close() })
	testenv.GlanceDB(t, p.dsn)
	sets := []string{"registry.url=" + p.dsn}
	for _, s := range p.stores {
		for _, key := range append([]string{"type=" + s.kind}, s.glimpse...) {
			sets = append(sets, "stores."+s.id+"."+key)
		}
	}
	p.start("")
	p.n = testenv.Glimpse(t, sets...)
	p.ours = on(t, p.n.API)
	return p
}

// start starts Glance.
func (p *pair) start(options string) {
	backends, groups := "", ""
	for _, s := range p.stores {
		backends += "," + s.id + ":" + s.kind
		groups += "[" + s.id + "]\n" + s.glance + "\n"
	}
	p.g = testenv.Glance(p.t, p.dsn, p.folder, "[DEFAULT]\nenabled_backends = "+backends[1:]+"\n"+options+groups)
	p.theirs = on(p.t, p.g.Addr)
}

// of is the pair for a subtest.
func (p pair) of(t *testing.T) pair {
	p.t, p.theirs.t, p.ours.t = t, t, t
	return p
}

// fill makes an image of the file in a store, with its size announced or not.
func (p pair) fill(a api, store string, known bool) string {
	p.t.Helper()
	id := a.create("x", "raw")
	f, err := os.Open(p.file)
	must(p.t, err)
	defer f.Close()
	body := io.Reader(f) // is sent in chunks
	if known {
		data, err := io.ReadAll(f)
		must(p.t, err)
		body = bytes.NewReader(data)
	}
	resp := a.do("PUT", "/v2/images/"+id+"/file", body, "Content-Type", "application/octet-stream", "X-Image-Meta-Store", store)
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != 204 {
		p.t.Fatalf("%s: upload: %s %s", store, resp.Status, b)
	}
	return id
}

// row is the location of an image as it stands in the database.
func (p pair) row(id string) (value string, labels map[string]string) {
	p.t.Helper()
	var text string
	must(p.t, p.db.QueryRow("SELECT value, meta_data FROM image_locations WHERE image_id = ? AND deleted = 0", id).Scan(&value, &text))
	must(p.t, json.Unmarshal([]byte(text), &labels))
	return value, labels
}

// key is the last name of an image's location.
func (p pair) key(id string) string {
	p.t.Helper()
	value, _ := p.row(id)
	return value[strings.LastIndex(value, "/")+1:]
}

// middle asks for a range that begins and ends within pieces.
func (p pair) middle(a api, id string) {
	p.t.Helper()
	const off, n = 5<<20 - 100, 3 << 20
	resp := a.do("GET", "/v2/images/"+id+"/file", nil, "Range", rangeHeader(off, n))
	defer resp.Body.Close()
	f, err := os.Open(p.file)
	must(p.t, err)
	defer f.Close()
	if err := equal(resp.Body, io.NewSectionReader(f, off, n)); resp.StatusCode != 206 || err != nil {
		p.t.Errorf("a range: %s %v", resp.Status, err)
	}
}

// reads is how often Glimpse has read from a store.
func (p pair) reads(store string) float64 {
	_, text := on(p.t, p.n.Ops).text("GET", "/metrics", "")
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, `glimpse_origin_reads_total{store="`+store+`"} `) {
			return metric(p.t, p.n, `glimpse_origin_reads_total{store="`+store+`"}`)
		}
	}
	return 0
}

// exchange writes images with each into a store, reads them with both and deletes
// them with the other one.
func (p pair) exchange(t *testing.T, s origin, sizes ...bool) {
	p = p.of(t)
	type written struct{ by, other, id string }
	var all []written
	apis := map[string]api{"Glance": p.theirs, "Glimpse": p.ours}
	for _, known := range sizes {
		ids := map[string]string{"Glance": p.fill(p.theirs, s.id, known), "Glimpse": p.fill(p.ours, s.id, known)}
		all = append(all, written{"Glance", "Glimpse", ids["Glance"]}, written{"Glimpse", "Glance", ids["Glimpse"]})
	}
	for _, w := range all {
		for name, a := range apis {
			if m := a.show(w.id); m["stores"] != s.id || m["status"] != "active" || m["size"] != float64(stat(t, p.file)) {
				t.Errorf("written by %s, %s shows %v", w.by, name, m)
			}
		}
		if s.pieces != nil && (w.by == "Glimpse" || w == all[0]) { // of an unknown size Glance sends one part to S3
			if n := s.pieces(t, p.key(w.id)); n < 2 {
				t.Errorf("%s wrote %d pieces", w.by, n)
			}
		}
		before := p.reads(s.id)
		p.middle(p.ours, w.id)
		p.ours.same(w.id, p.file)
		p.theirs.same(w.id, p.file)
		if w.by == "Glance" && p.reads(s.id) == before {
			t.Error("the origin was not read")
		}
	}
	for _, w := range all {
		if code, body := apis[w.other].text("DELETE", "/v2/images/"+w.id, ""); code != 204 {
			t.Errorf("%s deletes what %s wrote: %d %s", w.other, w.by, code, body)
		}
	}
	if left := s.in(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// One Glance and one Glimpse have the same stores of every type: each serves and
// deletes what the other wrote, and both write the same locations, open and
// encrypted. Locations of old forms are served as well.
func TestStoresBesideARealGlance(t *testing.T) {
	began := time.Now()
	p := newPair(t)
	t.Logf("started in %v", time.Since(began))
	for _, s := range p.stores {
		t.Run(s.id, func(t *testing.T) {
			p.exchange(t, s, true, false)
		})
	}
	t.Run("locations", p.sameLocations)
	t.Logf("%v", time.Since(began))
}

// sameLocations compares the rows of both, but for the names of the objects.
func (p pair) sameLocations(t *testing.T) {
	p = p.of(t)
	for _, s := range p.stores {
		var rows [2]string
		for i, a := range []api{p.theirs, p.ours} {
			id := p.fill(a, s.id, true)
			value, labels := p.row(id)
			key := p.key(id)
			rows[i] = fmt.Sprint(strings.TrimSuffix(value, key), " ", labels)
			if key != id && (a == p.theirs || s.id != "two" || !strings.HasPrefix(key, id+"-")) {
				t.Errorf("%s: the key is %s of %s", s.id, key, id)
			}
		}
		if rows[0] != rows[1] {
			t.Errorf("%s: Glance writes %s, we %s", s.id, rows[0], rows[1])
		}
	}
}
