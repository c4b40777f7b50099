package systest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// soak is a node under a mixed load, and what its clients know of it.
type soak struct {
	t        *testing.T
	n        *testenv.Node
	client   *http.Client
	restarts atomic.Int64 // begun; a request across one may fail

	mu     sync.Mutex
	images map[string][]byte

	uploads, downloads, aborts, deletes atomic.Int64
}

// Clients upload, read, leave and delete while bits flip in the cache, its folder
// goes away and comes back, and, in the first half, the node is stopped and
// killed. No byte is wrong, memory does not grow in the second half, and at the end
// goroutines and descriptors are as many as at first. GLIMPSE_SOAK is how long (make soak: 30m).
func TestSoak(t *testing.T) {
	length := 8 * time.Second
	if v := os.Getenv("GLIMPSE_SOAK"); v != "" {
		d, err := time.ParseDuration(v)
		must(t, err)
		length = d
	}
	seed := rand.Uint64()
	t.Logf("seed %d, %v", seed, length)
	s := &soak{
		t: t, images: map[string][]byte{}, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}, Timeout: time.Minute},
		n: testenv.Glimpse(t, "stores.main.cache=on", "cache.memory.size=64MiB", "cache.disk.size=128MiB"),
	}
	defer s.client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 4 {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			for ctx.Err() == nil {
				s.deed(ctx, r)
			}
		})
	}
	faults := map[string]int{}
	r := rand.New(rand.NewPCG(seed, 99))
	half := time.Now().Add(length / 2)
	base := s.gauges()
	var samples []gauges
	for ctx.Err() == nil {
		pause(ctx, time.Duration(200+r.IntN(1500))*time.Millisecond)
		if restart := r.IntN(4) == 0; restart && time.Now().Before(half) {
			faults[s.restart(r.IntN(2) == 0)]++
			continue
		}
		faults[s.fault(ctx, r)]++
		if time.Now().After(half) {
			samples = append(samples, s.gauges())
		}
	}
	wg.Wait()
	s.checkAll()
	t.Logf("%d uploads, %d downloads, %d left by their clients, %d deletes; faults: %v", s.uploads.Load(), s.downloads.Load(), s.aborts.Load(), s.deletes.Load(), faults)
	delete(faults, "nothing")
	if len(faults) == 0 || s.downloads.Load() == 0 || len(samples) == 0 {
		t.Fatal("too little happened to say anything")
	}
	quarter := max(1, len(samples)/4)
	first, last := most(samples[:quarter]), most(samples[len(samples)-quarter:])
	t.Logf("second half: at first %+v, at last %+v", first, last)
	if length >= 5*time.Minute && last.rss > first.rss+32<<20 {
		t.Error("the node's memory has grown")
	}
	s.client.CloseIdleConnections()
	until(t, "what the load needed is gone", func() bool {
		g := s.gauges()
		return g.goroutines <= base.goroutines+10 && g.descriptors <= base.descriptors+10
	})
}

// gauges are what must not grow.
type gauges struct{ rss, goroutines, descriptors int }

func most(all []gauges) (m gauges) {
	for _, g := range all {
		m = gauges{max(m.rss, g.rss), max(m.goroutines, g.goroutines), max(m.descriptors, g.descriptors)}
	}
	return m
}

func (s *soak) gauges() gauges {
	s.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.n.PID()))
	must(s.t, err)
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	must(s.t, err)
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.n.PID()))
	must(s.t, err)
	return gauges{pages * os.Getpagesize(), int(metric(s.t, s.n, "go_goroutines")), len(fds)}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// restart ends the node, well or not, and starts it again.
func (s *soak) restart(kill bool) string {
	s.restarts.Add(1)
	what := "stop"
	if kill {
		what = "kill -9"
		s.n.Kill()
	} else {
		s.n.Stop()
	}
	s.n.Start()
	s.restarts.Add(1)
	return what
}

// fault harms the cache.
func (s *soak) fault(ctx context.Context, r *rand.Rand) string {
	root := filepath.Join(s.n.Dir, "cache")
	if r.IntN(5) == 0 {
		if err := os.Rename(root, root+".away"); err != nil {
			s.t.Error(err)
			return "nothing"
		}
		pause(ctx, time.Second)
		err := os.Rename(root+".away", root)
		if errors.Is(err, fs.ErrExist) { // the node has made a new one
			err = os.RemoveAll(root + ".away")
		}
		if err != nil {
			s.t.Error(err)
		}
		return "folder away"
	}
	flipped := 0
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || r.IntN(8) != 0 || strings.Count(d.Name(), "-") != 2 {
			return nil // what goes away meanwhile is no matter
		}
		if info, err := d.Info(); err == nil && info.Size() > 0 && flip(path, r.Int64N(info.Size()), 1) == nil {
			flipped++
		}
		return nil
	})
	if err != nil || flipped == 0 {
		return "nothing"
	}
	return "bit flips"
}

