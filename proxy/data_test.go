package proxy

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"glimpse/backends"
	"glimpse/backends/backendtest"
)

func TestUpload(t *testing.T) {
	n := newNode(t, nil)
	data := backendtest.Bytes(200_000)
	for name, c := range map[string]struct {
		extra   string
		data    []byte
		headers []string
		want    int
	}{
		"sized":                  {"", data, nil, 204},
		"no bytes":               {"", nil, nil, 204},
		"type with parameters":   {"", data, []string{"Content-Type", "application/octet-stream; charset=x"}, 204},
		"another type":           {"", data, []string{"Content-Type", "application/json"}, 415},
		"no type":                {"", data, []string{"Content-Type", ""}, 415},
		"announced right":        {"", data, []string{"X-OpenStack-Image-Size", "200000"}, 204},
		"announced wrong":        {"", data, []string{"X-OpenStack-Image-Size", "200001"}, 400},
		"announced nonsense":     {"", data, []string{"X-OpenStack-Image-Size", "-1"}, 400},
		"a store":                {"", data, []string{"X-Image-Meta-Store", "main"}, 204},
		"unknown store":          {"", data, []string{"X-Image-Meta-Store", "attic"}, 400},
		"not of its disk format": {`, "disk_format": "qcow2"`, data, nil, 415},
	} {
		t.Run(name, func(t *testing.T) {
			body := `{"container_format": "bare", "disk_format": "raw"}`
			if c.extra != "" {
				body = `{"container_format": "bare"` + c.extra + `}`
			}
			id := n.create(member, body).json(t)["id"].(string)
			r := n.put(member, id, c.data, c.headers...)
			if r.code != c.want {
				t.Fatalf("got %d %s", r.code, r.body)
			}
			v := n.get(member, "/v2/images/"+id).json(t)
			if c.want != 204 {
				if v["status"] != "queued" {
					t.Errorf("status %v", v["status"])
				}
				return
			}
			sum := md5.Sum(c.data)
			if v["status"] != "active" || v["size"] != float64(len(c.data)) || v["checksum"] != hex.EncodeToString(sum[:]) {
				t.Errorf("got %v", v)
			}
			if r := n.put(member, id, c.data); r.code != 409 {
				t.Errorf("again: %d", r.code)
			}
		})
	}
	bare := n.create(member, `{}`).json(t)["id"].(string)
	for _, c := range []struct {
		token, id string
		want      int
	}{{member, bare, 400}, {other, bare, 404}, {reader, bare, 403}, {"", bare, 401}, {member, "nope", 404}} {
		if r := n.put(c.token, c.id, data); r.code != c.want {
			t.Errorf("%s by %q: %d, want %d", c.id, c.token, r.code, c.want)
		}
	}
}

func TestAChunkedUploadHasNoSizeBeforehand(t *testing.T) {
	n := newNode(t, nil)
	data := backendtest.Bytes(300_000)
	for announced, want := range map[string]int{"": 204, "300000": 204, "299999": 400} {
		id := n.created(member, "")
		r, err := http.NewRequestWithContext(t.Context(), "PUT", "http://"+n.addr+"/v2/images/"+id+"/file", io.MultiReader(bytes.NewReader(data))) // a type without a length
		must(t, err)
		r.Header.Set("X-Auth-Token", member)
		r.Header.Set("Content-Type", "application/octet-stream")
		if announced != "" {
			r.Header.Set("X-OpenStack-Image-Size", announced)
		}
		resp, err := http.DefaultClient.Do(r)
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("announced %q: %d", announced, resp.StatusCode)
		}
		if want == 204 {
			if r := n.get(member, "/v2/images/"+id+"/file"); !bytes.Equal(r.body, data) {
				t.Error("other bytes came back")
			}
		}
	}
}

