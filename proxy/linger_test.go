package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
)

// A client that reads no answer before it has sent its whole body learns why the
// upload was refused, and no connection is used again after that.
func TestARefusedUploadIsAnsweredToThoseWhoSendFirst(t *testing.T) {
	n := newNode(t, nil)
	done := n.active(member, "", []byte("x"))
	const size = 24 << 20 // more than the buffers between hold
	for name, c := range map[string]struct {
		token string
		want  int
	}{"has data already": {member, 409}, "no token": {"", 401}} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", n.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "PUT /v2/images/%s/file HTTP/1.1\r\nHost: x\r\nX-Auth-Token: %s\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", done, c.token, size)
			piece := make([]byte, 1<<20)
			for sent := 0; sent < size; sent += len(piece) {
				if _, err := conn.Write(piece); err != nil {
					t.Fatalf("after %d bytes: %v", sent, err)
				}
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if resp.StatusCode != c.want || err != nil || len(b) == 0 || !resp.Close {
				t.Errorf("%s %q %v, close %v", resp.Status, b, err, resp.Close)
			}
		})
	}
}
