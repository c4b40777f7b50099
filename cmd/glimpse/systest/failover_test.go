package systest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

const failoverSize = 200 << 20

// mirrored is a node whose one image lies on a web server, which is preferred, and
// in a folder.
func mirrored(t *testing.T, url, root, file string, manifest bool) (n *testenv.Node, id string) {
	t.Helper()
	// The rate keeps the download long enough to be met.
	n = testenv.Glimpse(t, "stores.web.type=http", "stores.web.allowed_hosts=[127.0.0.1]", "stores.web.weight=10", "stores.web.rate_limit=100MiB", "stores.web.timeout=2s", "stores.web.retries=0")
	a := on(t, n.API)
	data, err := os.ReadFile(file)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(root, "image"), data, 0o600))
	if manifest {
		id = a.create("mirrored", "raw")
		a.upload(id, file)
	} else {
		id = version(t, n, a, data, false)
	}
	located(t, n, id, "web", url+"/image?sig=hush", len(data))
	n.Stop() // so that nothing is in memory
	n.Start()
	return n, id
}

func read(t *testing.T, n *testenv.Node, store string) float64 {
	t.Helper()
	return metric(t, n, fmt.Sprintf("glimpse_origin_read_bytes_total{for=\"fill\",store=%q}", store))
}

// fetch downloads with curl; ended gives its exit code.
func fetch(t *testing.T, n *testenv.Node, id string) (out string, ended <-chan int) {
	t.Helper()
	testenv.Need(t, "curl")
	out = filepath.Join(t.TempDir(), "out")
	cmd := exec.Command("curl", "-s", "-S", "-f", "-o", out, n.URL("/v2/images/"+id+"/file"))
	must(t, cmd.Start())
	done := make(chan int, 1)
	go func() {
		err := cmd.Wait()
		var exit *exec.ExitError
		switch {
		case errors.As(err, &exit):
			done <- exit.ExitCode()
		case err != nil:
			done <- -1
		default:
			done <- 0
		}
	}()
	return out, done
}

// A web server dies, or falls silent, in the middle of a cold download. Where a
// manifest proves the chunks, the download goes on from the copy in a folder;
// else it is cut.
func TestADownloadOutlivesItsOrigin(t *testing.T) {
	file := filepath.Join(t.TempDir(), "in")
	random(t, file, failoverSize)
	for _, c := range []struct {
		name     string
		manifest bool
		fault    func(web *testenv.Web, w *wire)
	}{
		{"killed, with a manifest", true, func(web *testenv.Web, _ *wire) { web.Stop() }},
		{"silent, with a manifest", true, func(_ *testenv.Web, w *wire) { w.hang() }},
		{"killed, without", false, func(web *testenv.Web, _ *wire) { web.Stop() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			web := testenv.Nginx(t, "")
			w := newWire(t, strings.TrimPrefix(web.URL, "http://"))
			n, id := mirrored(t, "http://"+w.ln.Addr().String(), web.Root, file, c.manifest)
			out, ended := fetch(t, n, id)
			until(t, "the download runs", func() bool { return read(t, n, "web") > 20<<20 })
			c.fault(web, w)
			code := <-ended
			w.set(true) // a wire that hangs is let go
			fromWeb, fromFolder := read(t, n, "web"), read(t, n, "main")
			t.Logf("curl ended with %d: %.0f MiB of the web server, %.0f MiB of the folder", code, fromWeb/(1<<20), fromFolder/(1<<20))
			if fromWeb == 0 || fromWeb >= failoverSize {
				t.Errorf("no fault fired: the web server gave %.0f bytes", fromWeb)
			}
			if !c.manifest {
				if code != 18 || fromFolder != 0 {
					t.Errorf("not cut: curl ended with %d, %.0f bytes came from elsewhere", code, fromFolder)
				}
				return
			}
			if code != 0 || fromFolder == 0 || fromWeb+fromFolder > 1.1*failoverSize {
				t.Errorf("curl ended with %d", code)
			}
			if sha(t, out) != sha(t, file) {
				t.Error("other bytes")
			}
			// Who comes next does not wait for what is away; the web server's URL stays out
			// of the log.
			if code, _ := on(t, n.API).text("HEAD", "/v2/images/"+id+"/file", ""); code != http.StatusOK {
				t.Errorf("then: %d", code)
			}
			if l := n.Log(); !strings.Contains(l, "one location of an image fails") || strings.Contains(l, "hush") {
				t.Errorf("the log: %s", l)
			}
		})
	}
}

