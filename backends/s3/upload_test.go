package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/cmd/testenv"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// between stands before a real server. A request for which fault says true is its
// to answer.
func between(t *testing.T, c Config, fault func(w http.ResponseWriter, r *http.Request, real http.Handler) bool) Config {
	t.Helper()
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	real := httputil.NewSingleHostReverseProxy(u)
	transport := &http.Transport{}
	real.Transport, real.ErrorLog = transport, log.New(io.Discard, "", 0)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !fault(w, r, real) {
			real.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		srv.Close()
		transport.CloseIdleConnections()
	})
	c.Endpoint = srv.URL
	return c
}

// left asks the server itself, past the driver, what of uploads it has.
func left(t *testing.T, c Config) int {
	t.Helper()
	out, err := store(t, c).client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &c.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Uploads)
}

func create(t *testing.T, ctx context.Context, s *Store, key string, size int64) backends.PartWriter {
	t.Helper()
	w, err := s.Create(ctx, key, size)
	if err != nil {
		t.Fatal(err)
	}
	return w.(backends.PartWriter)
}

// Every request of an upload fails in each of these ways, twice, and the object
// is right all the same.
func TestAnUploadSurvivesItsServersFaults(t *testing.T) {
	data := backendtest.Bytes(2*MinPart + 1000)
	lost := func(w http.ResponseWriter, r *http.Request, real http.Handler) { // done, and nobody hears of it
		real.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	for name, fault := range map[string]func(http.ResponseWriter, *http.Request, http.Handler){
		"500":        func(w http.ResponseWriter, r *http.Request, _ http.Handler) { status(500, "InternalError")(w, r) },
		"503":        func(w http.ResponseWriter, r *http.Request, _ http.Handler) { status(503, "SlowDown")(w, r) },
		"cut":        func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) },
		"in the 200": func(w http.ResponseWriter, r *http.Request, _ http.Handler) { status(200, "InternalError")(w, r) },
		"lost":       lost,
	} {
		t.Run(name, func(t *testing.T) {
			var parts, ends atomic.Int64
			base := gateway(t)
			c := between(t, base, func(w http.ResponseWriter, r *http.Request, real http.Handler) bool {
				q := r.URL.Query()
				var n *atomic.Int64
				switch {
				case q.Get("partNumber") == "2":
					n = &parts
				case r.Method == http.MethodPost && q.Has("uploadId"):
					n = &ends
				}
				if n == nil || n.Load() == 2 {
					return false
				}
				n.Add(1)
				fault(w, r, real)
				return true
			})
			s := store(t, c)
			w := create(t, t.Context(), s, "k", int64(len(data)))
			for _, part := range [][][]byte{
				{data[:1000], data[1000:MinPart]},
				{data[MinPart : 2*MinPart-1], data[2*MinPart-1 : 2*MinPart]},
				{data[2*MinPart:]},
			} {
				if err := w.WritePart(part...); err != nil {
					t.Fatal(err)
				}
			}
			at, err := w.Commit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got, err := read(t.Context(), s, at, "", 0, -1)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			// A lost answer to the end is known by the object that is there.
			wanted := int64(2)
			if name == "lost" {
				wanted = 1
			}
			if parts.Load() < 1 || ends.Load() != wanted || left(t, base) != 0 {
				t.Errorf("%d and %d faults fired, %d uploads left", parts.Load(), ends.Load(), left(t, base))
			}
			t.Logf("%d parts and %d ends failed", parts.Load(), ends.Load())
		})
	}
}

// The context of the Writes is over, and a part is on its way: nothing is left at
// the server, by what it says itself.
func TestAKilledUploadLeavesNothing(t *testing.T) {
	base := gateway(t)
	var late atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	c := between(t, base, func(w http.ResponseWriter, r *http.Request, real http.Handler) bool {
		if r.URL.Query().Get("partNumber") == "2" {
			late.Add(1)
			cancel() // the client goes, the part comes nevertheless
			real.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())))
			return true
		}
		return false
	})
	s := store(t, c)
	w := create(t, ctx, s, "k", -1)
	part := make([]byte, MinPart)
	if err := w.WritePart(part); err != nil {
		t.Fatal(err)
	}
	if left(t, base) != 1 {
		t.Fatal("no upload under way")
	}
	if err := w.WritePart(part); !errors.Is(err, context.Canceled) {
		t.Errorf("the part ends with %v", err)
	}
	if err := w.Cancel(); err != nil {
		t.Error(err)
	}
	if n := left(t, base); n != 0 || late.Load() != 1 {
		t.Errorf("%d uploads left, %d faults", n, late.Load())
	}
}

// An abort that the server forgets is repeated, as is one that it has not got.
func TestAnAbortReallyAborts(t *testing.T) {
	base := gateway(t)
	var n atomic.Int64
	c := between(t, base, func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if r.Method != http.MethodDelete || n.Load() == 2 {
			return false
		}
		if n.Add(1) == 1 {
			w.WriteHeader(http.StatusInternalServerError)
		} else {
			w.WriteHeader(http.StatusNoContent) // and keeps it
		}
		return true
	})
	w := create(t, t.Context(), store(t, c), "k", -1)
	if err := w.WritePart(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := w.Cancel(); err != nil {
		t.Error(err)
	}
	if left(t, base) != 0 || n.Load() != 2 {
		t.Errorf("%d uploads left, %d faults", left(t, base), n.Load())
	}
}

