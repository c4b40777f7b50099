package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glimpse/cmd/glimpse/config"

	"github.com/prometheus/client_golang/prometheus"
)

// operate serves the operator's listener of a configuration, with a page that
// changes something.
func operate(t *testing.T, c config.Config) *opsServer {
	t.Helper()
	o, err := newOpsServer(t.Context(), c, prometheus.NewRegistry(), func(context.Context) error { return nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	o.http.Handler.(*http.ServeMux).HandleFunc("POST /cluster/drain", func(w http.ResponseWriter, r *http.Request) {
		if !foreign(w, r) {
			answer(w, struct{}{}, nil)
		}
	})
	done := make(chan error)
	go func() { done <- o.serve() }()
	t.Cleanup(func() {
		if err := o.close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return o
}

func drain(f opsFlags) error { return f.call(context.Background(), "/cluster/drain", struct{}{}, nil) }

func TestTheOperatorsSocket(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ops.sock")
	// A node that was killed has left its socket.
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Listen.Ops = "unix:" + path
	operate(t, c)
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	if err := drain(opsFlags{configFlags: configFlags{Set: []string{"data_dir=" + dir, "listen.ops=unix:ops.sock"}}}); err != nil {
		t.Error(err)
	}
	if _, err := newOpsServer(t.Context(), c, prometheus.NewRegistry(), nil, nil); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second node: %v", err)
	}
}

// A path that was mistyped costs nobody a file.
func TestTheOperatorsSocketReplacesNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Listen.Ops = "unix:" + path
	if o, err := newOpsServer(t.Context(), c, prometheus.NewRegistry(), nil, nil); err == nil {
		t.Errorf("it listens in the place of a file: %v", o.close())
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
		t.Errorf("%q %v", b, err)
	}
}

// pair is a certificate that vouches for itself, for 127.0.0.1.
func pair(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestTheOperatorsCertificate(t *testing.T) {
	cert, key := pair(t)
	operator, operatorKey := pair(t)
	other, otherKey := pair(t)
	c := config.Default()
	c.Listen.Ops, c.Listen.OpsTLS = "127.0.0.1:0", config.OpsTLS{Cert: cert, Key: key, ClientCA: operator}
	o := operate(t, c)
	at := o.ln.Addr().String()
	if err := drain(opsFlags{At: at, CACert: cert, ClientCert: operator, ClientKey: operatorKey}); err != nil {
		t.Error(err)
	}
	for name, f := range map[string]opsFlags{
		"no certificate":      {At: at, CACert: cert},
		"another's":           {At: at, CACert: cert, ClientCert: other, ClientKey: otherKey},
		"a node that isn't":   {At: at, CACert: other, ClientCert: operator, ClientKey: operatorKey},
		"plain text, no flag": {configFlags: configFlags{Set: []string{"listen.ops=" + at}}},
	} {
		if err := drain(f); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// A page in a browser is refused, whatever name of this machine it goes by.
func TestWhatABrowserSends(t *testing.T) {
	for name, c := range map[string]struct {
		host, kind string
		want       int
	}{
		"ours":         {"127.0.0.1:9294", "application/json", 200},
		"a form":       {"127.0.0.1:9294", "application/x-www-form-urlencoded", 403},
		"another name": {"rebound.example.org:9294", "application/json", 403},
	} {
		r := httptest.NewRequest(http.MethodPost, "http://"+c.host+"/cluster/drain", nil)
		r.Header.Set("Content-Type", c.kind)
		w := httptest.NewRecorder()
		if !foreign(w, r) {
			w.WriteHeader(200)
		}
		if w.Code != c.want {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}
