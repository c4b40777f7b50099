package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"glimpse/backends"
	"glimpse/backends/backendtest"
)

// until waits for a condition, a few seconds at most.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}

func (n *node) status(id string) string {
	n.t.Helper()
	return fmt.Sprint(n.get(member, "/v2/images/"+id).json(n.t)["status"])
}

// nothing asserts that an upload left nothing.
func (n *node) nothing(id string) {
	n.t.Helper()
	until(n.t, "the image is queued again", func() bool { return n.status(id) == "queued" })
	until(n.t, "the half-done work is gone", func() bool {
		left := n.store.Len()
		must(n.t, n.store.Pending(n.t.Context(), func(backends.Locator, time.Time) error { left++; return nil }))
		return left == 0
	})
}

func TestAnUploadCutAtEveryStage(t *testing.T) {
	n := newNode(t, nil)
	const size = 300_000
	data := backendtest.Bytes(size)
	for _, sent := range []int{0, 1, 8192, 65_536, 65_537, 200_000, size - 1} {
		for how, cut := range map[string]func(net.Conn){
			"FIN": func(c net.Conn) { c.(*net.TCPConn).CloseWrite() },
			"RST": func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() },
		} {
			id := n.created(member, "")
			c, r := n.raw(head("PUT", "/v2/images/"+id+"/file", member, "Content-Type: application/octet-stream", fmt.Sprint("Content-Length: ", size)))
			_, err := c.Write(data[:sent])
			must(t, err)
			if sent > 0 {
				until(t, "the upload begins", func() bool { return n.status(id) == "saving" })
			}
			cut(c)
			if how == "FIN" && sent > 0 {
				if got := answer(t, r); got.code != 400 {
					t.Errorf("%d bytes: %d", sent, got.code)
				}
			}
			n.nothing(id)
			if got := n.put(member, id, data); got.code != 204 {
				t.Errorf("%d bytes, %s: the next upload %d %s", sent, how, got.code, got.body)
			}
			must(t, n.store.Delete(t.Context(), n.locator(id)))
		}
	}
}

// A body without a length ends with its last chunk, and with nothing else.
func TestAChunkedUploadCutAtEveryStage(t *testing.T) {
	n := newNode(t, nil)
	const size = 300_000
	data := backendtest.Bytes(size)
	whole := append(fmt.Appendf(nil, "%x\r\n", 100_000), data[:100_000]...)
	whole = append(append(fmt.Appendf(whole, "\r\n%x\r\n", 200_000), data[100_000:]...), "\r\n0\r\n\r\n"...)
	first := len("186a0\r\n") + 100_000 // the end of the first chunk
	for _, sent := range []int{3, 7, 8, 65_536 + 7, first, first + 1, first + 2, first + 5, first + 9, first + 10, 200_000, len(whole) - 7, len(whole) - 5, len(whole) - 4, len(whole) - 2, len(whole) - 1, len(whole)} {
		id := n.created(member, "")
		c, r := n.raw(head("PUT", "/v2/images/"+id+"/file", member, "Content-Type: application/octet-stream", "Transfer-Encoding: chunked"))
		_, err := c.Write(whole[:sent])
		must(t, err)
		c.(*net.TCPConn).CloseWrite()
		got := answer(t, r)
		if sent == len(whole) {
			if got.code != 204 || n.status(id) != "active" {
				t.Errorf("whole: %d %s", got.code, got.body)
			}
			break
		}
		if got.code != 400 {
			t.Errorf("%d of %d bytes: %d %s", sent, len(whole), got.code, got.body)
		}
		n.nothing(id)
	}
}

// locator finds where an image's bytes are.
func (n *node) locator(id string) backends.Locator {
	n.t.Helper()
	m, err := n.reg.Get(n.t.Context(), id)
	must(n.t, err)
	return backends.Locator(m.Locations[0].URL.Reveal())
}

func TestAStalledUploadIsCut(t *testing.T) {
	n := newNode(t, func(c *Config) { c.StallTimeout = 300 * time.Millisecond })
	id := n.created(member, "")
	c, r := n.raw(head("PUT", "/v2/images/"+id+"/file", member, "Content-Type: application/octet-stream", "Content-Length: 300000"))
	_, err := c.Write(make([]byte, 10_000))
	must(t, err)
	if got := answer(t, r); got.code != 408 {
		t.Errorf("%d", got.code)
	}
	n.nothing(id)
}

