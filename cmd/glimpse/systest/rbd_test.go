package systest

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// onCeph is a node whose images lie in a pool, as a cloud has it: it tells where
// they are.
func onCeph(t *testing.T, c *testenv.CephCluster, sets ...string) *testenv.Node {
	t.Helper()
	return testenv.CephGlimpse(t, append([]string{
		"auth.mode=trusted-headers", "api.show_image_direct_url=true", "default_store=ceph",
		"stores.ceph.type=rbd", "stores.ceph.conf=" + c.Conf, "stores.ceph.pool=" + c.Pool, "stores.ceph.user=admin",
	}, sets...)...)
}

// who sends requests with roles in a project.
func (a api) who(project, roles string) api {
	a.as = []string{"X-User-Id", "u", "X-Project-Id", project, "X-Roles", roles}
	return a
}

// people are a user, and Nova or Cinder with the role of a service.
func people(t *testing.T, n *testenv.Node) (user, service api) {
	a := on(t, n.API)
	return a.who("p", "member,reader"), a.who("service", "service")
}

// direct is an image's direct_url, which must be where Glance would have it.
func (h host) direct(a api, id string) string {
	h.t.Helper()
	url, want := a.show(id)["direct_url"], fmt.Sprintf("rbd://%s/%s/%s/snap", h.c.FSID, h.c.Pool, id)
	if url != want {
		h.t.Errorf("direct_url is %v, want %s", url, want)
	}
	return want
}

// disk compares a volume with the file that it was made from.
func (h host) disk(pool, name, file string) {
	h.t.Helper()
	out := filepath.Join(h.t.TempDir(), name)
	h.call("read", pool, name, out)
	a, err := os.Open(out)
	must(h.t, err)
	defer a.Close()
	b, err := os.Open(file)
	must(h.t, err)
	defer b.Close()
	if err := equal(a, b); err != nil {
		h.t.Errorf("%s/%s: %v", pool, name, err)
	}
}

// expect makes a request that must be answered so.
func (a api) expect(code int, method, path, body string, headers ...string) string {
	a.t.Helper()
	got, text := a.text(method, path, body, headers...)
	if got != code {
		a.t.Errorf("%s %s: %d %s, want %d", method, path, got, text, code)
	}
	return text
}

// empty fails where anything is left of images and volumes.
func (h host) empty(pools ...string) {
	h.t.Helper()
	for _, pool := range pools {
		if left := h.list(pool); len(left) > 0 {
			h.t.Errorf("left in %s: %v", pool, left)
		}
	}
}

// Nova's and Cinder's calls: volumes are cloned from the image where it lies, and
// as long as one depends on it the image stays, whole. Nothing of it is kept on
// the node's disk.
func TestNovaAndCinderCloneImages(t *testing.T) {
	h := newHost(t)
	n := onCeph(t, h.c)
	user, service := people(t, n)
	file := filepath.Join(t.TempDir(), "in")
	random(t, file, 12<<20+512)
	for _, announced := range []bool{true, false} {
		id := user.create("x", "raw")
		if announced {
			user.upload(id, file)
		} else {
			user.stream(id, file)
		}
		url := h.direct(user, id)
		h.call("boot", url, "raw", "vms", "vm1_disk")
		h.disk("vms", "vm1_disk", file)
		user.expect(409, "DELETE", "/v2/images/"+id, "")
		if m := user.show(id); m["status"] != "active" {
			t.Errorf("after a refused deletion: %v", m)
		}
		user.same(id, file)
		h.call("volume", url, "raw", "volumes", "volume-1") // it still can be cloned
		h.call("remove", "vms", "vm1_disk")
		user.expect(409, "DELETE", "/v2/images/"+id, "")
		h.call("flatten", "volumes", "volume-1")
		user.expect(204, "DELETE", "/v2/images/"+id, "")
		h.empty(h.c.Pool, "vms")
		h.disk("volumes", "volume-1", file)
		h.call("remove", "volumes", "volume-1")
	}

	// Of another project's image a user learns no place; the services do.
	id := user.create("x", "raw")
	user.upload(id, file)
	user.expect(200, "PATCH", "/v2/images/"+id, `[{"op": "replace", "path": "/visibility", "value": "community"}]`, "Content-Type", v21)
	other := on(t, n.API).who("q", "member,reader")
	if m := other.show(id); m["direct_url"] != nil || m["locations"] != nil {
		t.Errorf("another project is shown %v", m)
	}
	other.expect(403, "GET", "/v2/images/"+id+"/locations", "")
	url := h.direct(user, id)
	if text := service.expect(200, "GET", "/v2/images/"+id+"/locations", ""); text != fmt.Sprintf(`[{"metadata":{"store":"ceph"},"url":%q}]`, url) {
		t.Errorf("a service is told %s", text)
	}
	h.call("volume", url, "raw", "volumes", "volume-2")
	h.disk("volumes", "volume-2", file)
	h.call("remove", "volumes", "volume-2")
	for bad, format := range map[string]string{url: "qcow2", strings.Replace(url, h.c.FSID, "0f3c9a6e-1d2b-4c5d-8e9f-a0b1c2d3e4f5", 1): "raw", strings.Replace(url, id, "none", 1): "raw"} {
		if got := h.call("cloneable", bad, format); got != "False" {
			t.Errorf("%s as %s: cloneable is %s", bad, format, got)
		}
	}
	user.same(id, file)
	n.Stop()
	if kept := chunksOf(t, n); len(kept) > 0 {
		t.Errorf("on the node's disk: %v", kept)
	}
	n.Start()
	user.expect(204, "DELETE", "/v2/images/"+id, "")
	h.empty(h.c.Pool, "vms", "volumes")
}

