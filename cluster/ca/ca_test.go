package ca

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var today = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func clock() time.Time { return today }

func authority(t *testing.T, label string) (Pair, *Authority) {
	t.Helper()
	p, err := Make(label, today, 100*day)
	if err != nil {
		t.Fatal(err)
	}
	a, err := Load(p)
	if err != nil {
		t.Fatal(err)
	}
	return p, a
}

func put(t *testing.T, c Config, root []byte, p Pair) {
	t.Helper()
	for name, b := range map[string][]byte{c.CA: root, c.Cert: p.Cert, c.Key: p.Key} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func config(t *testing.T, label, node string) Config {
	dir := t.TempDir()
	return Config{
		CA: filepath.Join(dir, "ca"), Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key"),
		Label: label, Node: node, Now: clock,
	}
}

// node returns an identity whose certificate is issued at a given time, so that
// one which has ended can be had too.
func node(t *testing.T, root Pair, a *Authority, label, id string) *Identity {
	t.Helper()
	c := config(t, label, id)
	p, err := a.Issue(label, id, today, 30*day)
	if err != nil {
		t.Fatal(err)
	}
	put(t, c, root.Cert, p)
	i, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// meet shakes hands over a pipe and returns what each side makes of the other.
func meet(t *testing.T, server, client *tls.Config) (serverErr, clientErr error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	done := make(chan error, 1)
	go func() {
		s := tls.Server(a, server)
		err := s.HandshakeContext(context.Background())
		if err == nil {
			_, err = s.Write([]byte("x"))
		}
		if err != nil {
			a.Close()
		}
		done <- err
	}()
	c := tls.Client(b, client)
	err := c.HandshakeContext(t.Context())
	if err == nil {
		_, err = c.Read(make([]byte, 1)) // a client hears of its refusal here
	}
	b.Close()
	return <-done, err
}

func TestNodesOfOneClusterMeet(t *testing.T) {
	root, a := authority(t, "prod")
	one, two := node(t, root, a, "prod", "one"), node(t, root, a, "prod", "two")
	s, c := meet(t, one.Server(), two.Client("one"))
	if s != nil || c != nil {
		t.Fatalf("server: %v, client: %v", s, c)
	}
	if left := one.Left(); left != 30*day {
		t.Errorf("%v left", left)
	}
}

func TestWhoIsRefused(t *testing.T) {
	root, a := authority(t, "prod")
	one, two := node(t, root, a, "prod", "one"), node(t, root, a, "prod", "two")
	other, b := authority(t, "prod")
	foreign := node(t, other, b, "prod", "two")
	lab := node(t, root, a, "lab", "two")

	late := node(t, root, a, "prod", "two")
	late.cfg.Now = func() time.Time { return today } // it thinks that all is well
	early := one.cfg
	early.Now = func() time.Time { return today.Add(31 * day) }
	tomorrow := &Identity{cfg: early}
	tomorrow.now.Store(one.now.Load())
	past := &Identity{cfg: one.cfg}
	past.cfg.Now = func() time.Time { return today.Add(-2 * day) }
	past.now.Store(one.now.Load())

	nobody := two.Client("one")
	nobody.GetClientCertificate = nil

	for name, c := range map[string]struct {
		server   *Identity
		client   *tls.Config
		byServer bool
		want     string
	}{
		"no certificate":    {one, nobody, true, "no certificate was shown"},
		"wrong label":       {one, lab.Client("one"), false, `the certificate is for cluster "prod", and this is "lab"`},
		"client's label":    {one, relabel(lab.Client("one"), two.Client("one")), true, `the certificate is for cluster "lab", and this is "prod"`},
		"another's name":    {one, two.Client("three"), false, "the certificate is node one's, and not three's"},
		"no name":           {one, two.Client(""), false, "no node was named"},
		"other CA":          {one, relabel(foreign.Client("one"), two.Client("one")), true, "the certificate of node two is not trusted here"},
		"server's other CA": {foreign, two.Client("two"), false, "the certificate of node two is not trusted here"},
		"ended":             {tomorrow, late.Client("one"), true, "the certificate of node two ended at 2026-05-31T12:00:00Z, and it is 2026-06-01T12:00:00Z: renew it, or set the clock"},
		"not begun":         {past, two.Client("one"), true, "the certificate of node two begins at 2026-05-01T11:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			s, cl := meet(t, c.server.Server(), c.client)
			err := cl
			if c.byServer {
				err = s
				if cl == nil {
					t.Error("the client does not notice")
				}
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, c.want)
			}
		})
	}
}