func TestADrippingUploadIsCut(t *testing.T) {
	n := newNode(t, func(c *Config) { c.StallTimeout = 300 * time.Millisecond; c.MinRate = 100_000 })
	id := n.created(member, "")
	c, r := n.raw(head("PUT", "/v2/images/"+id+"/file", member, "Content-Type: application/octet-stream", "Content-Length: 300000"))
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				if _, err := c.Write([]byte("x")); err != nil {
					return
				}
			}
		}
	}()
	if got := answer(t, r); got.code != 408 {
		t.Errorf("%d", got.code)
	}
	close(stop)
	n.nothing(id)
}

func TestASlowUploadLives(t *testing.T) {
	n := newNode(t, func(c *Config) { c.StallTimeout = 400 * time.Millisecond; c.HeaderTimeout = 400 * time.Millisecond })
	id := n.created(member, "")
	c, r := n.raw(head("PUT", "/v2/images/"+id+"/file", member, "Content-Type: application/octet-stream", "Content-Length: 50000"))
	for range 10 { // a second in all, longer than any timeout
		time.Sleep(100 * time.Millisecond)
		_, err := c.Write(make([]byte, 5000))
		must(t, err)
	}
	if got := answer(t, r); got.code != 204 {
		t.Errorf("%d %s", got.code, got.body)
	}
}

func TestASlowHeaderIsCut(t *testing.T) {
	n := newNode(t, func(c *Config) { c.HeaderTimeout = 200 * time.Millisecond })
	c, r := n.raw("GET /v2/images HTTP/1.1\r\nHost: x\r\nX-A: ")
	if got := answer(t, r); got.code != 408 {
		t.Errorf("%d", got.code)
	}
	if _, err := r.ReadByte(); err == nil {
		t.Error("the connection stays open")
	}
	c.Close()
}

