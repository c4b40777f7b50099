package proxy

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"glimpse/backends"
	"glimpse/backends/web"
	"glimpse/proxy/jsonpatch"
	"glimpse/proxy/ops"
	"glimpse/registry/image"
)

const serviceUser = "nova:services:service"

// site is a node with a store of type http, and a server that it may read.
type site struct {
	*node
	web  *httptest.Server
	hits atomic.Int64 // requests that reached the server
	data []byte
}

// newSite has a server on this machine; where it is allowed, hosts names it.
func newSite(t *testing.T, change func(*Config), hosts ...string) *site {
	t.Helper()
	s := &site{data: bytes.Repeat([]byte("bits"), 50_000)}
	s.web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.hits.Add(1)
		switch {
		case r.URL.Path == "/empty":
		case r.URL.Path == "/unknown":
			w.(http.Flusher).Flush()
		case r.URL.Path == "/to":
			http.Redirect(w, r, r.URL.Query().Get("u"), http.StatusFound)
		case strings.HasPrefix(r.URL.Path, "/image"):
			w.Header().Set("ETag", `"1"`)
			http.ServeContent(w, r, "", time.Unix(1e9, 0), bytes.NewReader(s.data))
		case r.URL.Path == "/shorter":
			_, _ = w.Write(s.data[:10])
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.web.Close)
	b, err := web.Open(web.Config{AllowedHosts: hosts})
	must(t, err)
	t.Cleanup(func() { must(t, b.Close()) })
	s.node = newNodeOn(t, []ops.Store{
		{ID: "web", Type: "http", ReadOnly: true, Schemes: []string{"http", "https"}, Backend: b},
		{ID: "files", Type: "file", Schemes: []string{"file", "filesystem", "swift+config"}, Backend: anything{b}},
	}, change)
	return s
}

// anything is a store that has whatever one asks for.
type anything struct{ backends.Store }

func (anything) Stat(context.Context, backends.Locator) (backends.Info, error) {
	return backends.Info{Size: 4}, nil
}

// open is a site as the older tests of Glance want it.
func open(t *testing.T) *site {
	return newSite(t, func(c *Config) { c.ShowMultipleLocations = true }, "127.0.0.1")
}

func (s *site) sum() string { h := sha512.Sum512(s.data); return hex.EncodeToString(h[:]) }
func (s *site) md5() string { h := md5.Sum(s.data); return hex.EncodeToString(h[:]) }

// hash works the queue through.
func (s *site) hash() {
	s.t.Helper()
	_, err := s.svc.HashPass(s.t.Context())
	must(s.t, err)
}

func (s *site) add(token, id, at string, more ...string) reply {
	s.t.Helper()
	return s.patch(token, id, fmt.Sprintf(`[{"op": "add", "path": "/locations/-", "value": {"url": %q, "metadata": {}%s}}]`, at, strings.Join(more, "")))
}

func (s *site) locate(token, id, body string) reply {
	s.t.Helper()
	return s.do(token, "POST", "/v2/images/"+id+"/locations", body, "Content-Type", "application/json")
}

func data(algo, hash string) string {
	return fmt.Sprintf(`, "validation_data": {"os_hash_algo": %q, "os_hash_value": %q}`, algo, hash)
}

func (s *site) show(id string) map[string]any {
	s.t.Helper()
	return s.get(admin, "/v2/images/"+id).json(s.t)
}

func (s *site) want(what string, r reply, code int) {
	s.t.Helper()
	if r.code != code {
		s.t.Errorf("%s: %d, want %d: %s", what, r.code, code, r.body)
	}
	if strings.Contains(string(r.body), "127.0.0.1") && code >= 400 {
		s.t.Errorf("%s: the answer tells of the address: %s", what, r.body)
	}
}