func TestDownload(t *testing.T) {
	n := newNode(t, nil)
	data := backendtest.Bytes(300_000)
	id := n.active(member, "", data)
	path := "/v2/images/" + id + "/file"
	v := n.get(member, "/v2/images/"+id).json(t)
	etag := `"` + v["os_hash_value"].(string) + `"`
	r := n.get(member, path)
	for name, want := range map[string]string{
		"Content-Length": "300000", "Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", "Content-Md5": v["checksum"].(string), "Etag": etag,
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if r.code != 200 || !bytes.Equal(r.body, data) {
		t.Errorf("%d, %d bytes", r.code, len(r.body))
	}
	for _, c := range []struct {
		header, value string
		code          int
		from, to      int
	}{
		{"Range", "bytes=0-0", 206, 0, 1},
		{"Range", "bytes=100-199999", 206, 100, 200_000},
		{"Range", "bytes=65535-65536", 206, 65535, 65537},
		{"Range", "bytes=299999-400000", 206, 299_999, 300_000},
		{"Range", "bytes=100-", 206, 100, 300_000},
		{"Range", "bytes=-5", 206, 299_995, 300_000},
		{"Range", "bytes=-500000", 206, 0, 300_000},
		{"Range", "bytes=-0", 206, 0, 300_000},
		{"Content-Range", "bytes 0-4/*", 206, 0, 5},
		{"Range", "bytes=300000-", 416, 0, 0},
		{"Range", "bytes=5-2", 416, 0, 0},
		{"Range", "bytes=", 416, 0, 0},
		{"Range", "bytes=a-b", 416, 0, 0},
		{"Range", "bytes=1-+2", 416, 0, 0},
		{"Range", "lines=0-1", 416, 0, 0},
		{"Range", "nonsense", 416, 0, 0},
		{"Range", "bytes=99999999999999999999-", 416, 0, 0},
		{"Range", "bytes=0-1,3-4", 400, 0, 0},
		{"Content-Range", "bytes */5", 416, 0, 0},
		{"Content-Range", "nonsense", 416, 0, 0},
		{"If-None-Match", etag, 304, 0, 0},
		{"If-None-Match", `W/` + etag + `, "x"`, 304, 0, 0},
		{"If-None-Match", `*`, 304, 0, 0},
		{"If-None-Match", `"x"`, 200, 0, 300_000},
		{"If-Match", etag, 200, 0, 300_000},
		{"If-Match", `"x"`, 412, 0, 0},
	} {
		r := n.get(member, path, c.header, c.value)
		if r.code != c.code {
			t.Errorf("%s: %s: %d, want %d", c.header, c.value, r.code, c.code)
			continue
		}
		switch c.code {
		case 200, 206:
			if !bytes.Equal(r.body, data[c.from:c.to]) {
				t.Errorf("%s: %s: %d other bytes", c.header, c.value, len(r.body))
			}
			want := fmt.Sprintf("bytes %d-%d/300000", c.from, c.to-1)
			if got := r.header.Get("Content-Range"); c.code == 206 && got != want {
				t.Errorf("%s: %s: Content-Range %q", c.header, c.value, got)
			}
			if r.header.Get("Content-Md5") == "" {
				t.Errorf("%s: no Content-MD5", c.value)
			}
		case 304:
			if len(r.body) > 0 || r.header.Get("Etag") != etag {
				t.Errorf("304 with %d bytes", len(r.body))
			}
		}
	}
	for tag, want := range map[string]int{etag: 206, `"x"`: 200, "W/" + etag: 200, "Mon, 23 Nov 2026 00:00:00 GMT": 200} {
		if r := n.get(member, path, "Range", "bytes=0-9", "If-Range", tag); r.code != want {
			t.Errorf("If-Range %.20s: %d, want %d", tag, r.code, want)
		}
	}
}

func TestHeadAnswersLikeGetWithoutTheBody(t *testing.T) {
	n := newNode(t, nil)
	id := n.active(member, "", backendtest.Bytes(100_000))
	path := "/v2/images/" + id + "/file"
	r := n.do(member, "HEAD", path, "")
	if r.code != 200 || r.header.Get("Content-Length") != "100000" || len(r.body) > 0 || r.header.Get("Etag") == "" {
		t.Errorf("%d %v", r.code, r.header)
	}
	if r := n.do(member, "HEAD", path, "", "Range", "bytes=0-9"); r.code != 206 || r.header.Get("Content-Length") != "10" {
		t.Errorf("%d %v", r.code, r.header)
	}
	for path, want := range map[string]int{"/v2/images/" + id: 405, "/v2/images": 405, "/v2/images/" + n.created(member, "") + "/file": 204} {
		if r := n.do(member, "HEAD", path, ""); r.code != want {
			t.Errorf("%s: %d, want %d", path, r.code, want)
		}
	}
}

func TestWhatHasNoData(t *testing.T) {
	n := newNode(t, nil)
	queued, empty := n.created(member, ""), n.active(member, "", nil)
	for _, c := range []struct {
		id      string
		headers []string
		want    int
	}{
		{queued, nil, 204}, {queued, []string{"Range", "bytes=0-1"}, 416}, {empty, nil, 200}, {empty, []string{"Range", "bytes=0-0"}, 416}, {empty, []string{"Range", "bytes=-1"}, 416},
	} {
		if r := n.get(member, "/v2/images/"+c.id+"/file", c.headers...); r.code != c.want || r.code < 300 && len(r.body) > 0 {
			t.Errorf("%s %v: %d", c.id, c.headers, r.code)
		}
	}
	other := n.active(member, "", []byte("y"))
	if err := n.store.Delete(t.Context(), backends.Locator("mem://m/"+other)); err != nil {
		t.Fatal(err)
	}
	if r := n.get(member, "/v2/images/"+other+"/file"); r.code != 200 || string(r.body) != "y" {
		t.Errorf("what the cache holds is served: %d", r.code)
	}
}

// raw opens a connection and sends text.
func (n *node) raw(text string) (net.Conn, *bufio.Reader) {
	n.t.Helper()
	c, err := net.Dial("tcp", n.addr)
	must(n.t, err)
	n.t.Cleanup(func() { c.Close() })
	must(n.t, c.SetDeadline(time.Now().Add(15*time.Second)))
	_, err = io.WriteString(c, text)
	must(n.t, err)
	return c, bufio.NewReader(c)
}

func answer(t *testing.T, r *bufio.Reader) reply {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return reply{resp.StatusCode, resp.Header, b}
}

func head(method, path, token string, headers ...string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: x\r\nX-Auth-Token: " + token + "\r\n" + strings.Join(append(headers, ""), "\r\n") + "\r\n"
}

// An image that the caller may not write, or that is not queued, is refused
// before the body is asked for.
func TestExpectIsAnsweredBeforeTheBody(t *testing.T) {
	n := newNode(t, nil)
	id, active := n.created(member, ""), n.active(member, "", []byte("x"))
	put := func(id, token, kind string) string {
		return head("PUT", "/v2/images/"+id+"/file", token, "Content-Type: "+kind, "Content-Length: 100000000", "Expect: 100-continue")
	}
	for _, c := range []struct {
		text string
		want int
	}{
		{put(active, member, "application/octet-stream"), 409}, {put(id, other, "application/octet-stream"), 404}, {put(id, "", "application/octet-stream"), 401}, {put(id, member, "text/plain"), 415},
	} {
		_, r := n.raw(c.text)
		if got := answer(t, r); got.code != c.want || got.header.Get("X-Openstack-Request-Id") == "" {
			t.Errorf("%d, want %d", got.code, c.want)
		}
	}
	c, r := n.raw(head("PUT", "/v2/images/"+id+"/file", member, "Content-Type: application/octet-stream", "Content-Length: 5", "Expect: 100-continue"))
	line, err := r.ReadString('\n')
	if err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q %v", line, err)
	}
	_, err = r.ReadString('\n')
	must(t, err)
	_, err = io.WriteString(c, "hello")
	must(t, err)
	if got := answer(t, r); got.code != 204 {
		t.Errorf("%d %s", got.code, got.body)
	}
}
