package systest

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"testing"

	"glimpse/cmd/testenv"
)

// mostly is an image that is zeros but for a block in every 64 MiB.
type mostly struct{ pos, size int64 }

func (m *mostly) Read(p []byte) (int, error) {
	if m.pos == m.size {
		return 0, io.EOF
	}
	const every, block = 64 << 20, 64 << 10
	n := min(int64(len(p)), m.size-m.pos, block-m.pos%block)
	clear(p[:n])
	if m.pos%every < block {
		for i := range p[:n] {
			p[i] = byte(m.pos/every) + byte(i) | 1
		}
	}
	m.pos += n
	return int(n), nil
}

// An upload of 50 GiB whose size nobody announced goes into a folder with no more
// memory than a small one, and its hash is right. For the bucket it is 20 GiB:
// versitygw writes all that it holds, twice while parts become an object.
func TestAnUploadOfFiftyGiB(t *testing.T) {
	size := int64(1 << 30) // for want of time
	if os.Getenv("GLIMPSE_LONG") != "" {
		size = 50 << 30
	}
	s3 := testenv.Versitygw(t)
	sets := []string{"stores.main.thin_provisioning=true", "stores.s3.type=s3", "stores.s3.cache=off"}
	for _, key := range ourS3(s3, "large") {
		sets = append(sets, "stores.s3."+key)
	}
	n := testenv.Glimpse(t, sets...)
	a := on(t, n.API)
	for _, store := range []string{"main", "s3"} {
		if store == "s3" {
			size = min(size, 20<<30)
		}
		sum := sha512.New()
		_, err := io.Copy(sum, &mostly{size: size})
		must(t, err)
		want := hex.EncodeToString(sum.Sum(nil))
		id := a.create("large in "+store, "raw")
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, n.URL("/v2/images/"+id+"/file"), io.MultiReader(&mostly{size: size}))
		must(t, err)
		req.Header.Set("Content-Type", "application/octet-stream")
		req.Header.Set("X-Image-Meta-Store", store)
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != http.StatusNoContent {
			t.Fatalf("%s: %s", store, resp.Status)
		}
		m := a.show(id)
		if m["os_hash_value"] != want || fmt.Sprint(m["size"]) != fmt.Sprint(float64(size)) {
			t.Errorf("%s: %v bytes with the hash %v", store, m["size"], m["os_hash_value"])
		}
		if code, body := a.text("DELETE", "/v2/images/"+id, ""); code != http.StatusNoContent {
			t.Error(code, body)
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.PID()))
	must(t, err)
	peak, err := strconv.Atoi(regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindStringSubmatch(string(status))[1])
	must(t, err)
	t.Logf("at most %d MiB of memory", peak>>10)
	if peak>>10 > 256+192 { // the slabs, and as much as a node has besides
		t.Errorf("%d MiB of memory", peak>>10)
	}
}