// One of two copies on disk rots: the other is read, and what goes out is right.
func TestAChunkThatRottedComesFromTheOtherCopy(t *testing.T) {
	const size = 24 << 20
	n := testenv.Glimpse(t, "stores.spare.type=file", "stores.spare.path=spare", "stores.main.weight=10")
	a := on(t, n.API)
	file := filepath.Join(t.TempDir(), "in")
	random(t, file, size)
	id := a.create("two", "raw")
	a.upload(id, file)
	data, err := os.ReadFile(file)
	must(t, err)
	spare := filepath.Join(n.Dir, "spare", id)
	must(t, os.WriteFile(spare, data, 0o600))
	located(t, n, id, "spare", "file://"+spare, size)
	n.Stop()
	f, err := os.OpenFile(filepath.Join(n.Dir, "images", id), os.O_RDWR, 0)
	must(t, err)
	st, err := f.Stat()
	must(t, err)
	_, err = f.WriteAt([]byte("rotten"), 16<<20-10) // of what is held back until the chunk is proved
	must(t, err)
	must(t, f.Close())
	must(t, os.Chtimes(f.Name(), st.ModTime(), st.ModTime())) // as bits rot: nothing tells
	n.Start()
	a.same(id, file)
	found := 0.0
	_, text := on(t, n.Ops).text("GET", "/metrics", "")
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, "glimpse_chunk_verify_failures_total") {
			var v float64
			_, err := fmt.Sscan(l[strings.LastIndex(l, " ")+1:], &v)
			must(t, err)
			found += v
		}
	}
	if found == 0 || read(t, n, "spare") == 0 {
		t.Errorf("%.0f wrong chunks were found, %.0f bytes came from the other copy", found, read(t, n, "spare"))
	}
}

// A server that takes a request and says nothing is asked once, whatever retries
// its store has, when the image lies elsewhere too: at the first contact, and when
// its bytes are read.
func TestASilentServerIsAskedOnce(t *testing.T) {
	const size = 3 << 20 // one chunk, so one read
	data := content(t, size)
	var silent atomic.Bool
	var asked atomic.Int32
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if silent.Load() {
			<-r.Context().Done()
			return
		}
		w.Header().Set("ETag", `"v1"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}))
	t.Cleanup(web.Close)
	n := testenv.Glimpse(t, "stores.web.type=http", "stores.web.allowed_hosts=[127.0.0.1]", "stores.web.weight=10", "stores.web.timeout=1s", "stores.web.retries=3", "cache.disk.size=0")
	a, file := on(t, n.API), filepath.Join(t.TempDir(), "in")
	must(t, os.WriteFile(file, data, 0o600))
	image := func() string {
		id := a.create("twice", "raw")
		a.upload(id, file)
		located(t, n, id, "web", web.URL+"/image", size)
		return id
	}
	known, unknown := image(), image()
	n.Stop() // so that nothing is in memory
	n.Start()
	a.same(known, file)
	if read(t, n, "web") != size {
		t.Fatalf("the web server gave %.0f bytes", read(t, n, "web"))
	}
	for name, id := range map[string]string{"read": known, "first contact": unknown} {
		n.Stop()
		n.Start()
		silent.Store(true)
		asked.Store(0)
		a.same(id, file)
		if k := asked.Load(); k != 1 {
			t.Errorf("%s: the silent server was asked %d times", name, k)
		}
	}
	if read(t, n, "main") != size {
		t.Errorf("the folder gave %.0f bytes", read(t, n, "main"))
	}
}