// The old form: a queued image becomes active by its location, with no hash, and
// is read.
func TestALocationIsAdded(t *testing.T) {
	s := open(t)
	id := s.created(member, "")
	r := s.add(member, id, s.web.URL+"/image")
	s.want("add", r, 200)
	m := r.json(t)
	if m["status"] != "active" || m["size"] != float64(len(s.data)) || m["checksum"] != nil || m["os_hash_value"] != nil {
		t.Errorf("got %v", m)
	}
	want := fmt.Sprintf(`[{"metadata":{"store":"web"},"url":%q}]`, s.web.URL+"/image")
	if got, _ := encode(m["locations"]); string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
	p, ok, err := s.reg.Pinned(t.Context(), s.record(id).Locations[0].ID)
	if err != nil || !ok || p.Size != int64(len(s.data)) || p.Validator == "" {
		t.Errorf("pinned: %v %v %v", p, ok, err)
	}
	if d := s.get(member, "/v2/images/"+id+"/file"); d.code != 200 || !bytes.Equal(d.body, s.data) {
		t.Errorf("download: %d, %d bytes", d.code, len(d.body))
	}
	s.want("the same again", s.add(member, id, s.web.URL+"/image"), 400)
	s.want("a copy", s.add(member, id, s.web.URL+"/image2"), 200)
	s.want("another size", s.add(member, id, s.web.URL+"/shorter"), 400)
	s.want("removed by a member", s.patch(member, id, `[{"op": "remove", "path": "/locations/1"}]`), 403)
	s.want("beyond the end", s.patch(admin, id, `[{"op": "remove", "path": "/locations/2"}]`), 400)
	s.want("before the beginning", s.patch(admin, id, `[{"op": "remove", "path": "/locations/-1"}]`), 400)
	s.want("removed", s.patch(admin, id, `[{"op": "remove", "path": "/locations/0"}]`), 200)
	if l := s.record(id).Locations; len(l) != 1 || l[0].URL.Reveal() != s.web.URL+"/image2" {
		t.Errorf("%d locations", len(l))
	}
	s.want("the last one", s.patch(admin, id, `[{"op": "remove", "path": "/locations/0"}]`), 403)
	// Added and taken back in one document.
	s.want("both", s.patch(admin, id, fmt.Sprintf(`[{"op":"add","path":"/locations/-","value":{"url":%q,"metadata":{}}},{"op":"remove","path":"/locations/1"}]`, s.web.URL+"/image3")), 200)
}

func (n *node) record(id string) image.Image {
	n.t.Helper()
	m, err := n.reg.Get(n.t.Context(), id)
	must(n.t, err)
	return m
}

