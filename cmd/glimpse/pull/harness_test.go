package pull

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"glimpse/cmd/glimpse/imageapi"

	"go.uber.org/goleak"
	"lukechampine.com/blake3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const chunkSize = 64 << 10

// origin is an image that several servers give, each in its own bad way.
type origin struct {
	t    *testing.T
	data []byte
	m    imageapi.Image
	man  *imageapi.Manifest
}

// newOrigin makes an image with runs of zeros in it.
func newOrigin(t *testing.T, size int, seed uint64) *origin {
	t.Helper()
	data := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	r.Read(data)
	for from := 0; from < size; from += 11 * chunkSize {
		clear(data[min(size, from+3*chunkSize+100):min(size, from+6*chunkSize+50)])
	}
	sum := sha512.Sum512(data)
	algo, value, n := "sha512", hex.EncodeToString(sum[:]), int64(size)
	o := &origin{t: t, data: data, m: imageapi.Image{ID: fmt.Sprintf("0000000%d-0000-0000-0000-000000000000", seed), Size: &n, HashAlgo: &algo, HashValue: &value}}
	o.man = &imageapi.Manifest{Size: n, Chunk: chunkSize}
	for at := 0; at < size; at += chunkSize {
		b := data[at:min(size, at+chunkSize)]
		d := imageapi.Digest(blake3.Sum256(b))
		if len(bytes.Trim(b, "\x00")) == 0 {
			d = imageapi.Digest{}
		}
		o.man.Digests = append(o.man.Digests, d)
	}
	return o
}

// solid counts the bytes of chunks that are not of zeros.
func (o *origin) solid() (n int64) {
	for i := range o.man.Digests {
		if _, k := o.man.Span(i); !o.man.Zero(i) {
			n += k
		}
	}
	return n
}

// server is one of the nodes.
type server struct {
	*httptest.Server
	sent   atomic.Int64 // bytes of the image
	faults atomic.Int64 // that fired
}

// fault may change what a server answers; nil is a good one.
type fault func(s *server, w http.ResponseWriter, r *http.Request, data []byte) (done bool)

func (o *origin) serve(f fault) *server {
	o.t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f == nil || !f(s, w, r, o.data) {
			http.ServeContent(&counted{w, &s.sent}, r, "", time.Time{}, bytes.NewReader(o.data))
		}
	}))
	o.t.Cleanup(s.Close)
	return s
}

type counted struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.n.Add(int64(n))
	return n, err
}

// config is a pull from these servers, the first of them the nearest.
func (o *origin) config(servers ...*server) (c Config, done *atomic.Int64) {
	o.t.Helper()
	s, err := imageapi.Open(o.t.Context(), imageapi.Login{Endpoint: servers[0].URL})
	must(o.t, err)
	o.t.Cleanup(s.Close)
	done = &atomic.Int64{}
	c = Config{Session: s, Image: o.m, Manifest: o.man, Streams: 4, Use: 3, Stall: 500 * time.Millisecond, GiveUp: 30 * time.Second, Progress: func(n int64) { done.Add(n) }}
	for i, s := range servers {
		c.Nodes = append(c.Nodes, imageapi.Node{Base: s.URL, Near: true, RTT: time.Duration(i) * time.Millisecond})
	}
	return c, done
}

// check looks at the file and at what lies beside it.
func (o *origin) check(name string) {
	o.t.Helper()
	got, err := os.ReadFile(name)
	must(o.t, err)
	if !bytes.Equal(got, o.data) {
		o.t.Errorf("%d bytes that are not the image's %d", len(got), len(o.data))
	}
	left, err := filepath.Glob(name + "?*")
	must(o.t, err)
	if len(left) > 0 {
		o.t.Errorf("left behind: %v", left)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// flipped flips a bit of each of the first n answers.
func flipped(n int64) fault {
	return func(s *server, w http.ResponseWriter, r *http.Request, data []byte) bool {
		if s.faults.Add(1) > n {
			s.faults.Store(n)
			return false
		}
		bad := bytes.Clone(data)
		for at := 5; at < len(bad); at += chunkSize {
			bad[at] ^= 1
		}
		http.ServeContent(&counted{w, &s.sent}, r, "", time.Time{}, bytes.NewReader(bad))
		return true
	}
}

// broken cuts each answer after n bytes.
func broken(n int) fault {
	return func(s *server, w http.ResponseWriter, r *http.Request, data []byte) bool {
		http.ServeContent(&short{w, s, n}, r, "", time.Time{}, bytes.NewReader(data))
		return true
	}
}

type short struct {
	http.ResponseWriter
	s    *server
	left int
}

func (s *short) Write(b []byte) (int, error) {
	if len(b) > s.left {
		_, _ = s.ResponseWriter.Write(b[:s.left])
		s.s.faults.Add(1)
		panic(http.ErrAbortHandler)
	}
	s.left -= len(b)
	n, err := s.ResponseWriter.Write(b)
	s.s.sent.Add(int64(n))
	return n, err
}

// stuck begins each answer and then says nothing.
func stuck(_ *server, w http.ResponseWriter, r *http.Request, data []byte) bool {
	http.ServeContent(&sleeper{ResponseWriter: w, ctx: r.Context()}, r, "", time.Time{}, bytes.NewReader(data))
	return true
}

type sleeper struct {
	http.ResponseWriter
	ctx context.Context
}

func (s *sleeper) Write(b []byte) (int, error) {
	_, _ = s.ResponseWriter.Write(b[:min(len(b), 1000)])
	s.ResponseWriter.(http.Flusher).Flush()
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

// dribbling gives the first bytes of each answer as it should, and then one now and
// then.
func dribbling(_ *server, w http.ResponseWriter, r *http.Request, data []byte) bool {
	http.ServeContent(&dribbler{ResponseWriter: w, ctx: r.Context()}, r, "", time.Time{}, bytes.NewReader(data))
	return true
}

type dribbler struct {
	http.ResponseWriter
	ctx context.Context
}

func (d *dribbler) Write(b []byte) (int, error) {
	n, err := d.ResponseWriter.Write(b[:min(len(b), 1000)])
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ; n < len(b) && err == nil; n++ {
		d.ResponseWriter.(http.Flusher).Flush()
		select {
		case <-d.ctx.Done():
			return n, d.ctx.Err()
		case <-tick.C:
			_, err = d.ResponseWriter.Write(b[n : n+1])
		}
	}
	return n, err
}

// resized has so many bytes more or less of the image than it should.
func resized(by int) fault {
	return func(s *server, w http.ResponseWriter, r *http.Request, data []byte) bool {
		s.faults.Add(1)
		other := append(bytes.Clone(data), make([]byte, max(by, 0))...)
		http.ServeContent(&counted{w, &s.sent}, r, "", time.Time{}, bytes.NewReader(other[:len(data)+by]))
		return true
	}
}

// endless does not say how much it gives, and gives more than the image.
func endless(s *server, w http.ResponseWriter, _ *http.Request, data []byte) bool {
	s.faults.Add(1)
	for range 2 {
		_, _ = w.Write(data)
		w.(http.Flusher).Flush()
	}
	return true
}

// busy refuses each request with a status.
func busy(status int) fault {
	return func(s *server, w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		s.faults.Add(1)
		w.WriteHeader(status)
		return true
	}
}

// unranged knows no ranges.
func unranged(s *server, w http.ResponseWriter, r *http.Request, data []byte) bool {
	r.Header.Del("Range")
	http.ServeContent(&counted{w, &s.sent}, r, "", time.Time{}, bytes.NewReader(data))
	return true
}