// stream uploads a file without its size.
func (a api) stream(id, file string) {
	a.t.Helper()
	f, err := os.Open(file)
	must(a.t, err)
	defer f.Close()
	resp := a.do("PUT", "/v2/images/"+id+"/file", io.MultiReader(f), "Content-Type", "application/octet-stream")
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != 204 {
		a.t.Fatalf("upload: %s %s", resp.Status, b)
	}
}

// chunksOf are the files of chunks on a node's disk.
func chunksOf(t *testing.T, n *testenv.Node) (names []string) {
	t.Helper()
	must(t, filepath.WalkDir(filepath.Join(n.Dir, "cache"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Count(d.Name(), "-") == 2 {
			names = append(names, path)
		}
		return err
	}))
	return names
}

// doorkeeper is a web server that has an image and does not give it before it is opened.
type doorkeeper struct {
	*httptest.Server
	asked, open chan struct{}
}

func newDoorkeeper(t *testing.T, data []byte) *doorkeeper {
	g := &doorkeeper{asked: make(chan struct{}), open: make(chan struct{})}
	var once sync.Once
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			once.Do(func() { close(g.asked) })
			<-g.open
		}
		http.ServeContent(w, r, "", time.Unix(1e9, 0), bytes.NewReader(data))
	}))
	t.Cleanup(g.Close)
	return g
}

// Nova's direct snapshot: a disk becomes an image within the cluster, and no byte
// of it comes through the node. The node reads it for its hash afterwards, when
// nobody waits, or never.
func TestADirectSnapshot(t *testing.T) {
	h := newHost(t)
	// What is hashed in the background waits for this one.
	g := newDoorkeeper(t, content(t, 1<<20))
	n := onCeph(t, h.c, "api.show_multiple_locations=true", "stores.web.type=http", "stores.web.allowed_hosts=[127.0.0.1]")
	user, service := people(t, n)
	file := filepath.Join(t.TempDir(), "in")
	random(t, file, 24<<20)
	size, hash := stat(t, file), sha(t, file)
	h.c.RBD(t, "import", "--no-progress", file, "vms/vm1_disk")
	snapshot := func() (id, url string) {
		id = user.create("snapshot", "raw")
		return id, h.call("direct_snapshot", "vms", "vm1_disk", id, h.c.Pool)
	}
	post := func(id, url, more string) {
		t.Helper()
		if text := service.expect(202, "POST", "/v2/images/"+id+"/locations", fmt.Sprintf(`{"url": %q%s}`, url, more), "Content-Type", "application/json"); text != "" {
			t.Errorf("the body is %s", text)
		}
	}
	claim := func(hash string) string {
		return `, "validation_data": {"os_hash_algo": "sha512", "os_hash_value": "` + hash + `"}`
	}
	const little = 256 << 10 // headers and the like
	sent := h.c.Sent(t)
	spent := func() (n int64) {
		now := h.c.Sent(t)
		n, sent = now-sent, now
		return n
	}

	plain, url := snapshot()
	user.expect(403, "POST", "/v2/images/"+plain+"/locations", fmt.Sprintf(`{"url": %q}`, url), "Content-Type", "application/json")
	patched, patchedURL := snapshot()
	proved, provedURL := snapshot()
	wrong, wrongURL := snapshot()
	remote := user.create("remote", "raw")
	post(remote, g.URL, "")
	<-g.asked
	spent()
	post(plain, url, "")
	user.expect(200, "PATCH", "/v2/images/"+patched, fmt.Sprintf(`[{"op": "add", "path": "/locations/-", "value": {"url": %q, "metadata": {}}}]`, patchedURL), "Content-Type", v21)
	post(proved, provedURL, claim(hash))
	post(wrong, wrongURL, claim(strings.Repeat("a", 128)))
	for id, url := range map[string]string{plain: url, patched: patchedURL} {
		m := user.show(id)
		if m["status"] != "active" || m["size"] != float64(size) || m["os_hash_value"] != nil || m["checksum"] != nil || m["stores"] != "ceph" || m["direct_url"] != url {
			t.Errorf("without a hash: %v", m)
		}
	}
	if m := user.show(proved); m["status"] != "importing" {
		t.Errorf("with a hash that was not yet compared: %v", m)
	}
	if n := spent(); n > little {
		t.Errorf("%d bytes left the cluster", n)
	}

	// A cold download of what was never hashed reads each byte once.
	user.same(patched, file)
	if n := spent(); n < size || n > size+little {
		t.Errorf("%d bytes left the cluster for a download of %d", n, size)
	}
	close(g.open)
	for _, id := range []string{remote, plain, proved} {
		until(t, "it is hashed", func() bool {
			m := user.show(id)
			return m["status"] == "active" && m["os_hash_value"] != nil && m["checksum"] != nil
		})
	}
	until(t, "it is queued again", func() bool { return user.show(wrong)["status"] == "queued" })
	if m := user.show(patched); m["os_hash_value"] != nil || m["checksum"] != nil {
		t.Errorf("hashed without need: %v", m)
	}
	if n := spent(); n < 3*size || n > 3*(size+little) {
		t.Errorf("%d bytes left the cluster for three hashes of %d", n, size)
	}
	for _, id := range []string{plain, proved} {
		if m := user.show(id); m["os_hash_value"] != hash {
			t.Errorf("hashed: %v", m)
		}
		user.same(id, file)
		h.call("boot", h.direct(user, id), "raw", "vms", "vm2_disk")
		h.disk("vms", "vm2_disk", file)
		user.expect(409, "DELETE", "/v2/images/"+id, "")
		h.call("remove", "vms", "vm2_disk")
	}
	for _, id := range []string{plain, patched, proved, wrong} {
		user.expect(204, "DELETE", "/v2/images/"+id, "")
	}
	// It is not known whose bytes those are that did not give their hash.
	if left := strings.TrimSpace(h.c.RBD(t, "ls", h.c.Pool)); left != wrong {
		t.Errorf("left in the pool: %s", left)
	}
	h.c.RBD(t, "snap", "unprotect", h.c.Pool+"/"+wrong+"@snap")
	h.c.RBD(t, "snap", "purge", "--no-progress", h.c.Pool+"/"+wrong)
	h.call("remove", h.c.Pool, wrong)
	h.call("remove", "vms", "vm1_disk")
	h.empty(h.c.Pool, "vms")
}