func TestLocationsThatAreRefused(t *testing.T) {
	s := open(t)
	at := s.web.URL + "/image"
	for what, c := range map[string]struct {
		body string
		want int
	}{
		"file":               {`"url": "file:///etc/passwd", "metadata": {}`, 400},
		"FILE":               {`"url": "FILE:///etc/passwd", "metadata": {}`, 400},
		"filesystem":         {`"url": "filesystem:///etc/passwd", "metadata": {}`, 400},
		"file, by its store": {`"url": "file:///etc/passwd", "metadata": {"store": "files"}`, 400},
		"swift+config":       {`"url": "swift+config://ref/c/o", "metadata": {}`, 400},
		"cinder":             {`"url": "cinder://volume", "metadata": {}`, 400},
		"no scheme":          {`"url": "//127.0.0.1/x", "metadata": {}`, 400},
		"no url":             {`"metadata": {}`, 400},
		"no metadata":        {`"url": "http://x/y"`, 400},
		"metadata of lists":  {`"url": "http://x/y", "metadata": {"a": []}`, 400},
		"long":               {`"url": "http://x/` + strings.Repeat("y", 255) + `", "metadata": {}`, 400},
		"missing":            {`"url": "` + s.web.URL + `/nothing", "metadata": {}`, 400},
		"nothing there":      {`"url": "` + s.web.URL + `/empty", "metadata": {}`, 400},
		"unknown size":       {`"url": "` + s.web.URL + `/unknown", "metadata": {}`, 400},
		"nobody listens":     {`"url": "http://127.0.0.1:1/x", "metadata": {}`, 400},
		"broken":             {`"url": "http://127.0.0.1:x/%zz", "metadata": {}`, 400},
		"another algorithm":  {`"url": "` + at + `", "metadata": {}` + data("sha256", strings.Repeat("a", 64)), 409},
		"short hash":         {`"url": "` + at + `", "metadata": {}` + data("sha512", "aa"), 409},
		"no hex":             {`"url": "` + at + `", "metadata": {}` + data("sha512", strings.Repeat("x", 128)), 409},
		"half a claim":       {`"url": "` + at + `", "metadata": {}, "validation_data": {"os_hash_algo": "sha512"}`, 400},
		"more than a claim":  {`"url": "` + at + `", "metadata": {}, "validation_data": {"os_hash_algo": "sha512", "os_hash_value": "` + s.sum() + `", "size": "1"}`, 400},
		"short checksum":     {`"url": "` + at + `", "metadata": {}, "validation_data": {"os_hash_algo": "sha512", "os_hash_value": "` + s.sum() + `", "checksum": "aa"}`, 400},
		"checksum, no hex":   {`"url": "` + at + `", "metadata": {}, "validation_data": {"os_hash_algo": "sha512", "os_hash_value": "` + s.sum() + `", "checksum": "` + strings.Repeat("x", 32) + `"}`, 409},
		"not a string":       {`"url": "` + at + `", "metadata": {}, "validation_data": {"os_hash_algo": "sha512", "os_hash_value": 7}`, 400},
	} {
		id := s.created(member, "")
		s.want(what, s.patch(member, id, `[{"op": "add", "path": "/locations/-", "value": {`+c.body+`}}]`), c.want)
		if m := s.record(id); m.Status != image.Queued || len(m.Locations) > 0 {
			t.Errorf("%s: the image is %s with %d locations", what, m.Status, len(m.Locations))
		}
	}
	id := s.created(member, "")
	for what, c := range map[string]struct {
		op   string
		want int
	}{
		"emptied":          {`{"op": "replace", "path": "/locations", "value": []}`, 403},
		"replaced by text": {`{"op": "replace", "path": "/locations", "value": "x"}`, 400},
		"one replaced":     {`{"op": "replace", "path": "/locations/0", "value": {}}`, 400},
		"an odd position":  {`{"op": "add", "path": "/locations/x", "value": {"url": "http://x/y", "metadata": {}}}`, 400},
		"too deep":         {`{"op": "add", "path": "/locations/0/url", "value": "http://x/y"}`, 400},
	} {
		s.want(what, s.patch(member, id, "["+c.op+"]"), c.want)
	}
	s.want("removed of a queued image", s.patch(admin, id, `[{"op": "remove", "path": "/locations/0"}]`), 409)
	s.want("by a reader", s.add(reader, id, at), 403)
	s.want("by another project", s.add(other, id, at), 404)
	bare := s.create(member, `{}`).json(t)["id"].(string)
	s.want("without formats", s.add(member, bare, at), 400)
	s.want("at creation", s.create(member, `{"locations": []}`), 403)
	s.want("v2.0", s.do(member, "PATCH", "/v2/images/"+id, fmt.Sprintf(`[{"add": "/locations/0", "value": {"url": %q, "metadata": {}}}]`, at), "Content-Type", jsonpatch.MediaTypeV20), 200)
	_, err := s.reg.Update(t.Context(), id, func(m *image.Image) error { return m.SetStatus(image.Deactivated) })
	must(t, err)
	s.want("of a deactivated image", s.add(member, id, at+"2"), 409)

	closed := newSite(t, nil, "127.0.0.1")
	id = closed.created(member, "")
	closed.want("invisible", closed.add(admin, id, closed.web.URL+"/image"), 403)
	closed.want("invisible", closed.patch(admin, id, `[{"op": "replace", "path": "/locations", "value": [{"url": "http://x/y", "metadata": {}}]}]`), 403)
	if n := closed.hits.Load(); n > 0 {
		t.Errorf("%d requests for a document that is refused", n)
	}
}