// deed is one thing that a client does.
func (s *soak) deed(ctx context.Context, r *rand.Rand) {
	before := s.restarts.Load()
	s.mu.Lock()
	var ids []string
	for id := range s.images {
		ids = append(ids, id)
	}
	s.mu.Unlock()
	var err error
	switch what := r.IntN(10); {
	case len(ids) < 5 || what < 2 && len(ids) < 40:
		err = s.upload(r)
	case what == 2:
		err = s.remove(ids[r.IntN(len(ids))])
	default:
		err = s.download(ctx, r, ids[r.IntN(len(ids))])
	}
	if after := s.restarts.Load(); err != nil && before == after && before%2 == 0 {
		s.t.Error(err)
	} else if err != nil {
		pause(ctx, 50*time.Millisecond)
	}
}

func (s *soak) call(method, path string, body io.Reader, header ...string) (*http.Response, error) {
	r, err := http.NewRequest(method, s.n.URL(path), body)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return s.client.Do(r)
}

// finish reads an answer that should have a status.
func finish(resp *http.Response, err error, want int) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s %s: %s %.200s", resp.Request.Method, resp.Request.URL.Path, resp.Status, b)
	}
	return b, err
}

func (s *soak) upload(r *rand.Rand) error {
	data := make([]byte, r.IntN(12<<20)+1)
	c := rand.NewChaCha8([32]byte{byte(r.Uint64()), byte(r.Uint64()), byte(r.Uint64())})
	_, _ = c.Read(data) // never fails
	if r.IntN(2) == 0 {
		clear(data[len(data)/3 : len(data)/3*2])
	}
	resp, err := s.call("POST", "/v2/images", strings.NewReader(`{"disk_format": "raw", "container_format": "bare"}`), "Content-Type", "application/json")
	b, err := finish(resp, err, http.StatusCreated)
	if err != nil {
		return err
	}
	var m struct{ ID string }
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	resp, err = s.call("PUT", "/v2/images/"+m.ID+"/file", bytes.NewReader(data), "Content-Type", "application/octet-stream")
	if _, err := finish(resp, err, http.StatusNoContent); err != nil {
		return err
	}
	s.mu.Lock()
	s.images[m.ID] = data
	s.mu.Unlock()
	s.uploads.Add(1)
	return nil
}

func (s *soak) remove(id string) error {
	s.mu.Lock()
	_, there := s.images[id]
	delete(s.images, id) // nobody reads it from here on
	s.mu.Unlock()
	if !there {
		return nil
	}
	s.deletes.Add(1)
	resp, err := s.call("DELETE", "/v2/images/"+id, nil)
	_, err = finish(resp, err, http.StatusNoContent)
	return err
}

// download reads a range, or leaves in the middle of it.
func (s *soak) download(ctx context.Context, r *rand.Rand, id string) error {
	s.mu.Lock()
	data := s.images[id]
	s.mu.Unlock()
	if data == nil {
		return nil
	}
	off := r.IntN(len(data))
	n := 1 + r.IntN(len(data)-off)
	resp, err := s.call("GET", "/v2/images/"+id+"/file", nil, "Range", rangeHeader(int64(off), int64(n)))
	if err == nil && r.IntN(8) == 0 {
		_, _ = io.CopyN(io.Discard, resp.Body, int64(n/3))
		s.aborts.Add(1)
		return resp.Body.Close()
	}
	got, err := finish(resp, err, http.StatusPartialContent)
	if err == nil && !bytes.Equal(got, data[off:off+n]) {
		s.t.Errorf("image %s, %d bytes at %d: other bytes", id, n, off)
	}
	s.mu.Lock()
	_, still := s.images[id]
	s.mu.Unlock()
	if !still {
		return nil // deleted meanwhile: refused or cut
	}
	s.downloads.Add(1)
	return err
}

// checkAll reads everything that was acknowledged.
func (s *soak) checkAll() {
	s.t.Helper()
	for id, data := range s.images {
		resp, err := s.call("GET", "/v2/images/"+id+"/file", nil)
		got, err := finish(resp, err, http.StatusOK)
		if err != nil || !bytes.Equal(got, data) {
			s.t.Errorf("image %s at the end: %d bytes of %d, %v", id, len(got), len(data), err)
		}
	}
}