// A cluster whose OSD hangs: what lies there is refused in time and no more than
// that, and all goes on when it is back.
func TestAnOSDThatHangs(t *testing.T) {
	h := newHost(t)
	n := onCeph(t, h.c, "stores.ceph.op_timeout=2s", "stores.ceph.connect_timeout=2s")
	user, _ := people(t, n)
	file, far := filepath.Join(t.TempDir(), "in"), filepath.Join(t.TempDir(), "far")
	random(t, file, 8<<20)
	random(t, far, 128<<20) // more than is read ahead and in the sockets
	cold, large, local, fresh := user.create("cold", "raw"), user.create("large", "raw"), user.create("local", "raw"), user.create("fresh", "raw")
	user.upload(cold, file)
	user.upload(large, far)
	data, err := os.ReadFile(file)
	must(t, err)
	user.expect(204, "PUT", "/v2/images/"+local+"/file", string(data), "Content-Type", "application/octet-stream", "X-Image-Meta-Store", "main")
	n.Stop()
	n.Start() // the memory is empty
	resp := user.do("GET", "/v2/images/"+large+"/file", nil)
	defer resp.Body.Close()
	_, err = io.CopyN(io.Discard, resp.Body, 100)
	must(t, err)

	h.c.PauseOSD()
	t.Cleanup(h.c.ResumeOSD)
	took := func(what string, began time.Time) {
		d := time.Since(began).Round(time.Millisecond)
		if t.Logf("%s: %v", what, d); d > time.Minute {
			t.Errorf("%s took %v", what, d)
		}
	}
	for _, c := range [][]string{
		{"GET", "/v2/images/" + cold + "/file", ""},
		{"PUT", "/v2/images/" + fresh + "/file", "x"},
		{"DELETE", "/v2/images/" + cold, ""},
	} {
		began := time.Now()
		text := user.expect(503, c[0], c[1], c[2], "Content-Type", "application/octet-stream")
		took(c[0], began)
		if strings.Contains(text, "rbd") || strings.Contains(text, "op_timeout") {
			t.Errorf("the answer tells %s", text)
		}
	}
	began := time.Now()
	got, err := io.Copy(io.Discard, resp.Body)
	if err == nil {
		t.Errorf("a download ended well after %d bytes of %d", got, stat(t, far))
	}
	took("a download under way", began)
	user.expect(200, "GET", "/v2/images", "")
	user.same(local, file)
	if m := user.show(fresh); m["status"] != "queued" {
		t.Errorf("after a failed upload: %v", m)
	}

	h.c.ResumeOSD()
	for id, file := range map[string]string{cold: file, large: far} {
		until(t, "it is read again", func() bool { code, _ := user.text("GET", "/v2/images/"+id+"/file", ""); return code == 200 })
		user.same(id, file)
	}
	user.upload(fresh, file)
	for _, id := range []string{cold, large, fresh} {
		user.expect(204, "DELETE", "/v2/images/"+id, "")
	}
	h.empty(h.c.Pool)
}
