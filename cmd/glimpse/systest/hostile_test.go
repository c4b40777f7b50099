package systest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

func dial(t *testing.T, n *testenv.Node, text string) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", n.API)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	must(t, c.SetDeadline(time.Now().Add(30*time.Second)))
	_, err = io.WriteString(c, text)
	must(t, err)
	return c.(*net.TCPConn), bufio.NewReader(c)
}

// rss is a process's resident memory in bytes.
func rss(t *testing.T, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	must(t, err)
	pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	must(t, err)
	return pages * int64(os.Getpagesize())
}

// Clients that do all that clients should not, at once; then the node is as it
// was.
func TestHostileClients(t *testing.T) {
	n := testenv.Glimpse(t, "limits.header_timeout=1s", "limits.stall_timeout=1s", "cache.memory.size=64MiB")
	a := on(t, n.API)
	file := filepath.Join(t.TempDir(), "in")
	random(t, file, 48<<20)
	id := a.create("good", "raw")
	a.upload(id, file)
	before := rss(t, n.PID())

	var ids []string
	for i := range 30 {
		put := a.create(fmt.Sprint("cut ", i), "raw")
		ids = append(ids, put)
		c, _ := dial(t, n, "PUT /v2/images/"+put+"/file HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: 50000000\r\n\r\n")
		_, err := c.Write(make([]byte, i*100_000+1))
		must(t, err)
		switch i % 3 {
		case 0:
			must(t, c.CloseWrite())
		case 1:
			must(t, c.SetLinger(0))
			must(t, c.Close())
		} // the third kind stalls
	}
	for range 50 {
		dial(t, n, "GET /v2/images HTTP/1.1\r\nHost: x\r\nX-Slow: ")                                   // never ends its header
		dial(t, n, "GET /v2/images/"+id+"/file HTTP/1.1\r\nHost: x\r\n\r\n")                           // never reads
		dial(t, n, "POST /v2/images HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n") // stalls in a body
		dial(t, n, strings.Repeat("x", 1000)+"\r\n\r\n")
	}
	_, r := dial(t, n, "GET / HTTP/1.1\r\nHost: x\r\nX-A: "+strings.Repeat("a", 100_000)+"\r\n\r\n")
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 431 {
		t.Errorf("a huge header: %v %v", resp, err)
	}
	a.same(id, file) // meanwhile others are served
	for _, put := range ids {
		until(t, "a cut upload is queued again", func() bool { return a.show(put)["status"] == "queued" })
	}
	until(t, "nothing half-done is left in the store", func() bool {
		entries, err := os.ReadDir(filepath.Join(n.Dir, "images"))
		must(t, err)
		return len(entries) == 1
	})
	until(t, "stalled clients are cut", func() bool { return connections(t, n) < 10 })
	a.same(id, file)
	if grown := rss(t, n.PID()) - before; grown > 100<<20 {
		t.Errorf("the node grew by %d MiB", grown>>20)
	}
}

// connections counts the node's sockets.
func connections(t *testing.T, n *testenv.Node) (count int) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", n.PID())
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		if l, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && strings.HasPrefix(l, "socket:") {
			count++
		}
	}
	return count
}

// kill -9 in the middle of an upload: nothing that was acknowledged is lost, and
// what was not leaves nothing after one pass of the reaper.
func TestKilledInTheMiddleOfAnUpload(t *testing.T) {
	n := testenv.Glimpse(t)
	a := on(t, n.API)
	file := filepath.Join(t.TempDir(), "in")
	random(t, file, 10<<20)
	good := a.create("good", "raw")
	a.upload(good, file)
	half := a.create("half", "raw")
	c, _ := dial(t, n, "PUT /v2/images/"+half+"/file HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: 50000000\r\n\r\n")
	_, err := c.Write(make([]byte, 20<<20))
	must(t, err)
	until(t, "the upload is under way", func() bool { return a.show(half)["status"] == "saving" })
	n.Kill()
	n.Start()
	a.same(good, file)
	if s := a.show(half)["status"]; s != "saving" {
		t.Errorf("before its lease has run out it is %v", s)
	}
}