func TestLocationsAreReplaced(t *testing.T) {
	s := open(t)
	id := s.created(member, "")
	list := func(items ...string) string {
		return `[{"op": "replace", "path": "/locations", "value": [` + strings.Join(items, ",") + `]}]`
	}
	one := func(path, meta string) string {
		return fmt.Sprintf(`{"url": %q, "metadata": %s}`, s.web.URL+path, meta)
	}
	s.want("twice the same", s.patch(member, id, list(one("/image", "{}"), one("/image", "{}"))), 400)
	s.want("both", s.patch(member, id, list(one("/image", `{"store": "nope"}`), one("/image2", `{"a": "b"}`))), 200)
	s.want("others", s.patch(member, id, list(one("/image3", "{}"), one("/image2", "{}"))), 400)
	s.want("metadata", s.patch(member, id, list(one("/image2", `{"store": "main", "c": "d"}`), one("/image", "{}"))), 200)
	got, _ := json.Marshal(s.show(id)["locations"])
	want := fmt.Sprintf(`[{"metadata":{"store":"web"},"url":%q},{"metadata":{"c":"d","store":"web"},"url":%q}]`, s.web.URL+"/image", s.web.URL+"/image2")
	if string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}

	few := newSite(t, func(c *Config) { c.ShowMultipleLocations, c.Limits.Locations = true, 1 }, "127.0.0.1")
	id = few.created(member, "")
	for _, c := range []struct{ what, body string }{
		{"a list", fmt.Sprintf(`[{"op":"replace","path":"/locations","value":[{"url":%q,"metadata":{}},{"url":"http://x/y","metadata":{}}]}]`, few.web.URL+"/image")},
		{"two additions", fmt.Sprintf(`[{"op":"add","path":"/locations/-","value":{"url":%q,"metadata":{}}},{"op":"add","path":"/locations/-","value":{"url":"http://x/y","metadata":{}}}]`, few.web.URL+"/image")},
	} {
		few.want(c.what, few.patch(member, id, c.body), 413)
	}
}

// Removing a location removes its bytes, unless another image names them.
func TestARemovedLocationsBytesGo(t *testing.T) {
	s := open(t)
	for name, shared := range map[string]bool{"gone": false, "shared": true} {
		id := s.active(admin, "", []byte("0123456789"))
		s.store.Replace(name, []byte("0123456789"))
		s.want("add", s.add(admin, id, "mem://m/"+name), 200)
		if shared {
			s.want("add", s.add(admin, s.created(admin, ""), "mem://m/"+name), 200)
		}
		before := s.store.Len()
		s.want("remove", s.patch(admin, id, `[{"op": "remove", "path": "/locations/-"}]`), 200)
		if left := s.store.Len() == before; left != shared {
			t.Errorf("%s: the bytes are left: %v", name, left)
		}
		if d := s.get(admin, "/v2/images/"+id+"/file"); string(d.body) != "0123456789" {
			t.Errorf("%s: %d %s", name, d.code, d.body)
		}
	}
}

// What another project's image names is not to be had by guessing its URL, in
// stores that are read with our credentials.
func TestAnotherProjectsBytesAreNotNamed(t *testing.T) {
	s := open(t)
	theirs := s.active(other, "", []byte("their secret"))
	url := s.record(theirs).Locations[0].URL.Reveal()
	id := s.created(member, "")
	s.want("guessed", s.add(member, id, url), 400)
	s.want("nothing there", s.add(member, id, "mem://m/nothing"), 400)
	s.want("their own", s.add(other, s.created(other, ""), url), 200)
	s.want("an admin's", s.add(admin, id, url), 200)
	// Anybody may read a web server.
	s.want("web", s.add(other, s.created(other, ""), s.web.URL+"/image"), 200)
	s.want("web", s.add(member, s.created(member, ""), s.web.URL+"/image"), 200)
}

// The guards of what a caller may name, through the API: no request arrives, and
// the answer says nothing.
func TestLocationsInsideAreRefused(t *testing.T) {
	s := newSite(t, func(c *Config) { c.ShowMultipleLocations = true })
	u, err := url.Parse(s.web.URL)
	must(t, err)
	port := u.Port()
	tried := 0
	for _, host := range []string{
		"127.0.0.1", "localhost", "LOCALHOST", "127.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1", "0", "0.0.0.0", "[::1]", "[::]",
		"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "127.0.0.2", "127.0.0.1.", "user@127.0.0.1", "example.org@127.0.0.1", "example.org%40127.0.0.1@127.0.0.1",
		"127.0.0.1%2f@127.0.0.1", "169.254.169.254", "[fe80::1]", "[fe80::1%25lo]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "１２７.0.0.1", "127。0。0。1",
	} {
		for _, at := range []string{"http://" + host + ":" + port + "/image", "https://" + host + ":" + port + "/image", "HTTP://" + host + ":" + port + "/image"} {
			tried++
			id := s.created(member, "")
			s.want(at, s.add(member, id, at), 400)
			r := s.locate(member, id, fmt.Sprintf(`{"url": %q}`, at))
			s.want(at, r, 400)
			if !strings.Contains(string(r.body), "Invalid location") && !strings.Contains(string(r.body), "4 byte") {
				t.Errorf("%s: %s", at, r.body)
			}
		}
	}
	if n := s.hits.Load(); n > 0 {
		t.Errorf("%d requests arrived", n)
	}
	t.Logf("%d spellings tried", tried)
}

