package swift

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/cmd/testenv"
)

// asked counts the requests of a store by method and object.
type asked struct {
	http.RoundTripper
	mu  sync.Mutex
	all []string
}

func (a *asked) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	a.all = append(a.all, r.Method+" "+r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]+r.URL.RawQuery)
	a.mu.Unlock()
	return a.RoundTripper.RoundTrip(r)
}

func TestRangesAreReadFromTheSegments(t *testing.T) {
	s := made(t, config(v1(testenv.Swift(t))))
	a := &asked{RoundTripper: s.client.Transport}
	s.client.Transport = a
	data := backendtest.Bytes(4*part + 1)
	at := backendtest.Put(t, s, "k", data, -1)
	i, err := s.Stat(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	read := func(off, n int64) ([]byte, error) {
		a.all = nil
		r, err := s.Open(t.Context(), at, i.Validator, off, n)
		if err != nil {
			return nil, err
		}
		got, err := io.ReadAll(r)
		return got, errors.Join(err, r.Close())
	}
	size := int64(len(data))
	for try, span := range [][2]int64{{0, 1}, {0, size}, {part - 1, 2}, {part, part}, {part, part + 1}, {3*part + 7, part - 6}, {size - 1, 1}} {
		got, err := read(span[0], span[1])
		if err != nil || !bytes.Equal(got, data[span[0]:span[0]+span[1]]) {
			t.Errorf("%v: %d bytes, %v", span, len(got), err)
		}
		for _, what := range a.all {
			if try > 0 && (what == "GET k" || strings.HasPrefix(what, "HEAD")) {
				t.Errorf("%v: the server was asked for %v", span, a.all)
			}
		}
	}
	if _, err := read(size-1, 2); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("beyond the end: %v", err)
	}

	// A segment that is another's bytes is not taken, nor is an object that is.
	p, err := s.find(at)
	if err != nil {
		t.Fatal(err)
	}
	segment := p
	for _, name := range names(t, s, s.c.Container) {
		if strings.HasSuffix(name, "-00002") {
			segment.object = name
		}
	}
	put := func(p place, body []byte) {
		t.Helper()
		if _, err := s.again(t.Context(), p, call{method: http.MethodPut, container: p.container, object: p.object, body: [][]byte{body}}); err != nil {
			t.Fatal(err)
		}
	}
	begun, err := s.Open(t.Context(), at, i.Validator, 0, size)
	if err != nil {
		t.Fatal(err)
	}
	put(segment, backendtest.Bytes(part + 1)[1:])
	if got, err := io.ReadAll(begun); !errors.Is(err, backends.ErrChanged) || len(got) > part {
		t.Errorf("a segment was replaced under a read: %d bytes, %v", len(got), err)
	}
	if err := begun.Close(); err != nil {
		t.Error(err)
	}
	if _, err := read(part, 1); !errors.Is(err, backends.ErrChanged) {
		t.Errorf("a segment was replaced: %v", err)
	}
	put(segment, data[part:2*part])
	if got, err := read(part, part); err != nil || !bytes.Equal(got, data[part:2*part]) {
		t.Errorf("as it was: %d bytes, %v", len(got), err)
	}
}

func TestAnObjectThatIsReplacedIsNotReadFromItsSegments(t *testing.T) {
	s := made(t, config(v1(testenv.Swift(t))))
	data := backendtest.Bytes(3 * part)
	at := backendtest.Put(t, s, "k", data, -1)
	i, err := s.Stat(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	open := func() io.ReadCloser {
		t.Helper()
		r, err := s.Open(t.Context(), at, i.Validator, 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	_, _ = io.Copy(io.Discard, open())
	p, err := s.find(at)
	if err != nil {
		t.Fatal(err)
	}
	if !s.layout(version{p, i.Validator}).has(0, 10) {
		t.Fatal("the segments are not known")
	}
	under := open()
	overwrite(t, s, at, data[1:]) // its segments stay
	if got, err := io.ReadAll(under); !errors.Is(err, backends.ErrChanged) {
		t.Errorf("under a read: %d bytes, %v", len(got), err)
	}
	if r, err := s.Open(t.Context(), at, i.Validator, 0, 10); err == nil {
		if got, err := io.ReadAll(r); !errors.Is(err, backends.ErrChanged) {
			t.Errorf("afterwards: %d bytes, %v", len(got), err)
		}
	} else if !errors.Is(err, backends.ErrChanged) {
		t.Errorf("afterwards: %v", err)
	}
}
