package proxy

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"glimpse/backends"
	"glimpse/backends/mem"
	"glimpse/proxy/ops"
	"glimpse/registry/image"
)

const service = "nova:service:service"

// newStores is a node with three stores: the default one, a heavier one, and one
// that takes no uploads.
func newStores(t *testing.T, change func(*Config)) (n *node, heavy, attic *mem.Store) {
	heavy, attic = mem.New("heavy"), mem.New("attic")
	n = newNodeOn(t, []ops.Store{
		{ID: "heavy", Type: "mem", Weight: 10, Backend: heavy, Properties: map[string]any{"pool": "images"}},
		{ID: "attic", Type: "mem", Description: "old", ReadOnly: true, Backend: attic},
	}, change)
	return n, heavy, attic
}

// copied gives an image another location in a store.
func (n *node) copied(id, store string, to *mem.Store, data []byte) {
	n.t.Helper()
	to.Replace(id, data)
	_, err := n.reg.Update(n.t.Context(), id, func(m *image.Image) error {
		m.Locations = append(m.Locations, image.Location{URL: image.Secret("mem://" + store + "/" + id), Metadata: map[string]string{"store": store}, Status: "active"})
		return nil
	})
	must(n.t, err)
}

func TestStoresAndTheirSettings(t *testing.T) {
	n, _, _ := newStores(t, nil)
	want := `{"stores":[{"id":"main","description":"first","default":"true"},{"id":"heavy"},{"id":"attic","description":"old","read-only":"true"}]}`
	if b := string(n.get(reader, "/v2/info/stores").body); b != want {
		t.Errorf("got %s", b)
	}
	want = `{"stores":[{"id":"main","description":"first","default":"true","type":"mem","weight":0,"properties":{}},` +
		`{"id":"heavy","type":"mem","weight":10,"properties":{"pool":"images"}},{"id":"attic","description":"old","read-only":"true","type":"mem","weight":0,"properties":{}}]}`
	for _, who := range []string{admin, service} {
		if b := string(n.get(who, "/v2/info/stores/detail").body); b != want {
			t.Errorf("got %s", b)
		}
	}
	for _, who := range []string{member, reader} {
		if r := n.get(who, "/v2/info/stores/detail"); r.code != 403 {
			t.Errorf("details for %s: %d", who, r.code)
		}
	}
	if r := n.create(member, `{}`); r.header.Get("OpenStack-image-store-ids") != "main,heavy,attic" {
		t.Errorf("store ids: %v", r.header)
	}
}

func TestTheStoreOfAnUpload(t *testing.T) {
	n, heavy, attic := newStores(t, nil)
	for _, c := range []struct {
		store string
		want  int
		shown any
	}{{"heavy", 204, "heavy"}, {"", 204, "main"}, {"attic", 410, nil}, {"cellar", 400, nil}} {
		id := n.created(member, "")
		r := n.put(member, id, []byte("x"), "X-Image-Meta-Store", c.store)
		v := n.get(member, "/v2/images/"+id).json(t)
		if r.code != c.want || v["stores"] != c.shown || (v["status"] == "active") != (c.want == 204) {
			t.Errorf("%q: %d %s, then %v %v", c.store, r.code, r.body, v["status"], v["stores"])
		}
	}
	if heavy.Len() != 1 || n.store.Len() != 1 || attic.Len() != 0 {
		t.Errorf("%d, %d, %d objects", n.store.Len(), heavy.Len(), attic.Len())
	}
}

func TestTheStoresOfAnImage(t *testing.T) {
	n, heavy, _ := newStores(t, func(c *Config) { c.ShowImageDirectURL, c.ShowMultipleLocations = true, true })
	id := n.active(member, "", []byte("x"))
	n.copied(id, "heavy", heavy, []byte("x"))
	v := n.get(member, "/v2/images/"+id).json(t)
	if v["stores"] != "main,heavy" || v["direct_url"] != "mem://heavy/"+id {
		t.Errorf("%v, %v", v["stores"], v["direct_url"])
	}
	if l := fmt.Sprint(v["locations"]); !strings.Contains(l, "mem://m/"+id) || !strings.Contains(l, "mem://heavy/"+id) {
		t.Errorf("locations %s", l)
	}
	// A record that names no store is shown the one that its bytes are read from,
	// also in lists; nothing is written for it.
	m, err := n.reg.Update(t.Context(), id, func(m *image.Image) error { m.Locations[0].Metadata = nil; return nil })
	must(t, err)
	list := n.get(member, "/v2/images").json(t)["images"].([]any)[0].(map[string]any)
	for _, v := range []map[string]any{n.get(member, "/v2/images/"+id).json(t), list, n.patch(member, id, `[]`).json(t)} {
		if v["stores"] != "main,heavy" {
			t.Errorf("stores %v", v["stores"])
		}
	}
	after, err := n.reg.Get(t.Context(), id)
	must(t, err)
	if after.Version != m.Version {
		t.Error("a read has written")
	}
}

