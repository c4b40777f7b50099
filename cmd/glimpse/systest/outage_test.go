package systest

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"glimpse/cmd/testenv"
)

// The database goes away and comes back: what is in use is served on, and says
// so; what is not known is 503; nothing is acknowledged that is not stored.
func TestTheDatabaseGoesAwayAndComesBack(t *testing.T) {
	w, url := throughWire(t, testenv.MariaDB(t))
	n := testenv.Glimpse(t, "registry.url="+url, "stores.main.cache=on")
	a := on(t, n.API)
	file := filepath.Join(t.TempDir(), "in")
	random(t, file, 20<<20)
	known, never := a.create("known", "raw"), a.create("never asked for", "raw")
	a.upload(known, file)
	a.same(known, file)

	w.set(true)
	resp := a.do("GET", "/v2/images/"+known, nil)
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
		t.Errorf("a record in use: %s %v", resp.Status, err)
	}
	until(t, "the record says that it may be old", func() bool {
		resp := a.do("GET", "/v2/images/"+known, nil)
		defer resp.Body.Close()
		return resp.StatusCode == 200 && strings.HasPrefix(resp.Header.Get("Warning"), "110 ")
	})
	a.same(known, file)
	for what, c := range map[string][3]string{
		"a list":              {"GET", "/v2/images", ""},
		"a record not in use": {"GET", "/v2/images/" + never, ""},
		"a new image":         {"POST", "/v2/images", `{}`},
		"a tag":               {"PUT", "/v2/images/" + known + "/tags/x", ""},
	} {
		if code, body := a.text(c[0], c[1], c[2], "Content-Type", "application/json"); code != 503 || strings.Contains(body, "127.0.0.1") {
			t.Errorf("%s: %d %s", what, code, body)
		}
	}
	if code, _ := on(t, n.Ops).text("GET", "/readyz", ""); code != 503 {
		t.Errorf("ready: %d", code)
	}
	if w.count() == 0 {
		t.Error("nothing was cut")
	}

	w.set(false)
	until(t, "it is ready again", func() bool { code, _ := on(t, n.Ops).text("GET", "/readyz", ""); return code == 200 })
	if code, body := a.text("PUT", "/v2/images/"+known+"/tags/x", ""); code != 204 {
		t.Errorf("a tag: %d %s", code, body)
	}
	if tags := a.show(known)["tags"].([]any); len(tags) != 1 {
		t.Errorf("tags %v", tags)
	}
	a.same(known, file)
}