// A server that may be read can't send us where we may not go.
func TestRedirectsInsideAreRefused(t *testing.T) {
	inner := newSite(t, nil)
	s := open(t)
	for _, to := range []string{"http://localhost:", "http://[::ffff:127.0.0.1]:", "http://127.0.0.2:"} {
		u, err := url.Parse(inner.web.URL)
		must(t, err)
		id := s.created(member, "")
		s.want(to, s.add(member, id, s.web.URL+"/to?u="+url.QueryEscape(to+u.Port()+"/image")), 400)
	}
	if s.hits.Load() == 0 || inner.hits.Load() > 0 {
		t.Errorf("%d redirects were seen, %d were followed", s.hits.Load(), inner.hits.Load())
	}
	s.want("within", s.add(member, s.created(member, ""), s.web.URL+"/to?u=%2Fimage"), 200)
}

// The new form without a hash: active at once, and hashed afterwards.
func TestALocationIsHashedInTheBackground(t *testing.T) {
	s := newSite(t, nil, "127.0.0.1")
	id := s.created(member, "")
	r := s.locate(member, id, fmt.Sprintf(`{"url": %q}`, s.web.URL+"/image"))
	s.want("add", r, 202)
	if len(r.body) > 0 {
		t.Errorf("a body: %s", r.body)
	}
	m := s.show(id)
	if m["status"] != "active" || m["checksum"] != nil || m["os_hash_value"] != nil || m["size"] != float64(len(s.data)) || m["locations"] != nil {
		t.Errorf("got %v", m)
	}
	s.hash()
	m = s.show(id)
	if m["checksum"] != s.md5() || m["os_hash_algo"] != "sha512" || m["os_hash_value"] != s.sum() {
		t.Errorf("got %v", m)
	}
	// The bytes are ours now: proved, and in the cache.
	if _, ok, err := s.reg.Content(t.Context(), s.record(id).Locations[0].ID); !ok || err != nil {
		t.Error("the content is not filed", err)
	}
	before := s.hits.Load()
	if d := s.get(member, "/v2/images/"+id+"/file"); !bytes.Equal(d.body, s.data) || s.hits.Load() != before {
		t.Errorf("%d bytes after %d more requests", len(d.body), s.hits.Load()-before)
	}
	s.hash()
	if s.hits.Load() != before {
		t.Error("it was hashed again")
	}
}

// With a hash the image waits until the bytes have been seen to give it.
func TestALocationIsProved(t *testing.T) {
	s := newSite(t, nil, "127.0.0.1")
	id := s.created(member, "")
	s.want("add", s.locate(member, id, fmt.Sprintf(`{"url": %q%s}`, s.web.URL+"/image", data("sha512", strings.ToUpper(s.sum())))), 202)
	if m := s.show(id); m["status"] != "importing" || m["os_hash_value"] != s.sum() {
		t.Errorf("got %v", m)
	}
	s.want("not yet", s.get(member, "/v2/images/"+id+"/file"), 204)
	s.want("another", s.locate(member, id, fmt.Sprintf(`{"url": %q}`, s.web.URL+"/image2")), 409)
	s.hash()
	if m := s.show(id); m["status"] != "active" || m["checksum"] != s.md5() || m["os_hash_value"] != s.sum() {
		t.Errorf("got %v", m)
	}

	// A false claim: back to where it was, and it can be done right.
	id = s.created(member, "")
	s.want("add", s.locate(member, id, fmt.Sprintf(`{"url": %q%s}`, s.web.URL+"/image", data("sha512", strings.Repeat("a", 128)))), 202)
	s.hash()
	if m := s.record(id); m.Status != image.Queued || len(m.Locations) > 0 || m.HashValue != nil || m.Size != nil {
		t.Errorf("got %v", m)
	}
	s.want("upload", s.put(member, id, []byte("x")), 204)
}

