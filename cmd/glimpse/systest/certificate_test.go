package systest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"glimpse/cluster/ca"
	"glimpse/cmd/testenv"
)

// slowReader reads little at a time until it is let go.
type slowReader struct {
	r    io.Reader
	free <-chan struct{}
	read atomic.Int64 // before it was
}

func (s *slowReader) Read(b []byte) (int, error) {
	select {
	case <-s.free:
		return s.r.Read(b)
	case <-time.After(50 * time.Millisecond):
	}
	n, err := s.r.Read(b[:min(len(b), 64<<10)])
	s.read.Add(int64(n))
	return n, err
}

// shortLived gives a node a certificate of the CA in dir that ends soon.
func shortLived(t *testing.T, dir string, n *testenv.Node, life time.Duration) {
	t.Helper()
	cert, err := os.ReadFile(dir + "/ca.pem")
	must(t, err)
	key, err := os.ReadFile(dir + "/ca-key.pem")
	must(t, err)
	authority, err := ca.Load(ca.Pair{Cert: cert, Key: key})
	must(t, err)
	pair, err := authority.Issue("test", look(t, n).Self, time.Now(), life)
	must(t, err)
	must(t, os.WriteFile(setting(n, "cluster.tls.key"), pair.Key, 0o600))
	must(t, os.WriteFile(setting(n, "cluster.tls.cert"), pair.Cert, 0o600))
}

// onDisk is the serial number of the certificate in a node's file.
func onDisk(t *testing.T, n *testenv.Node) *big.Int {
	t.Helper()
	b, err := os.ReadFile(setting(n, "cluster.tls.cert"))
	must(t, err)
	block, _ := pem.Decode(b)
	c, err := x509.ParseCertificate(block.Bytes)
	must(t, err)
	return c.SerialNumber
}

// shown dials a node's peer plane as another one does, and returns the serial number
// of the certificate that it shows.
func shown(t *testing.T, from, to *testenv.Node) (*big.Int, error) {
	t.Helper()
	as, err := ca.Open(ca.Config{
		CA: setting(from, "cluster.tls.ca"), Cert: setting(from, "cluster.tls.cert"), Key: setting(from, "cluster.tls.key"), Label: "test", Node: look(t, from).Self,
	})
	must(t, err)
	c, err := tls.Dial("tcp", peerOf(to), as.Client(look(t, to).Self))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber, nil
}

// answered says whether a node was told by all nodes how they are.
func answered(t *testing.T, by *testenv.Node) bool {
	t.Helper()
	for _, n := range look(t, by).Nodes {
		if n.Vitals == nil {
			return false
		}
	}
	return true
}

const certLeft = "glimpse_cluster_certificate_seconds"

// A node's certificate is renewed while it runs and is asked for bytes; and one that
// has ended is refused until it is renewed.
func TestACertificateIsRenewedOnTheRun(t *testing.T) {
	const hour, year = 3600, 364 * 24 * 3600
	dir, nodes, _ := secured(t, 3)
	web := testenv.Nginx(t, "")
	node, others := nodes[1], []*testenv.Node{nodes[0], nodes[2]}
	renew := func() {
		t.Helper()
		testenv.Run(t, nil, testenv.Binary(t), append([]string{"cluster", "cert", "renew", "--ca", dir + "/ca.pem", "--ca-key", dir + "/ca-key.pem"}, node.Args()...)...)
		until(t, "the renewed certificate is taken up", func() bool { return metric(t, node, certLeft) > year })
	}
	if left := metric(t, node, certLeft); left < year {
		t.Fatalf("a new certificate is good for %.0f s", left)
	}
	shortLived(t, dir, node, time.Hour)
	until(t, "a certificate for an hour is taken up", func() bool { return metric(t, node, certLeft) < hour })

	// Through the others a download runs, and others begin.
	w := onWeb(t, nodes[0], web, 140<<20+5)
	body, err := w.open(nodes[0])
	must(t, err)
	defer body.Close()
	free, done := make(chan struct{}), make(chan error, 1)
	slow := &slowReader{r: body, free: free}
	go func() { done <- w.compare(slow) }()
	old := onDisk(t, node)
	if got, err := shown(t, nodes[0], node); err != nil || got.Cmp(old) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	renew()
	if got, err := shown(t, nodes[0], node); err != nil || got.Cmp(onDisk(t, node)) != 0 || got.Cmp(old) == 0 {
		t.Errorf("a new connection is shown %v, %v; renewed was %v", got, err, old)
	}
	close(free)
	must(t, <-done)
	t.Logf("%d of %d bytes were read before the certificate was renewed", slow.read.Load(), len(w.data))
	if slow.read.Load() == 0 || slow.read.Load() > 64<<20 {
		t.Error("the download was hardly under way: the test shows nothing")
	}
	gives := func(size int) {
		t.Helper()
		for was := w.read(node); w.read(node) == was; size++ { // until the node is the owner of one
			one := onWeb(t, nodes[0], web, size)
			for _, n := range nodes {
				must(t, one.fetch(n))
			}
		}
	}
	gives(3 << 20)
	refused := func(n *testenv.Node) float64 { return metric(t, n, `glimpse_peer_refused_total{why="certificate"}`) }
	for _, n := range others {
		if v := metric(t, n, `glimpse_peer_failures_total{why="refused"}`) + refused(n); v != 0 {
			t.Errorf("%.0f refusals", v)
		}
	}
	if log := node.Log(); strings.Count(log, "the certificate of this node was renewed") != 2 {
		t.Errorf("it does not say what it took up: %s", log)
	}

	// It ends. Who starts now has no connections that go on.
	shortLived(t, dir, node, 25*time.Second)
	until(t, "a certificate that ends soon is taken up", func() bool { return metric(t, node, certLeft) < 60 })
	within(t, time.Minute, "it has ended", func() bool { return metric(t, node, certLeft) < 0 })
	if _, err := shown(t, nodes[0], node); err == nil || !strings.Contains(err.Error(), "ended at") {
		t.Errorf("dialled, it shows a certificate that has ended: %v", err)
	}
	nodes[0].Stop()
	nodes[0].Start()
	until(t, "it is refused as a client", func() bool { look(t, node); return refused(nodes[0]) > 0 })
	until(t, "it is refused as a server", func() bool {
		look(t, nodes[0])
		return metric(t, nodes[0], `glimpse_peer_failures_total{why="refused"}`) > 0
	})
	if log := nodes[0].Log(); !strings.Contains(log, "the certificate of node "+look(t, node).Self+" ended at ") {
		t.Errorf("the refusal is not told of: %s", log)
	}
	if answered(t, nodes[0]) {
		t.Error("what it says of itself is taken")
	}
	one := onWeb(t, nodes[0], web, 2<<20)
	for _, n := range nodes { // with its own ways, or the others'
		must(t, one.fetch(n))
	}

	renew()
	until(t, "all speak with all again", func() bool { return answered(t, nodes[0]) && answered(t, node) })
	before := refused(nodes[0])
	gives(4 << 20)
	if now := refused(nodes[0]); now != before {
		t.Errorf("%.0f more refusals after all is well", now-before)
	}
}