// relabel shows one node's certificate and trusts as another.
func relabel(shows, trusts *tls.Config) *tls.Config {
	trusts.GetClientCertificate = shows.GetClientCertificate
	return trusts
}

func TestANewCertificateIsUsedWithoutARestart(t *testing.T) {
	root, a := authority(t, "prod")
	one, two := node(t, root, a, "prod", "one"), node(t, root, a, "prod", "two")
	server, client := one.Server(), two.Client("one")
	if changed, err := one.Reload(); changed || err != nil {
		t.Fatalf("unchanged files: %v, %v", changed, err)
	}
	p, err := a.Renew(one.now.Load().files[1], today, 60*day)
	if err != nil {
		t.Fatal(err)
	}
	put(t, one.cfg, root.Cert, p)
	if changed, err := one.Reload(); !changed || err != nil {
		t.Fatalf("changed files: %v, %v", changed, err)
	}
	if one.Left() != 60*day {
		t.Errorf("%v left", one.Left())
	}
	var seen time.Time
	check := client.VerifyConnection
	client.VerifyConnection = func(s tls.ConnectionState) error {
		seen = s.PeerCertificates[0].NotAfter
		return check(s)
	}
	if s, c := meet(t, server, client); s != nil || c != nil || !seen.Equal(today.Add(60*day)) {
		t.Fatalf("%v, %v, it ends %v", s, c, seen)
	}

	// Half of a pair, as between two writes, leaves all as it was.
	other, err := a.Issue("prod", "one", today, day)
	if err != nil {
		t.Fatal(err)
	}
	put(t, one.cfg, root.Cert, Pair{Cert: other.Cert, Key: p.Key})
	if changed, err := one.Reload(); changed || err == nil || one.Left() != 60*day {
		t.Fatalf("a torn pair: %v, %v, %v left", changed, err, one.Left())
	}
}

func TestWhatPeersWouldRefuseIsNotOpened(t *testing.T) {
	root, a := authority(t, "prod")
	other, _ := authority(t, "prod")
	good, err := a.Issue("prod", "one", today, day)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		label, node string
		root        []byte
		now         time.Time
		want        string
	}{
		"other node":  {"prod", "two", root.Cert, today, "is node one's"},
		"other label": {"lab", "one", root.Cert, today, `for cluster "prod"`},
		"other CA":    {"prod", "one", other.Cert, today, "not trusted"},
		"ended":       {"prod", "one", root.Cert, today.Add(2 * day), "renew it"},
		"no CA":       {"prod", "one", []byte("x"), today, "no certificate in"},
	} {
		cfg := config(t, c.label, c.node)
		cfg.Now = func() time.Time { return c.now }
		put(t, cfg, c.root, good)
		if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheAuthorityIsCareful(t *testing.T) {
	root, a := authority(t, "prod")
	_, other := authority(t, "prod")
	p, err := a.Issue("prod", "one", today, 1000*day)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Load(p); err == nil {
		t.Error("a node's certificate passes for a CA")
	}
	if _, err := other.Renew(p.Cert, today, day); err == nil {
		t.Error("another CA's certificate is renewed")
	}
	if _, err := a.Issue("prod", "one", today.Add(101*day), day); err == nil {
		t.Error("a CA that has ended signs")
	}
	for _, bad := range []string{"", "a/b", "a b", ".a", "a..b", "ä", strings.Repeat("a", 64)} {
		if _, err := a.Issue("prod", bad, today, day); err == nil {
			t.Errorf("node %q", bad)
		}
		if _, err := Make(bad, today, day); err == nil {
			t.Errorf("label %q", bad)
		}
	}
	c := config(t, "prod", "one")
	put(t, c, root.Cert, p)
	i, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	if i.Left() != 100*day {
		t.Errorf("it outlives its CA: %v", i.Left())
	}
}