// A claim about an image that is active at once, by the old form: false ones are
// found, and the bytes refused.
func TestAFalseClaimIsFound(t *testing.T) {
	s := open(t)
	right, wrong, sum := s.created(member, ""), s.created(member, ""), s.created(member, "")
	s.want("right", s.add(member, right, s.web.URL+"/image", data("sha512", s.sum())), 200)
	s.want("wrong", s.add(member, wrong, s.web.URL+"/image", data("sha512", strings.Repeat("a", 128))), 200)
	s.want("checksum", s.add(member, sum, s.web.URL+"/image", strings.Replace(data("sha512", s.sum()), "{", `{"checksum": "`+strings.Repeat("a", 32)+`", `, 1)), 200)
	s.hash()
	if m := s.show(right); m["checksum"] != s.md5() || m["os_hash_value"] != s.sum() {
		t.Errorf("got %v", m)
	}
	s.want("right", s.get(member, "/v2/images/"+right+"/file"), 200)
	s.want("wrong", s.get(member, "/v2/images/"+wrong+"/file"), 503)
	s.want("checksum", s.get(member, "/v2/images/"+sum+"/file"), 503)
	s.want("a claim that comes late", s.add(member, right, s.web.URL+"/image2", data("sha512", strings.Repeat("b", 128))), 409)
	s.want("what is known", s.add(member, right, s.web.URL+"/image2", data("sha512", s.sum())), 200)
}

func TestNewLocationsThatAreRefused(t *testing.T) {
	s := newSite(t, nil, "127.0.0.1")
	s.store.Replace("snap", []byte("snapshot"))
	at := s.web.URL + "/image"
	for what, c := range map[string]struct {
		token, body string
		want        int
	}{
		"no url":            {member, `{}`, 400},
		"a list":            {member, `[]`, 400},
		"no body":           {member, ``, 400},
		"more":              {member, `{"url": "` + at + `", "metadata": {}}`, 400},
		"long":              {member, `{"url": "http://x/` + strings.Repeat("y", 255) + `"}`, 400},
		"file":              {admin, `{"url": "file:///etc/passwd"}`, 400},
		"missing":           {member, `{"url": "` + at + `"` + data("sha512", "aa") + `}`, 400},
		"another algorithm": {member, `{"url": "` + at + `"` + data("md5", strings.Repeat("a", 32)) + `}`, 400},
		"a checksum":        {member, `{"url": "` + at + `", "validation_data": {"os_hash_algo": "sha512", "os_hash_value": "` + s.sum() + `", "checksum": "` + s.md5() + `"}}`, 400},
		"not http":          {member, `{"url": "mem://m/snap"}`, 403},
		"a reader":          {reader, `{"url": "` + at + `"}`, 403},
		"another project":   {other, `{"url": "` + at + `"}`, 404},
	} {
		id := s.created(member, "")
		s.want(what, s.locate(c.token, id, c.body), c.want)
		if m := s.record(id); m.Status != image.Queued || len(m.Locations) > 0 {
			t.Errorf("%s: the image is %s", what, m.Status)
		}
	}
	id := s.active(member, "", []byte("x"))
	s.want("active", s.locate(member, id, `{"url": "`+at+`"}`), 409)
	s.want("no image", s.locate(member, "5f2e4a8c-0000-4000-8000-000000000001", `{"url": "`+at+`"}`), 404)
	s.want("no formats", s.locate(member, s.create(member, `{}`).json(t)["id"].(string), `{"url": "`+at+`"}`), 400)
	none := newSite(t, func(c *Config) { c.Limits.Locations = 0 }, "127.0.0.1")
	none.want("quota", none.locate(member, none.created(member, ""), `{"url": "`+none.web.URL+`/image"}`), 413)

	// A service may name what lies in our stores, as a snapshot of a hypervisor.
	id = s.created(member, "")
	s.want("a service", s.locate(serviceUser, id, `{"url": "mem://m/snap"}`), 202)
	s.want("a service reads", s.get(serviceUser, "/v2/images/"+id+"/locations"), 200)
	if got, want := string(s.get(admin, "/v2/images/"+id+"/locations").body), `[{"metadata":{"store":"main"},"url":"mem://m/snap"}]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	s.want("a member reads", s.get(member, "/v2/images/"+id+"/locations"), 403)
	s.want("a stranger reads", s.get(other, "/v2/images/5f2e4a8c-0000-4000-8000-000000000001/locations"), 404)
	if got := string(s.get(admin, "/v2/images/"+s.created(member, "")+"/locations").body); got != "[]" {
		t.Errorf("of a queued image: %s", got)
	}
}
