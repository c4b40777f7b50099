package systest

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

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

// largeStores are a store of each driver that writes, with the keys of each. The
// bucket is a gateway's on the same Ceph as the pool, for versitygw would need
// twice the space.
func largeStores(t *testing.T) (ids, sets []string) {
	swift := testenv.Swift(t)
	ids, sets = []string{"main", "swift"}, []string{
		"stores.main.thin_provisioning=true",
		"stores.swift.type=swift", "stores.swift.auth_version=1", "stores.swift.auth_address=" + swift.AuthURL, "stores.swift.user=" + swift.User,
		"stores.swift.key=" + swift.Key, "stores.swift.container=large", "stores.swift.create_container_on_put=true",
	}
	if testenv.HasCeph(t) {
		c, g := testenv.Ceph(t), testenv.RGW(t)
		ids = append(ids, "ceph", "s3")
		sets = append(
			sets,
			"stores.ceph.type=rbd", "stores.ceph.conf="+c.Conf, "stores.ceph.pool="+c.Pool, "stores.ceph.user=admin",
			"stores.s3.type=s3", "stores.s3.endpoint="+g.URL, "stores.s3.access_key="+g.AccessKey, "stores.s3.secret_key="+g.SecretKey,
			"stores.s3.region=default", "stores.s3.bucket=large", "stores.s3.create_bucket=true",
		)
	}
	for _, id := range ids {
		sets = append(sets, "stores."+id+".cache=off")
	}
	return ids, sets
}

// An upload of 50 GiB whose size nobody announced goes into a store of every
// driver with no more memory than a small one, and its hash is right.
func TestAnUploadOfFiftyGiB(t *testing.T) {
	size := int64(1 << 30) // for want of time
	if os.Getenv("GLIMPSE_LONG") != "" {
		size = 50 << 30
	}
	stores, sets := largeStores(t)
	start := testenv.Glimpse
	if slices.Contains(stores, "ceph") {
		start = testenv.CephGlimpse
	}
	n := start(t, sets...)
	a := on(t, n.API)
	sum := sha512.New()
	_, err := io.Copy(sum, &mostly{size: size})
	must(t, err)
	want := hex.EncodeToString(sum.Sum(nil))
	for _, store := range stores {
		id := a.create("large in "+store, "raw")
		begin := time.Now()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, n.URL("/v2/images/"+id+"/file"), io.MultiReader(&mostly{size: size}))
		must(t, err)
		req.Header.Set("Content-Type", "application/octet-stream")
		req.Header.Set("X-Image-Meta-Store", store)
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		text, err := io.ReadAll(resp.Body)
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != http.StatusNoContent {
			t.Fatalf("%s: %s %s", store, resp.Status, text)
		}
		m := a.show(id)
		if m["os_hash_value"] != want || fmt.Sprint(m["size"]) != fmt.Sprint(float64(size)) {
			t.Errorf("%s: %v bytes with the hash %v", store, m["size"], m["os_hash_value"])
		}
		peak := peakMiB(t, n)
		t.Logf("%s: %d GiB in %v, at most %d MiB of memory", store, size>>30, time.Since(begin).Round(time.Second), peak)
		if peak > 256+192 { // the slabs, and as much as a node has besides
			t.Errorf("%s: %d MiB of memory", store, peak)
		}
		if code, body := a.text("DELETE", "/v2/images/"+id, ""); code != http.StatusNoContent {
			t.Error(code, body)
		}
	}
}

// peakMiB is the most memory that a node has had, MiB.
func peakMiB(t *testing.T, n *testenv.Node) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.PID()))
	must(t, err)
	peak, err := strconv.Atoi(regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindStringSubmatch(string(status))[1])
	must(t, err)
	return peak >> 10
}
