package systest

import (
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// One Glance and one Glimpse have the same stores of every type: each serves and
// deletes what the other wrote, both write the same locations, open and encrypted,
// and those of other forms are served.
func TestStoresBesideARealGlance(t *testing.T) {
	began := time.Now()
	p := newPair(t)
	t.Logf("started in %v", time.Since(began))
	for _, s := range p.stores {
		t.Run(s.id, func(t *testing.T) {
			p.of(t).exchange(s, true, false)
			p.of(t).oldForms(s)
		})
	}
	const key = "0123456789abcdef"
	p.g.Stop()
	p.startGlance("metadata_encryption_key = " + key)
	p.n.Stop()
	p.n.Start("api.metadata_encryption_key=" + key)
	p.encrypted = true
	for _, s := range p.stores {
		t.Run(s.id+" encrypted", func(t *testing.T) { p.of(t).exchange(s, true) })
	}
	t.Logf("%d stores in %v", len(p.stores), time.Since(began))
}

// pair is a real Glance and a Glimpse on one database and the same stores.
type pair struct {
	t            *testing.T
	stores       []origin
	dsn, folder  string
	db           *sql.DB
	g            *testenv.GlanceServer
	n            *testenv.Node
	theirs, ours api
	file         string // the image
	encrypted    bool
}

func newPair(t *testing.T) *pair {
	testenv.Need(t, "glance-api", "mariadbd")
	p := &pair{t: t, dsn: testenv.MariaDB(t), folder: t.TempDir(), file: filepath.Join(t.TempDir(), "in")}
	p.stores = origins(t, p.folder)
	random(t, p.file, 12<<20+777)
	p.db = database(t, p.dsn)
	sets := []string{"registry.url=" + p.dsn, "api.show_multiple_locations=true"}
	for _, s := range p.stores {
		sets = append(sets, "stores."+s.id+".type="+s.kind)
		for _, key := range s.glimpse {
			sets = append(sets, "stores."+s.id+"."+key)
		}
	}
	start := testenv.Glimpse
	if slices.ContainsFunc(p.stores, func(s origin) bool { return s.kind == "rbd" }) {
		start = testenv.CephGlimpse
	}
	p.n = start(t, sets...) // makes the tables
	p.ours = on(t, p.n.API)
	p.startGlance("")
	return p
}

func (p *pair) startGlance(option string) {
	var enabled, groups []string
	for _, s := range p.stores {
		enabled = append(enabled, s.id+":"+s.kind)
		groups = append(append(groups, "["+s.id+"]"), s.glance...)
	}
	p.g = testenv.Glance(p.t, p.dsn, p.folder, append([]string{"[DEFAULT]", "show_multiple_locations=true", option, "enabled_backends=" + strings.Join(enabled, ",")}, groups...)...)
	p.theirs = on(p.t, p.g.Addr)
}

// of is the pair in a subtest.
func (p pair) of(t *testing.T) pair {
	p.t, p.theirs.t, p.ours.t = t, t, t
	return p
}

// exchange writes images with each into a store, of a size that is announced or
// not, reads them with both, and deletes them with the other one.
func (p pair) exchange(s origin, announced ...bool) {
	p.t.Helper()
	before := p.reads(s.id)
	for _, size := range announced {
		first, second := p.fill(p.theirs, s.id, size), p.fill(p.ours, s.id, size)
		p.alike(s, first, second)
		for _, id := range []string{first, second} {
			whole := s.pieces == nil || s.kind == "s3" && id == first && !size // Glance sends to S3 in one piece what isn't announced
			if !whole && s.pieces(p.t, p.key(s, id)) < 2 {
				p.t.Errorf("%s is in one piece", id)
			}
			p.middle(id)
			p.ours.same(id, p.file)
			p.theirs.same(id, p.file)
		}
		p.remove(p.ours, first)
		p.remove(p.theirs, second)
	}
	if n := p.reads(s.id) - before; n < float64(3*len(announced)) {
		p.t.Errorf("%v reads of the origin", n)
	}
	if left := s.in(p.t); len(left) > 0 {
		p.t.Errorf("left: %v", left)
	}
}

// alike compares what is shown and stored of an image by Glance with one of ours.
func (p pair) alike(s origin, first, second string) {
	p.t.Helper()
	for _, a := range []api{p.theirs, p.ours} {
		for _, id := range []string{first, second} {
			if m := a.show(id); m["stores"] != s.id || m["status"] != "active" || m["size"] != float64(stat(p.t, p.file)) {
				p.t.Errorf("%s shows %v", a.base, m)
			}
		}
	}
	if a, b := p.theirs.show(second)["locations"], p.ours.show(second)["locations"]; !reflect.DeepEqual(a, b) {
		p.t.Errorf("Glance shows %v, we %v", a, b)
	}
	theirs, ours := p.location(first), p.location(second)
	if key := p.key(s, second); key != second && (!s.token || !strings.HasPrefix(key, second+"-")) {
		p.t.Errorf("the key of %s is %s", second, key)
	}
	url := strings.TrimSuffix(ours["url"].(string), p.key(s, second)+s.tail) + first + s.tail
	if theirs["url"] != url || !reflect.DeepEqual(theirs["metadata"], ours["metadata"]) {
		p.t.Errorf("Glance writes %v, we %v", theirs, ours)
	}
	for _, id := range []string{first, second} {
		var value string
		must(p.t, p.db.QueryRow("SELECT value FROM image_locations WHERE image_id = ?", id).Scan(&value))
		if strings.Contains(value, "://") == p.encrypted {
			p.t.Errorf("%s is stored", value)
		}
	}
}

// oldForms has Glimpse, and Glance where it can, serve locations that are put into
// the database by hand, with and without the store's id beside them.
func (p pair) oldForms(s origin) {
	p.t.Helper()
	source := p.fill(p.theirs, s.id, true)
	now := p.location(source)["url"].(string)
	var all []string
	for _, f := range s.old {
		url := strings.Replace(now, f.from, f.to, 1)
		if f.short {
			url = strings.TrimSuffix(url, s.tail)
		}
		labelled, bare := p.byHand(url, `{"store": "`+s.id+`"}`), p.byHand(url, "{}")
		if !f.unread {
			p.theirs.same(labelled, p.file)
		}
		for _, id := range []string{labelled, bare} {
			before := p.reads(s.id)
			if m := p.ours.show(id); m["stores"] != s.id {
				p.t.Errorf("%s: stores is %v", url, m["stores"])
			}
			p.middle(id)
			p.ours.same(id, p.file)
			if p.reads(s.id) == before {
				p.t.Errorf("%s: the origin was not read", url)
			}
		}
		all = append(all, bare, labelled)
	}
	if s.age != nil {
		s.age(p.t, p.key(s, source))
	}
	for i, id := range all {
		p.remove(p.ours, id)
		if left := s.in(p.t); i == 1 && len(left) > 0 { // no other image names its place in this form
			p.t.Errorf("left: %v", left)
		}
	}
	p.remove(p.theirs, source)
}

// byHand makes an image with such a location.
func (p pair) byHand(url, metadata string) string {
	p.t.Helper()
	id := p.theirs.create("old", "raw")
	_, err := p.db.Exec("UPDATE images SET status = 'active', size = ? WHERE id = ?", stat(p.t, p.file), id)
	must(p.t, err)
	_, err = p.db.Exec("INSERT INTO image_locations (image_id, value, meta_data, status, created_at, deleted) VALUES (?, ?, ?, 'active', NOW(), 0)", id, url, metadata)
	must(p.t, err)
	return id
}

// fill makes an image of the file in a store.
func (p pair) fill(a api, store string, announced bool) string {
	p.t.Helper()
	id := a.create("x", "raw")
	f, err := os.Open(p.file)
	must(p.t, err)
	defer f.Close()
	body := io.Reader(f) // is sent in chunks
	if announced {
		data, err := io.ReadAll(f)
		must(p.t, err)
		body = bytes.NewReader(data)
	}
	resp := a.do("PUT", "/v2/images/"+id+"/file", body, "Content-Type", "application/octet-stream", "X-Image-Meta-Store", store)
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != 204 {
		p.t.Fatalf("upload: %s %s", resp.Status, b)
	}
	return id
}

func (p pair) remove(a api, id string) {
	p.t.Helper()
	if code, body := a.text("DELETE", "/v2/images/"+id, ""); code != 204 {
		p.t.Errorf("delete: %d %s", code, body)
	}
}

// location is an image's one location.
func (p pair) location(id string) map[string]any {
	p.t.Helper()
	return p.ours.show(id)["locations"].([]any)[0].(map[string]any)
}

// key is the name of an image's object.
func (p pair) key(s origin, id string) string {
	p.t.Helper()
	url := strings.TrimSuffix(p.location(id)["url"].(string), s.tail)
	return url[strings.LastIndex(url, "/")+1:]
}

// middle has Glimpse serve a range that begins and ends within pieces.
func (p pair) middle(id string) {
	p.t.Helper()
	const off, n = 5<<20 - 100, 3 << 20
	resp := p.ours.do("GET", "/v2/images/"+id+"/file", nil, "Range", rangeHeader(off, n))
	defer resp.Body.Close()
	f, err := os.Open(p.file)
	must(p.t, err)
	defer f.Close()
	if err := equal(resp.Body, io.NewSectionReader(f, off, n)); resp.StatusCode != 206 || err != nil {
		p.t.Errorf("a range: %s %v", resp.Status, err)
	}
}

// reads is how often Glimpse has read from a store.
func (p pair) reads(store string) (n float64) {
	p.t.Helper()
	_, text := on(p.t, p.n.Ops).text("GET", "/metrics", "")
	for l := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(l, `glimpse_origin_reads_total{store="`+store+`"} `); ok {
			_, err := fmt.Sscan(rest, &n)
			must(p.t, err)
		}
	}
	return n
}
