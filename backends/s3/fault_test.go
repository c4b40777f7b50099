package s3

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"glimpse/backends"
	"glimpse/backends/backendtest"
)

// evil is a store whose server answers as handler says, and the number of its
// answers.
func evil(t *testing.T, handler http.HandlerFunc) (*Store, *atomic.Int64) {
	t.Helper()
	fired := &atomic.Int64{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fired.Add(1)
		handler(w, r)
	}))
	t.Cleanup(srv.Close)
	c := config(srv.URL, "AKHUSH", "hush")
	c.Timeout = 5 * time.Second
	s := store(t, c)
	return s, fired
}

func status(code int, name string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		if name != "" && r.Method != http.MethodHead {
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>hush</Message></Error>", name)
		}
	}
}

func answer(code int, body []byte, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"e"`)
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		_, _ = w.Write(body)
	}
}

// Servers that lie or fail: each gives its error, and none a wrong body.
func TestBadServersWhileReading(t *testing.T) {
	data := backendtest.Bytes(1000)
	const validator = `e1000 "e"`
	for name, c := range map[string]struct {
		h    http.HandlerFunc
		want error // nil: any
		text string
	}{
		"no key":       {status(404, "NoSuchKey"), backends.ErrNotFound, ""},
		"no bucket":    {status(404, "NoSuchBucket"), errNoBucket, "bucket is missing"},
		"500":          {status(500, "InternalError"), backends.ErrUnavailable, ""},
		"503":          {status(503, "SlowDown", "Retry-After", "7"), backends.ErrUnavailable, ""},
		"429":          {status(429, "", "Retry-After", "7"), backends.ErrUnavailable, ""},
		"denied":       {status(403, "AccessDenied"), nil, "AccessDenied"},
		"expired":      {status(400, "ExpiredToken"), nil, "ExpiredToken"},
		"unknown key":  {status(403, "InvalidAccessKeyId"), nil, "refuses the credentials"},
		"clocks":       {status(403, "RequestTimeTooSkewed"), errSkewed, "clocks"},
		"region":       {status(301, "PermanentRedirect", "Location", "http://169.254.169.254/"), nil, "region"},
		"redirect":     {status(307, "", "Location", "http://169.254.169.254/"), nil, "307"},
		"a wild name":  {status(418, "hush <&hush"), nil, "418"},
		"changed":      {status(412, "PreconditionFailed"), backends.ErrChanged, ""},
		"past its end": {status(416, "InvalidRange"), io.ErrUnexpectedEOF, ""},
		"another ETag": {answer(206, data[100:200], "Content-Range", "bytes 100-199/1000", "ETag", `"f"`), backends.ErrChanged, ""},
		"another size": {answer(206, data[100:200], "Content-Range", "bytes 100-199/1001"), backends.ErrChanged, ""},
		"another span": {answer(206, data[200:300], "Content-Range", "bytes 200-299/1000"), errRange, ""},
		"no span":      {answer(206, data[100:200]), errRange, ""},
		"200 for 206":  {answer(200, data), errRange, ""},
		"a short span": {answer(206, data[100:150], "Content-Range", "bytes 100-149/1000"), io.ErrUnexpectedEOF, ""},
		"truncated":    {answer(206, data[100:150], "Content-Range", "bytes 100-199/1000", "Content-Length", "100"), io.ErrUnexpectedEOF, ""},
		"nothing":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, backends.ErrUnavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, fired := evil(t, c.h)
			got, err := read(t.Context(), s, s.locator("k"), validator, 100, 100)
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if err != nil && strings.Contains(strings.ToLower(err.Error()), "hush") {
				t.Errorf("the error tells a secret: %v", err)
			}
			if strings.HasPrefix(name, "503") || strings.HasPrefix(name, "429") {
				if backends.BusyFor(err) != 7*time.Second {
					t.Errorf("busy for %s", backends.BusyFor(err))
				}
			}
			if fired.Load() == 0 {
				t.Error("no fault fired")
			}
		})
	}
}

// An answer that does not end is not read to its end, whatever it says it is.
func TestEndlessAnswers(t *testing.T) {
	for _, code := range []int{200, 400, 500} {
		var sent atomic.Int64
		s, _ := evil(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			for sent.Load() < 16*maxText {
				n, err := w.Write([]byte("<Error>" + strings.Repeat("x", 64<<10)))
				if err != nil {
					return
				}
				sent.Add(int64(n))
			}
		})
		err := s.Pending(t.Context(), func(backends.Locator, time.Time) error { return nil })
		if err == nil || sent.Load() >= 16*maxText || sent.Load() == 0 {
			t.Errorf("status %d: %d bytes were taken, %v", code, sent.Load(), err)
		}
	}
}

// An object that changes after the answer began: the condition can't know of it.
func TestAnObjectThatChangesMidRead(t *testing.T) {
	data := backendtest.Bytes(1000)
	s, fired := evil(t, func(w http.ResponseWriter, r *http.Request) {
		etag := `"e"`
		if r.Method == http.MethodHead {
			etag = `"f"`
		}
		answer(206, data[:100], "Content-Range", "bytes 0-99/1000", "ETag", etag)(w, r)
	})
	got, err := read(t.Context(), s, s.locator("k"), `e1000 "e"`, 0, 100)
	if !errors.Is(err, backends.ErrChanged) || len(got) == 100 || fired.Load() != 2 {
		t.Errorf("%d bytes, %v, %d answers", len(got), err, fired.Load())
	}
}

// A server that falls silent, before its answer or in the middle of it, is left.
func TestASilentServerIsLeft(t *testing.T) {
	for name, headers := range map[string]bool{"before its answer": false, "in the middle": true} {
		release := make(chan struct{})
		s, fired := evil(t, func(w http.ResponseWriter, r *http.Request) {
			if headers && r.Method == http.MethodGet {
				w.Header().Set("Content-Length", "1000")
				_, _ = w.Write(make([]byte, 10))
				w.(http.Flusher).Flush()
			}
			<-release
		})
		t.Cleanup(func() { close(release) })
		s.c.Timeout, s.c.Retries = 50*time.Millisecond, 0
		_, rerr := read(t.Context(), s, s.locator("k"), "", 0, -1)
		_, serr := s.Stat(t.Context(), s.locator("k"))
		_, uerr := (&upload{s: s, key: "k", id: "i"}).send(t.Context(), 1, [][]byte{make([]byte, 1000)})
		for op, err := range map[string]error{"read": rerr, "stat": serr, "part": uerr} {
			if !errors.Is(err, backends.ErrUnavailable) {
				t.Errorf("%s: %s ends with %v", name, op, err)
			}
		}
		if fired.Load() != 3 {
			t.Errorf("%d faults fired", fired.Load())
		}
	}
}

// What a full or a missing bucket means to an upload.
func TestBadServersWhileWriting(t *testing.T) {
	for name, c := range map[string]struct {
		h    http.HandlerFunc
		want error
	}{
		"quota":     {status(403, "QuotaExceeded"), backends.ErrFull},
		"too large": {status(400, "EntityTooLarge"), backends.ErrFull},
		"507":       {status(507, ""), backends.ErrFull},
		"no bucket": {status(404, "NoSuchBucket"), errNoBucket},
		"denied":    {status(403, "AccessDenied"), nil},
		"busy":      {status(503, "SlowDown", "Retry-After", "3600"), backends.ErrUnavailable},
		"clocks":    {status(403, "RequestTimeTooSkewed"), errSkewed},
		"not XML":   {answer(200, []byte("hush")), nil},
		"no name":   {answer(200, []byte("<InitiateMultipartUploadResult/>")), nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, fired := evil(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodHead {
					w.WriteHeader(http.StatusNotFound)
					return
				}
				c.h(w, r)
			})
			s.c.CreateBucket, s.c.Retries = false, 1
			w, err := s.Create(t.Context(), "k", -1)
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Write(nil)
			if err == nil || c.want != nil && !errors.Is(err, c.want) || strings.Contains(strings.ToLower(err.Error()), "hush") {
				t.Errorf("the first Write ends with %v", err)
			}
			if _, cerr := w.Commit(t.Context()); cerr == nil {
				t.Error("committed")
			}
			if err := w.Cancel(); err != nil {
				t.Error(err)
			}
			if fired.Load() < 2 {
				t.Errorf("%d answers", fired.Load())
			}
		})
	}
}
