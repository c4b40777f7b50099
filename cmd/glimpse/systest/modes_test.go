package systest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// A segment of Glance's 200 MB of 1,024,000 bytes is no whole number of chunks, and
// a node starts with it as with any other size; no store is asked for that.
func TestPartsOfAnySizeAreTaken(t *testing.T) {
	testenv.Glimpse(t, "cache.memory.size=768MiB",
		"stores.obj.type=swift", "stores.obj.auth_url=http://127.0.0.1:1/v3", "stores.obj.user=service:glance", "stores.obj.key=x", "stores.obj.large_object_chunk_size=200",
		"stores.s3.type=s3", "stores.s3.endpoint=http://127.0.0.1:1", "stores.s3.bucket=images", "stores.s3.access_key=x", "stores.s3.secret_key=x", "stores.s3.part_size=5MiB")
}

// Checked once and then sent by the kernel: the same bytes, from disk.
func TestVerifyOnceSendsFilesByTheKernel(t *testing.T) {
	file := filepath.Join(t.TempDir(), "in")
	random(t, file, 30<<20+5)
	n := testenv.Glimpse(t, "stores.main.cache=on", "cache.verify=once")
	a := on(t, n.API)
	id := a.create("once", "raw")
	a.upload(id, file)
	n.Stop()
	n.Start("cache.memory.size=32MiB")
	for range 3 {
		a.same(id, file)
	}
	want := make([]byte, 5<<20)
	f, err := os.Open(file)
	must(t, err)
	defer f.Close()
	_, err = f.ReadAt(want, 3<<20+77)
	must(t, err)
	if !bytes.Equal(rangeOf(a, id, 3<<20+77, 5<<20), want) {
		t.Error("a range has other bytes")
	}
	if sent := metric(t, n, `glimpse_sent_bytes_total{tier="disk"}`); sent == 0 {
		t.Error("nothing came from disk")
	}
}

// certificate makes a self-signed one for 127.0.0.1.
func certificate(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &private.PublicKey, private)
	must(t, err)
	keyDER, err := x509.MarshalECPrivateKey(private)
	must(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	must(t, os.WriteFile(cert, certPEM, 0o600))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600))
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return cert, key, pool
}

func TestTheTLSListener(t *testing.T) {
	cert, key, pool := certificate(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	addr := ln.Addr().String()
	must(t, ln.Close())
	n := testenv.Glimpse(t, "listen.tls.address="+addr, "listen.tls.cert="+cert, "listen.tls.key="+key)
	file := filepath.Join(t.TempDir(), "in")
	random(t, file, 20<<20)
	a := on(t, n.API)
	id := a.create("tls", "raw")
	a.upload(id, file)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer client.CloseIdleConnections()
	for _, part := range []string{"", rangeHeader(1<<20+1, 10<<20)} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+addr+"/v2/images/"+id+"/file", nil)
		must(t, err)
		if part != "" {
			r.Header.Set("Range", part)
		}
		resp, err := client.Do(r)
		must(t, err)
		got, err := io.ReadAll(resp.Body)
		must(t, err)
		resp.Body.Close()
		want, err := os.ReadFile(file)
		must(t, err)
		if part != "" {
			want = want[1<<20+1:][:10<<20]
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s %s: %d other bytes", part, resp.Status, len(got))
		}
	}
	resp, err := client.Get("https://" + addr + "/versions")
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	if !strings.Contains(string(b), "https://"+addr+"/v2/") {
		t.Errorf("links: %s", b)
	}
}

func TestHeadersOfATrustedFront(t *testing.T) {
	n := testenv.Glimpse(t, "auth.mode=trusted-headers")
	a := on(t, n.API)
	code, body := a.text("POST", "/v2/images", `{"name": "x"}`, "Content-Type", "application/json", "X-User-Id", "u", "X-Project-Id", "p", "X-Roles", "member,reader")
	if code != 201 || !strings.Contains(body, `"owner":"p"`) {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := a.text("GET", "/v2/images", ""); code != 401 {
		t.Errorf("without headers: %d", code)
	}
	elsewhere := testenv.Glimpse(t, "auth.mode=trusted-headers", "auth.trusted_headers.from=[10.0.0.0/8]")
	if code, _ := on(t, elsewhere.API).text("GET", "/v2/images", "", "X-User-Id", "u", "X-Project-Id", "p", "X-Roles", "admin"); code != 401 {
		t.Errorf("from an address that is not trusted: %d", code)
	}
}

func TestAnOperatorsRulesOverrideTheDefaults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy.yaml")
	must(t, os.WriteFile(file, []byte("publicize_image: role:member\nget_images: \"!\"\n"), 0o600))
	n := testenv.Glimpse(t, "auth.mode=trusted-headers", "auth.policy_file="+file)
	as := []string{"X-User-Id", "u", "X-Project-Id", "p", "X-Roles", "member,reader"}
	a := on(t, n.API)
	if code, body := a.text("POST", "/v2/images", `{"visibility": "public"}`, append(as, "Content-Type", "application/json")...); code != 201 {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := a.text("GET", "/v2/images", "", as...); code != 403 {
		t.Errorf("lists: %d", code)
	}
	out, err := testenv.TryRun(t, nil, testenv.Binary(t), "serve", "--check", "--set", "listen.api=0.0.0.0:1")
	if err == nil || !strings.Contains(fmt.Sprint(err), "auth.mode") {
		t.Errorf("%s %v", out, err)
	}
}
