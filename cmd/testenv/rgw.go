package testenv

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// RGWServer is a real Ceph object gateway, which speaks S3 and Swift. It has one
// user, who may do all of both.
type RGWServer struct {
	URL    string // of the S3 API, http, no slash at its end; path style, region "default"
	TLSURL string // the same over TLS
	CA     string // file with the certificate to trust for TLSURL

	AccessKey, SecretKey string // of the S3 user

	SwiftAuth    string // auth URL of the Swift API, version 1, http
	SwiftTLSAuth string
	SwiftUser    string
	SwiftKey     string

	p *process
}

var startRGW = sync.OnceValues(newRGW)

// RGW returns the process's one gateway, on the process's one Ceph.
func RGW(t testing.TB) *RGWServer {
	t.Helper()
	Need(t, "radosgw", "radosgw-admin")
	Ceph(t)
	r, err := startRGW()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Without tcp_nodelay every small answer takes 44 ms. The index of a bucket has
// one shard because each costs a request for every bucket that is made.
const rgwConf = `
[client.rgw.x]
keyring = %[1]s/rgw/keyring
rgw data = %[1]s/rgw
rgw frontends = beast endpoint=127.0.0.1:%[2]d ssl_endpoint=127.0.0.1:%[3]d ssl_certificate=%[4]s ssl_private_key=%[5]s tcp_nodelay=1
log file = %[1]s/log/rgw.log
rgw enable apis = s3, swift, swift_auth, admin
rgw enable usage log = false
rgw enable ops log = false
rgw thread pool size = 64
rgw swift account in url = true
rgw gc obj min wait = 5
rgw gc processor period = 10
rgw dynamic resharding = false
rgw override bucket index max shards = 1
rgw relaxed s3 bucket names = true
`

func newRGW() (*RGWServer, error) {
	c, err := startCeph()
	if err != nil {
		return nil, err
	}
	dir := c.dir + "/rgw"
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	tls, err := freePort()
	if err != nil {
		return nil, err
	}
	r := &RGWServer{
		URL: fmt.Sprintf("http://127.0.0.1:%d", port), TLSURL: fmt.Sprintf("https://127.0.0.1:%d", tls),
		AccessKey: "IMGACCESS", SecretKey: "IMGSECRET", SwiftUser: "img:swift", SwiftKey: "swiftsecret",
	}
	r.SwiftAuth, r.SwiftTLSAuth = r.URL+"/auth/v1.0", r.TLSURL+"/auth/v1.0"
	cert, key, err := selfSigned(dir)
	if err != nil {
		return nil, err
	}
	r.CA = cert
	if err := appendTo(c.Conf, fmt.Sprintf(rgwConf, c.dir, port, tls, cert, key)); err != nil {
		return nil, err
	}
	if _, err := c.Command("auth", "get-or-create", "client.rgw.x", "mon", "allow rw", "osd", "allow rwx", "-o", dir+"/keyring"); err != nil {
		return nil, err
	}
	AtExit(r.stop)
	if r.p, err = launch(c.dir+"/log/rgw.out", nil, "radosgw", "-c", c.Conf, "-n", "client.rgw.x", "--foreground"); err != nil {
		return nil, err
	}
	// The first start makes its pools, which takes most of the time.
	if err := r.p.answers(r.URL+"/swift/healthcheck", 2*time.Minute); err != nil {
		return nil, err
	}
	return r, r.makeUser(c)
}

func (r *RGWServer) makeUser(c *CephCluster) error {
	if _, err := c.run(time.Minute, "radosgw-admin", "-c", c.Conf, "user", "create", "--uid=img", "--display-name=img",
		"--access-key="+r.AccessKey, "--secret-key="+r.SecretKey); err != nil {
		return err
	}
	_, err := c.run(time.Minute, "radosgw-admin", "-c", c.Conf, "subuser", "create", "--uid=img", "--subuser="+r.SwiftUser,
		"--access=full", "--key-type=swift", "--secret-key="+r.SwiftKey)
	return err
}

// Pause stops the gateway as a machine that hangs would; Resume lets it go on.
func (r *RGWServer) Pause() { _ = r.p.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (r *RGWServer) Resume() { _ = r.p.cmd.Process.Signal(syscall.SIGCONT) }

func (r *RGWServer) stop() {
	if r.p != nil {
		r.p.end(syscall.SIGKILL)
	}
}

func appendTo(file, text string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}

// selfSigned makes a certificate for 127.0.0.1 and its key, as files in dir.
func selfSigned(dir string) (cert, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &private.PublicKey, private)
	if err != nil {
		return "", "", err
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		return "", "", err
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return "", "", err
	}
	return cert, key, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600)
}
