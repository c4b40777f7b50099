package systest

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"glimpse/cmd/testenv"
)

// An image whose location is a URL, as a Glance has recorded it, is read from a
// real nginx: once, however many ask; and its deletion leaves the object.
func TestAnImageOnAWebServer(t *testing.T) {
	web := testenv.Nginx(t, "")
	n := testenv.Glimpse(t, "stores.web.type=http", "stores.web.allowed_hosts=[127.0.0.1]")
	data := content(t, 9<<20)
	must(t, os.WriteFile(filepath.Join(web.Root, "image"), data, 0o600))
	a := on(t, n.API)
	id := a.create("remote", "raw")
	located(t, n, id, "web", web.URL+"/image?sig=hush", len(data))

	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			resp, err := http.Get(n.URL("/v2/images/" + id + "/file"))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK || !bytes.Equal(got, data) {
				t.Errorf("%s: %d bytes, %v", resp.Status, len(got), err)
			}
		})
	}
	wg.Wait()
	log, err := os.ReadFile(filepath.Join(web.Logs, "access.log"))
	must(t, err)
	sent := 0
	for _, m := range regexp.MustCompile(`"GET /image[^"]*" 20\d (\d+)`).FindAllStringSubmatch(string(log), -1) {
		k, err := strconv.Atoi(m[1])
		must(t, err)
		sent += k
	}
	if sent != len(data) {
		t.Errorf("nginx sent %d bytes of an image of %d to eight clients", sent, len(data))
	}

	if code, body := a.text("DELETE", "/v2/images/"+id, ""); code != http.StatusNoContent {
		t.Fatal(code, body)
	}
	if _, err := os.Stat(filepath.Join(web.Root, "image")); err != nil {
		t.Error("the object went with its record")
	}
	if out := n.Log(); strings.Contains(out, "hush") {
		t.Errorf("the location is in the log:\n%s", out)
	}
}
