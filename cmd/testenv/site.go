package testenv

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
)

const wanDevice = "wan0"

// Site is a place on the WAN. Its own loopback and its address are its LAN.
type Site struct {
	w    *WAN
	Name string
	IP   string
	ip   netip.Addr
	net  *namespace
	tun  *os.File

	ports atomic.Int32 // given out
}

// Carried is what has come into the site and gone out of it over the WAN, bytes
// with their headers, as its interface counts them.
func (s *Site) Carried() (in, out int64) {
	s.w.t.Helper()
	in, out, err := s.net.carried(wanDevice)
	if err != nil {
		s.w.t.Fatal(err)
	}
	return in, out
}

// Glimpse starts a node in the site. What the test reaches on loopback is the API
// and the ops listener of the node.
func (s *Site) Glimpse(t testing.TB, sets ...string) *Node {
	t.Helper()
	n := s.Prepared(t, sets...)
	n.Start()
	return n
}

// Prepared is Glimpse without a Start.
func (s *Site) Prepared(t testing.TB, sets ...string) *Node {
	t.Helper()
	n := Prepared(t, sets...)
	n.in = s.net.do
	for _, addr := range []*string{&n.API, &n.Ops} {
		l := listen(t, "127.0.0.1:0") // the port is as good as any in the site
		to := l.Addr().String()
		*addr = to
		forward(t, l, func(ctx context.Context) (net.Conn, error) { return s.Dial(ctx, to) })
	}
	return n
}

// Offer makes a server of the test's own loopback one of the site, and returns its
// address there.
func (s *Site) Offer(t testing.TB, addr string) string {
	t.Helper()
	var l net.Listener
	if err := s.net.do(func() error { l = listen(t, s.IP+":0"); return nil }); err != nil {
		t.Fatal(err)
	}
	forward(t, l, func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "tcp", addr) })
	return l.Addr().String()
}

// Dial connects from within the site.
func (s *Site) Dial(ctx context.Context, addr string) (c net.Conn, err error) {
	err = s.net.do(func() error { c, err = (&net.Dialer{}).DialContext(ctx, "tcp", addr); return err })
	return c, err
}

// Port returns an address of the site that nobody was given yet.
func (s *Site) Port() string { return fmt.Sprint(s.IP, ":", 10_000+s.ports.Add(1)) }

func listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// forward joins each connection to one of dial's until the test ends.
func forward(t testing.TB, l net.Listener, dial func(context.Context) (net.Conn, error)) {
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	t.Cleanup(func() {
		stop()
		l.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { join(ctx, c, dial) })
		}
	})
}

func join(ctx context.Context, c net.Conn, dial func(context.Context) (net.Conn, error)) {
	defer c.Close()
	d, err := dial(ctx)
	if err != nil {
		return
	}
	defer d.Close()
	defer context.AfterFunc(ctx, func() { c.Close(); d.Close() })()
	var both sync.WaitGroup
	for _, w := range [][2]net.Conn{{c, d}, {d, c}} {
		both.Go(func() {
			if _, err := io.Copy(w[0], w[1]); err == nil {
				_ = w[0].(*net.TCPConn).CloseWrite()
				return
			}
			c.Close()
			d.Close()
		})
	}
	both.Wait()
}