func TestACopyIsRemovedFromOneStore(t *testing.T) {
	n, heavy, _ := newStores(t, nil)
	data := []byte(strings.Repeat("x", 200_000))
	id := n.active(member, "", data)
	n.copied(id, "heavy", heavy, data)
	only := n.active(member, "", data)
	queued := n.created(member, "")
	foreign := n.active(other, `, "visibility": "private"`, data)
	for _, c := range []struct {
		who, store, id string
		want           int
	}{
		{member, "heavy", id, 403},
		{reader, "heavy", id, 403},
		{member, "heavy", foreign, 404},
		{member, "cellar", id, 409},
		{admin, "cellar", id, 409},
		{admin, "main", queued, 409},
		{admin, "main", only, 403},
		{admin, "heavy", only, 403},
		{admin, "attic", id, 404},
		{admin, "heavy", "00000000-0000-4000-8000-000000000000", 404},
		{admin, "heavy", "nope", 404},
		{admin, "main", id, 204},
		{admin, "main", id, 403},
		{admin, "heavy", id, 403},
	} {
		if r := n.do(c.who, "DELETE", "/v2/stores/"+c.store+"/"+c.id, ""); r.code != c.want {
			t.Errorf("%+v: %d %s", c, r.code, r.body)
		}
	}
	if v := n.get(member, "/v2/images/"+id).json(t); v["stores"] != "heavy" {
		t.Errorf("stores %v", v["stores"])
	}
	if r := n.get(member, "/v2/images/"+id+"/file"); r.code != 200 || string(r.body) != string(data) {
		t.Errorf("%d, %d bytes", r.code, len(r.body))
	}
	if n.store.Len() != 2 || heavy.Len() != 1 {
		t.Errorf("%d and %d objects", n.store.Len(), heavy.Len())
	}
}

func TestADownloadFromAPreferredStore(t *testing.T) {
	heavy := mem.New("heavy")
	var reads atomic.Int64 // of the heavy store; the others are read of the default one
	n := newNodeOn(t, []ops.Store{
		{ID: "heavy", Type: "mem", Weight: 10, Backend: backends.Observe(heavy, backends.Observer{Opened: func() { reads.Add(1) }})},
		{ID: "attic", Type: "mem", ReadOnly: true, Backend: mem.New("attic")},
	}, nil)
	var id string
	for query, c := range map[string]struct {
		code  int
		heavy int64
	}{
		"": {200, 1}, "?prefer=": {200, 1}, "?prefer=main": {200, 0}, "?prefer=main,heavy": {200, 0}, "?prefer=heavy,main": {200, 1},
		"?prefer=attic,main": {200, 0}, "?prefer=attic": {200, 1}, "?prefer=cellar": {400, 0}, "?prefer=main,cellar": {400, 0}, "?prefer=,": {400, 0},
	} {
		id = n.created(member, "")
		data := []byte(id) // of its own: equal bytes are read once
		must(t, n.activate(id, "mem://m/"+id, int64(len(data))))
		n.store.Replace(id, data)
		n.copied(id, "heavy", heavy, data)
		reads.Store(0)
		r := n.get(member, "/v2/images/"+id+"/file"+query)
		if r.code != c.code || c.code == 200 && string(r.body) != id || reads.Load() != c.heavy {
			t.Errorf("%q: %d %s, %d reads of the heavy store", query, r.code, r.body, reads.Load())
		}
	}
	if r := n.do(member, "HEAD", "/v2/images/"+id+"/file?prefer=cellar", ""); r.code != 400 {
		t.Errorf("HEAD: %d", r.code)
	}
	if r := n.get(reader, "/v2/images/"+id+"/file?prefer=cellar"); r.code != 403 {
		t.Errorf("who may not download: %d", r.code)
	}
}

// download_from_store is a right of its own, asked for only where it is used.
func TestTheRightToPrefer(t *testing.T) {
	n, _, _ := newStores(t, func(c *Config) { c.Policy = rules(t, map[string]string{"download_from_store": "role:admin"}) })
	id := n.active(member, "", []byte("x"))
	for query, want := range map[string]int{"": 200, "?prefer=main": 403} {
		if r := n.get(member, "/v2/images/"+id+"/file"+query); r.code != want {
			t.Errorf("%q: %d", query, r.code)
		}
	}
}

func TestSingleStoreMode(t *testing.T) {
	n := newNode(t, func(c *Config) { c.SingleStore = true })
	for method, paths := range map[string][]string{"GET": {"/v2/info/stores", "/v2/info/stores/detail"}, "DELETE": {"/v2/stores/main/x", "/v2/stores/cellar/x"}} {
		for _, path := range paths {
			if r := n.do(admin, method, path, ""); r.code != 404 {
				t.Errorf("%s %s: %d", method, path, r.code)
			}
		}
	}
	r := n.create(member, `{"disk_format": "raw", "container_format": "bare"}`)
	if _, ok := r.header["Openstack-Image-Store-Ids"]; ok {
		t.Error("store ids are told")
	}
	id := r.json(t)["id"].(string)
	// Glance reads the header only where there are several stores.
	if r := n.put(member, id, []byte("x"), "X-Image-Meta-Store", "cellar"); r.code != 204 {
		t.Errorf("upload: %d %s", r.code, r.body)
	}
	if v := n.get(member, "/v2/images/"+id).json(t); v["stores"] != nil {
		t.Errorf("stores %v", v["stores"])
	}
	if r := n.get(member, "/v2/images/"+id+"/file?prefer=main"); r.code != 400 {
		t.Errorf("prefer: %d", r.code)
	}
	for of, several := range map[*node]bool{n: false, newNode(t, nil): true} {
		if b := string(of.get("", "/versions").body); strings.Contains(b, `"v2.8"`) != several {
			t.Errorf("several stores %v: %s", several, b)
		}
	}
}