// What breaks the rules of parts, and what has ended.
func TestPartsAreChecked(t *testing.T) {
	s := store(t, gateway(t))
	for name, sizes := range map[string][]int{
		"larger":         {MinPart + 1},
		"after the last": {10, 10},
		"too many bytes": {MinPart, MinPart, MinPart},
	} {
		size := int64(-1)
		if name == "too many bytes" {
			size = 2*MinPart + 5
		}
		w := create(t, t.Context(), s, "k", size)
		var err error
		for _, n := range sizes {
			if err == nil {
				err = w.WritePart(make([]byte, n))
			}
		}
		if err == nil {
			t.Errorf("%s: taken", name)
		}
		if _, err := w.Commit(t.Context()); err == nil {
			t.Errorf("%s: committed", name)
		}
		if err := w.Cancel(); err != nil {
			t.Error(err)
		}
		if err := w.WritePart([]byte("x")); err == nil {
			t.Errorf("%s: written after its end", name)
		}
	}
	for _, key := range []string{"", ".", "..", "a/b", "a b", "a@b", "a:b", "é", strings.Repeat("k", 201)} {
		if _, err := s.Create(t.Context(), key, 1); err == nil {
			t.Errorf("%q is a key", key)
		}
	}
}

// An object of no bytes is ended by nobody else's upload, and replaces nothing.
func TestAnEmptyObject(t *testing.T) {
	s := store(t, gateway(t))
	one, two, three := create(t, t.Context(), s, "k", 0), create(t, t.Context(), s, "k", -1), create(t, t.Context(), s, "other", -1)
	for _, w := range []backends.PartWriter{one, two, three} {
		if _, err := w.Write(nil); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	if err := s.Pending(t.Context(), func(_ backends.Locator, at time.Time) error {
		n++
		if d := time.Since(at); d < -time.Minute || d > time.Minute {
			t.Errorf("it began at %s", at)
		}
		return nil
	}); err != nil || n != 3 {
		t.Errorf("%d uploads pending, %v", n, err)
	}
	if _, err := one.Commit(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := two.Commit(t.Context()); !errors.Is(err, backends.ErrExists) {
		t.Errorf("the second is committed: %v", err)
	}
	if err := s.Abort(t.Context(), three.Locator()); err != nil {
		t.Error(err)
	}
	if _, err := three.Commit(t.Context()); err == nil {
		t.Error("an upload that was ended is committed")
	}
	for _, w := range []backends.PartWriter{one, two, three} {
		if err := w.Cancel(); err != nil {
			t.Error(err)
		}
	}
}

// A bucket that is missing is trouble with the configuration, and no sign that
// an image is gone.
func TestABucketThatIsMissing(t *testing.T) {
	c := gateway(t)
	c.CreateBucket = false
	s := store(t, c)
	_, serr := s.Stat(t.Context(), s.locator("k"))
	_, oerr := s.Open(t.Context(), s.locator("k"), "", 0, 1)
	_, werr := create(t, t.Context(), s, "k", 1).Write([]byte("x"))
	for op, err := range map[string]error{
		"Stat": serr, "Open": oerr, "Write": werr, "Delete": s.Delete(t.Context(), s.locator("k")),
		"Pending": s.Pending(t.Context(), func(backends.Locator, time.Time) error { return nil }),
	} {
		if !errors.Is(err, backends.ErrUnavailable) || !strings.Contains(err.Error(), "bucket is missing") {
			t.Errorf("%s: %v", op, err)
		}
	}
	c.CreateBucket = true
	s = store(t, c)
	for range 2 { // also where it is there already
		if err := s.createBucket(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Stat(t.Context(), s.locator("k")); !errors.Is(err, backends.ErrNotFound) {
		t.Error(err)
	}
}

// Wrong credentials in a location are used, and the store's own are not, although
// both have one name.
func TestCredentialsOfALocation(t *testing.T) {
	c := gateway(t)
	s := store(t, c)
	at := backendtest.Put(t, s, "k", []byte("x"), 1)
	bare := backends.Locator("s3://" + s.host + "/" + c.Bucket + "/k")
	if got, err := read(t.Context(), s, bare, "", 0, -1); err != nil || string(got) != "x" {
		t.Errorf("without credentials: %q, %v", got, err)
	}
	wrong := backends.Locator(strings.Replace(at.Reveal(), c.SecretKey.Reveal(), "hush", 1))
	_, err := read(t.Context(), s, wrong, "", 0, -1)
	if err == nil || errors.Is(err, backends.ErrNotFound) || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "SignatureDoesNotMatch") {
		t.Errorf("with wrong credentials: %v", err)
	}
}

const withBoto = `
import boto3, os, sys
from botocore.client import Config
s3 = boto3.client("s3", endpoint_url=os.environ["URL"], region_name="us-east-1", aws_access_key_id=os.environ["ACCESS"],
                  aws_secret_access_key=os.environ["SECRET"], config=Config(s3={"addressing_style": "auto"}))
s3.download_file(os.environ["BUCKET"], "k", os.environ["OUT"])
s3.upload_file(os.environ["OUT"], os.environ["BUCKET"], "from-boto")
`

// Another client reads what the driver wrote, and the reverse.
func TestBoto3ReadsTheSame(t *testing.T) {
	testenv.NeedFile(t, "/usr/lib/python3/dist-packages/boto3/__init__.py")
	c := gateway(t)
	s := store(t, c)
	data := backendtest.Bytes(2*MinPart + 12345)
	backendtest.Put(t, s, "k", data, -1)
	out := filepath.Join(t.TempDir(), "out")
	testenv.Run(t, []string{
		"URL=" + c.Endpoint, "ACCESS=" + c.AccessKey.Reveal(), "SECRET=" + c.SecretKey.Reveal(), "BUCKET=" + c.Bucket, "OUT=" + out,
	}, "/usr/bin/python3", "-c", withBoto)
	got, err := os.ReadFile(out)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("boto3 reads %d bytes, %v", len(got), err)
	}
	got, err = read(t.Context(), s, s.locator("from-boto"), "", 0, -1)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes of boto3's, %v", len(got), err)
	}
}
