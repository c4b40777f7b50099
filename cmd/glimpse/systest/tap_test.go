package systest

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// tap stands before a node's Image API, counts the image bytes that it gives, and
// may slow them down or spoil them.
type tap struct {
	Addr  string
	to    atomic.Pointer[string] // host:port
	rate  atomic.Int64           // bytes per second and answer; 0: as fast as it goes
	flip  atomic.Int64           // a bit of each so many bytes is flipped; 0: of none
	sent  atomic.Int64
	flips atomic.Int64
}

func newTap(t *testing.T) *tap {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &tap{Addr: ln.Addr().String()}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: *p.to.Load()})
		},
		ModifyResponse: func(r *http.Response) error {
			if r.Request.Method == "GET" && strings.HasSuffix(r.Request.URL.Path, "/file") {
				r.Body = &tapped{ReadCloser: r.Body, p: p}
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	srv := &http.Server{Handler: proxy}
	go srv.Serve(ln)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			srv.Close()
		}
	})
	return p
}

type tapped struct {
	io.ReadCloser
	p  *tap
	at int64
}

func (b *tapped) Read(buf []byte) (int, error) {
	if rate := b.p.rate.Load(); rate > 0 {
		buf = buf[:min(len(buf), 64<<10)]
		time.Sleep(time.Duration(len(buf)) * time.Second / time.Duration(rate))
	}
	n, err := b.ReadCloser.Read(buf)
	if every := b.p.flip.Load(); every > 0 && n > 0 && b.at/every != (b.at+int64(n))/every {
		buf[n-1] ^= 0x10
		b.p.flips.Add(1)
	}
	b.at += int64(n)
	b.p.sent.Add(int64(n))
	return n, err
}

// tappedCluster is a cluster whose nodes tell clients of the taps before them.
func tappedCluster(t *testing.T, count int, more ...string) (nodes []*testenv.Node, taps []*tap) {
	t.Helper()
	dsn, images := testenv.MariaDB(t), t.TempDir()
	join := ""
	for i := range count {
		p := newTap(t)
		sets := append(testenv.Member(t, "n"+string(rune('1'+i)), dsn, join, images), append([]string{"cluster.advertise.api=" + p.Addr}, more...)...)
		if join == "" {
			join = strings.TrimPrefix(sets[1], "listen.gossip=")
		}
		n := testenv.Prepared(t, sets...)
		p.to.Store(&n.API)
		n.Start()
		nodes, taps = append(nodes, n), append(taps, p)
	}
	together(t, nodes...)
	return nodes, taps
}