func TestMalformedRequests(t *testing.T) {
	n := newNode(t, nil)
	for name, c := range map[string]struct {
		text string
		want int
	}{
		"huge header":   {"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 64<<10) + "\r\n\r\n", 431},
		"no HTTP":       {"hello\r\n\r\n", 400},
		"huge JSON":     {head("POST", "/v2/images", member, "Content-Type: application/json", "Content-Length: 100000000") + "{", 413},
		"bad length":    {head("POST", "/v2/images", member, "Content-Type: application/json", "Content-Length: -5"), 400},
		"a long token":  {"GET /v2/images HTTP/1.1\r\nHost: x\r\nX-Auth-Token: " + strings.Repeat("t", 20<<10) + "\r\n\r\n", 401},
		"NUL in a path": {head("GET", "/v2/images/%00", member), 404},
		"path tricks":   {head("GET", "/v2/images/../../etc/passwd", member), 404},
	} {
		t.Run(name, func(t *testing.T) {
			_, r := n.raw(c.text)
			if got := answer(t, r); got.code != c.want {
				t.Errorf("%d %.200s", got.code, got.body)
			}
		})
	}
	// An endless chunked body of JSON is bounded too.
	c, r := n.raw(head("POST", "/v2/images", member, "Content-Type: application/json", "Transfer-Encoding: chunked"))
	go func() {
		piece := "10000\r\n" + strings.Repeat("a", 0x10000) + "\r\n"
		for range 40 {
			if _, err := io.WriteString(c, piece); err != nil {
				return
			}
		}
	}()
	if got := answer(t, r); got.code != 413 {
		t.Errorf("endless: %d", got.code)
	}
	if r := n.get(member, "/v2/images"); r.code != 200 {
		t.Errorf("afterwards: %d", r.code)
	}
}

func TestPipelinedRequestsAreAllAnswered(t *testing.T) {
	n := newNode(t, nil)
	id := n.active(member, "", []byte("hello"))
	var text strings.Builder
	for range 10 {
		text.WriteString(head("GET", "/v2/images/"+id+"/file", member))
		text.WriteString(head("GET", "/v2/images/nope", other))
	}
	_, r := n.raw(text.String())
	for range 10 {
		if got := answer(t, r); string(got.body) != "hello" {
			t.Errorf("%d %s", got.code, got.body)
		}
		if got := answer(t, r); got.code != 404 {
			t.Errorf("%d", got.code)
		}
	}
}

func TestAClientThatStopsReadingIsCut(t *testing.T) {
	log := make(signal, 16)
	n := newNode(t, func(c *Config) {
		c.StallTimeout, c.Log = 300*time.Millisecond, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	})
	id := n.active(member, "", backendtest.Bytes(16<<20))
	c, r := n.raw("")
	must(t, c.(*net.TCPConn).SetReadBuffer(64<<10)) // or the kernel may take all of it
	_, err := io.WriteString(c, head("GET", "/v2/images/"+id+"/file", member))
	must(t, err)
	resp, err := http.ReadResponse(r, nil)
	must(t, err)
	defer resp.Body.Close()
	select {
	case line := <-log:
		if !strings.Contains(line, "msg=download") {
			t.Error(line)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the download goes on for ever")
	}
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("the body ended cleanly")
	}
}

// signal passes on what is written.
type signal chan string

func (s signal) Write(p []byte) (int, error) {
	s <- string(p)
	return len(p), nil
}

// Nothing tells a server that a client has gone while it waits for bytes; it has
// to look.
func TestAClientThatHangsUpWhileTheOriginIsSlow(t *testing.T) {
	n := newNode(t, nil)
	data := backendtest.Bytes(500_000)
	id := n.created(member, "")
	n.store.Replace("direct", data)
	must(t, n.activate(id, "mem://m/direct", int64(len(data))))
	n.gate.gate = make(chan struct{})
	defer close(n.gate.gate)
	before := runtime.NumGoroutine()
	for _, cut := range []func(*net.TCPConn){
		func(c *net.TCPConn) { c.Close() },
		func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
	} {
		c, _ := n.raw(head("GET", "/v2/images/"+id+"/file", member))
		time.Sleep(50 * time.Millisecond)
		cut(c.(*net.TCPConn))
	}
	until(t, "the goroutines of gone clients end", func() bool { return runtime.NumGoroutine() <= before+8 })
}

// A body that can't be completed right is cut, never ended cleanly.
func TestAnOriginThatBreaksCutsTheResponse(t *testing.T) {
	n := newNode(t, nil)
	data := backendtest.Bytes(500_000)
	id := n.created(member, "")
	n.store.Replace("direct", data)
	must(t, n.activate(id, "mem://m/direct", int64(len(data))))
	resp := n.begin("/v2/images/" + id + "/file")
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	got, err := io.ReadAll(resp.Body)
	must(t, err)
	if !bytes.Equal(got, data) {
		t.Error("other bytes")
	}
	n.store.Replace("second", data)
	second := n.created(member, "")
	must(t, n.activate(second, "mem://m/second", int64(len(data))))
	if r := n.get(member, "/v2/images/"+second+"/file", "Range", "bytes=0-9"); r.code != 206 {
		t.Fatal(r.code)
	}
	n.store.Replace("second", bytes.Repeat([]byte("evil"), 125_000)) // same size, other bytes
	resp = n.begin("/v2/images/" + second + "/file")
	defer resp.Body.Close()
	got, err = io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode == 200 {
		t.Errorf("ended cleanly with %d bytes", len(got))
	}
	if bytes.Contains(got, []byte("evilevil")) {
		t.Error("two versions in one body")
	}
}

func (n *node) begin(path string) *http.Response {
	n.t.Helper()
	r, err := http.NewRequestWithContext(n.t.Context(), "GET", "http://"+n.addr+path, nil)
	must(n.t, err)
	r.Header.Set("X-Auth-Token", member)
	resp, err := http.DefaultClient.Do(r)
	must(n.t, err)
	return resp
}

func TestADrainLetsADownloadFinishAndThenCuts(t *testing.T) {
	for name, grace := range map[string]time.Duration{"finish": 5 * time.Second, "cut": 50 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, nil)
			data := backendtest.Bytes(500_000)
			id := n.created(member, "")
			n.store.Replace("direct", data)
			must(t, n.activate(id, "mem://m/direct", int64(len(data))))
			n.gate.gate = make(chan struct{})
			c, r := n.raw(head("GET", "/v2/images/"+id+"/file", member))
			defer c.Close()
			until(t, "the download begins", func() bool { return n.srv.http.GetCurrentConcurrency() > 0 })
			time.Sleep(50 * time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), grace)
			defer cancel()
			drained := make(chan error, 1)
			go func() { drained <- n.srv.Drain(ctx) }()
			if name == "finish" {
				until(t, "new connections are refused", func() bool {
					c, err := net.Dial("tcp", n.addr)
					if err == nil {
						c.Close()
					}
					return err != nil
				})
				close(n.gate.gate)
				if got := answer(t, r); !bytes.Equal(got.body, data) {
					t.Errorf("%d, %d bytes", got.code, len(got.body))
				}
				must(t, <-drained)
				return
			}
			if err := <-drained; err == nil {
				t.Error("nothing was cut")
			}
			if _, err := io.ReadAll(r); err == nil {
				t.Log("the connection ended before the header")
			}
			close(n.gate.gate)
		})
	}
}
