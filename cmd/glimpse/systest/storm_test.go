package systest

import (
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// Eight clients at once on a cold image: what the origin gives is counted at the
// origin, by the reads that the kernel sees on its file.
func TestAStormReadsTheOriginOnce(t *testing.T) {
	const size = 128 << 20
	file := filepath.Join(t.TempDir(), "image")
	random(t, file, size)
	n := testenv.Glimpse(t)
	a := on(t, n.API)
	id := a.create("storm", "raw")
	a.upload(id, file)
	n.Stop()
	n.Start() // the memory is empty, and a local store is not cached on disk

	trace := testenv.Strace(t, n.PID(), testenv.Reads)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			resp := a.do("GET", "/v2/images/"+id+"/file", nil)
			defer resp.Body.Close()
			f, err := os.Open(file)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			if err := equal(resp.Body, f); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got := trace.BytesOf(filepath.Join(n.Dir, "images"))
	t.Logf("origin: %d bytes for %d, %.3fx", got, size, float64(got)/size)
	if got != size {
		t.Errorf("the origin gave %d bytes of %d: %.3fx", got, size, float64(got)/size)
	}
}

// The first byte does not wait for the last: with an origin of 20 MiB/s a client
// sees bytes of a cold 64 MiB image long before the image could be there.
func TestTheFirstByteDoesNotWaitForTheLast(t *testing.T) {
	file := filepath.Join(t.TempDir(), "image")
	random(t, file, 64<<20)
	n := testenv.Glimpse(t)
	a := on(t, n.API)
	id := a.create("slow", "raw")
	a.upload(id, file)
	n.Stop()
	n.Start("stores.main.rate_limit=20MiB")
	resp := a.do("GET", "/v2/images/"+id+"/file", nil)
	defer resp.Body.Close()
	_, err := io.ReadFull(resp.Body, make([]byte, 1<<20))
	must(t, err)
	if read := metric(t, n, `glimpse_origin_read_bytes_total{for="fill",store="main"}`); read >= 64<<20 {
		t.Errorf("the first MiB came when %v bytes had been read", read)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	must(t, err)
}

func TestADrainLetsATransferFinish(t *testing.T) {
	file := filepath.Join(t.TempDir(), "image")
	random(t, file, 32<<20)
	for _, cut := range []bool{false, true} {
		n := testenv.Glimpse(t)
		a := on(t, n.API)
		id := a.create("drain", "raw")
		a.upload(id, file)
		n.Stop()
		n.Start("stores.main.rate_limit=8MiB")
		resp := a.do("GET", "/v2/images/"+id+"/file", nil)
		defer resp.Body.Close()
		_, err := io.ReadFull(resp.Body, make([]byte, 1<<20))
		must(t, err)
		n.Signal(syscall.SIGTERM)
		until(t, "not ready any more", func() bool {
			code, _ := on(t, n.Ops).text("GET", "/readyz", "")
			return code == 503
		})
		if cut {
			n.Signal(syscall.SIGTERM)
		}
		rest, err := io.ReadAll(resp.Body)
		if finished := err == nil && len(rest) == 31<<20; finished == cut {
			t.Errorf("second signal %v: %d bytes more, %v", cut, len(rest), err)
		}
		select {
		case <-n.Ended():
		case <-time.After(30 * time.Second):
			t.Error("the node does not end")
		}
		n.Reaped()
	}
}
