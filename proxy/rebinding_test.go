package proxy

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// names is a DNS server whose every name lies at one address, and that changes
// its mind as told.
type names struct {
	at    atomic.Pointer[[]net.IP]
	asked atomic.Int64
}

// resolve has this process ask n until the test ends.
func (n *names) resolve(t *testing.T, first ...net.IP) {
	t.Helper()
	n.at.Store(&first)
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.serve(conn)
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		conn.Close()
		<-done
	})
}

func (n *names) serve(conn net.PacketConn) {
	b := make([]byte, 1500)
	for {
		k, from, err := conn.ReadFrom(b)
		if err != nil {
			return
		}
		if k < 12 {
			continue
		}
		n.asked.Add(1)
		_, _ = conn.WriteTo(dnsAnswer(b[:k], *n.at.Load()), from)
	}
}

// dnsAnswer gives addresses for a question of type A, and none for others.
func dnsAnswer(question []byte, at []net.IP) []byte {
	end := 12
	for end < len(question) && question[end] != 0 {
		end += int(question[end]) + 1
	}
	end += 5 // the root, the type and the class
	if end > len(question) {
		return nil
	}
	isA := question[end-3] == 1
	a := append([]byte{}, question[:2]...)
	a = append(a, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0) // a response without error to one question
	a = append(a, question[12:end]...)
	for _, ip := range at {
		if isA {
			a[7]++
			a = append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4) // of the name in the question, for 0 seconds
			a = append(a, ip.To4()...)
		}
	}
	return a
}

// outer is an address of this machine that is neither loopback nor link-local.
func outer(t *testing.T) net.IP {
	t.Helper()
	all, err := net.InterfaceAddrs()
	must(t, err)
	for _, a := range all {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && ip.IP.IsGlobalUnicast() {
			return ip.IP
		}
	}
	t.Skip("this machine has no address but its loopback")
	return nil
}

// A name that leads to an allowed address when it is checked, and into this
// machine when it is used.
func TestDNSRebinding(t *testing.T) {
	ip := outer(t)
	s := newSite(t, func(c *Config) { c.ShowMultipleLocations = true })
	var hits atomic.Int64
	ln, err := net.Listen("tcp4", ":0")
	must(t, err)
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		w.Header().Set("Connection", "close") // so that each request dials anew
		_, _ = w.Write([]byte("secret"))
	}))
	web.Listener.Close()
	web.Listener = ln
	web.Start()
	defer web.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	must(t, err)
	at := "http://rebind.example:" + port + "/image"

	var n names
	n.resolve(t, ip)
	id := s.created(member, "")
	s.want("an address outside", s.add(member, id, at), 200)
	if hits.Load() == 0 || n.asked.Load() == 0 {
		t.Fatalf("%d requests after %d look-ups", hits.Load(), n.asked.Load())
	}
	for what, now := range map[string][]net.IP{
		"loopback": {net.IPv4(127, 0, 0, 1)}, "metadata": {net.IPv4(169, 254, 169, 254)}, "both": {net.IPv4(127, 0, 0, 2), net.IPv4(169, 254, 0, 1)},
	} {
		n.at.Store(&now)
		before, asked := hits.Load(), n.asked.Load()
		r := s.get(member, "/v2/images/"+id+"/file")
		if r.code != 503 || strings.Contains(string(r.body), "secret") {
			t.Errorf("%s: %d %s", what, r.code, r.body)
		}
		s.want(what, s.add(member, s.created(member, ""), at), 400)
		if hits.Load() != before || n.asked.Load() == asked {
			t.Errorf("%s: %d requests arrived after %d look-ups", what, hits.Load()-before, n.asked.Load()-asked)
		}
	}
	t.Logf("%d look-ups were answered", n.asked.Load())
}
