package systest

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

func TestMain(m *testing.M) {
	code := m.Run()
	testenv.Stop()
	os.Exit(code)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// api is an Image API that is talked to plainly.
type api struct {
	t     *testing.T
	base  string
	token string
	as    []string // headers of every request
}

func on(t *testing.T, addr string) api { return api{t: t, base: "http://" + addr} }

// by is the API as the holder of a token.
func (a api) by(token string) api {
	a.token = token
	return a
}

// do sends a request and returns the answer; its body is read by the caller.
func (a api) do(method, path string, body io.Reader, headers ...string) *http.Response {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), method, a.base+path, body)
	must(a.t, err)
	a.sign(r, headers...)
	resp, err := http.DefaultClient.Do(r)
	must(a.t, err)
	return resp
}

// sign sets the headers of a request, and those of every request.
func (a api) sign(r *http.Request, headers ...string) {
	headers = append(slices.Clone(a.as), headers...)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	if a.token != "" {
		r.Header.Set("X-Auth-Token", a.token)
	}
}

// text is do with the body read.
func (a api) text(method, path, body string, headers ...string) (int, string) {
	a.t.Helper()
	resp := a.do(method, path, strings.NewReader(body), headers...)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(a.t, err)
	return resp.StatusCode, string(b)
}

// create makes an image of a format.
func (a api) create(name, format string) string {
	a.t.Helper()
	code, body := a.text("POST", "/v2/images", fmt.Sprintf(`{"name": %q, "disk_format": %q, "container_format": "bare"}`, name, format), "Content-Type", "application/json")
	if code != 201 {
		a.t.Fatalf("create: %d %s", code, body)
	}
	var m struct{ ID string }
	must(a.t, json.Unmarshal([]byte(body), &m))
	return m.ID
}

// show returns an image's record.
func (a api) show(id string) map[string]any {
	a.t.Helper()
	code, body := a.text("GET", "/v2/images/"+id, "")
	if code != 200 {
		a.t.Fatalf("show: %d %s", code, body)
	}
	var m map[string]any
	must(a.t, json.Unmarshal([]byte(body), &m))
	return m
}

// upload gives an image a file's bytes.
func (a api) upload(id, file string) {
	a.t.Helper()
	f, err := os.Open(file)
	must(a.t, err)
	defer f.Close()
	st, err := f.Stat()
	must(a.t, err)
	r, err := http.NewRequestWithContext(a.t.Context(), "PUT", a.base+"/v2/images/"+id+"/file", f)
	must(a.t, err)
	r.ContentLength = st.Size()
	a.sign(r, "Content-Type", "application/octet-stream")
	resp, err := http.DefaultClient.Do(r)
	must(a.t, err)
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != 204 {
		a.t.Fatalf("upload: %s %s", resp.Status, b)
	}
}

// same downloads an image and compares it with a file, byte by byte.
func (a api) same(id, file string) {
	a.t.Helper()
	resp := a.do("GET", "/v2/images/"+id+"/file", nil)
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		b, _ := io.ReadAll(resp.Body)
		a.t.Fatalf("download: %s %s", resp.Status, b)
	}
	f, err := os.Open(file)
	must(a.t, err)
	defer f.Close()
	if err := equal(resp.Body, f); err != nil {
		a.t.Error(err)
	}
}

// equal compares two streams.
func equal(a, b io.Reader) error {
	x, y := make([]byte, 1<<20), make([]byte, 1<<20)
	for at := int64(0); ; {
		n, err := io.ReadFull(a, x)
		k, kerr := io.ReadFull(b, y)
		if !bytes.Equal(x[:n], y[:k]) {
			return fmt.Errorf("other bytes within 1 MiB of %d", at)
		}
		at += int64(n)
		if err != nil || kerr != nil {
			if ended(err) && ended(kerr) {
				return nil
			}
			return fmt.Errorf("after %d bytes: %w, %w", at, err, kerr)
		}
	}
}

func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

func sha(t *testing.T, file string) string {
	t.Helper()
	f, err := os.Open(file)
	must(t, err)
	defer f.Close()
	h := sha512.New()
	_, err = io.Copy(h, f)
	must(t, err)
	return hex.EncodeToString(h.Sum(nil))
}

// until waits for a condition, at most 20 s.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	within(t, 20*time.Second, what, ok)
}

func within(t *testing.T, most time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(most); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, most)
		}
	}
}

// metric reads one line of a node's metrics.
func metric(t *testing.T, n *testenv.Node, line string) (v float64) {
	t.Helper()
	_, text := on(t, n.Ops).text("GET", "/metrics", "")
	for l := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(l, line+" "); ok {
			_, err := fmt.Sscan(rest, &v)
			must(t, err)
			return v
		}
	}
	t.Fatalf("no metric %s", line)
	return 0
}

func rangeHeader(off, n int64) string { return fmt.Sprintf("bytes=%d-%d", off, off+n-1) }
