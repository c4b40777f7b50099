package ca

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// Config says which files hold a node's certificate, and what it must say.
type Config struct {
	CA, Cert, Key string // files, PEM
	Label, Node   string
	Now           func() time.Time // nil: time.Now
}

// Identity is a node's certificate and whom it trusts.
type Identity struct {
	cfg Config
	now atomic.Pointer[loaded]
}

// loaded is what the files held when they were read. It never changes.
type loaded struct {
	files [3][]byte
	cert  tls.Certificate
	roots *x509.CertPool
}

// Open reads the files. A certificate that peers would refuse is an error.
func Open(c Config) (*Identity, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	i := &Identity{cfg: c}
	if _, err := i.Reload(); err != nil {
		return nil, err
	}
	return i, nil
}

// Reload reads the files again and says whether they had changed. After an error
// the former ones stay in use. One goroutine at a time.
func (i *Identity) Reload() (changed bool, err error) {
	l := &loaded{roots: x509.NewCertPool()}
	for n, name := range []string{i.cfg.CA, i.cfg.Cert, i.cfg.Key} {
		if l.files[n], err = os.ReadFile(name); err != nil {
			return false, fmt.Errorf("cluster.tls: %w", err)
		}
	}
	if old := i.now.Load(); old != nil && bytes.Equal(old.files[0], l.files[0]) && bytes.Equal(old.files[1], l.files[1]) && bytes.Equal(old.files[2], l.files[2]) {
		return false, nil
	}
	if !l.roots.AppendCertsFromPEM(l.files[0]) {
		return false, fmt.Errorf("cluster.tls.ca: no certificate in %s", i.cfg.CA)
	}
	if l.cert, err = tls.X509KeyPair(l.files[1], l.files[2]); err != nil {
		return false, fmt.Errorf("cluster.tls: %s and %s: %w", i.cfg.Cert, i.cfg.Key, err)
	}
	for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		if err := i.check(chain(l.cert), l.roots, i.cfg.Node, use); err != nil {
			return false, fmt.Errorf("cluster.tls.cert: %s: %w", i.cfg.Cert, err)
		}
	}
	i.now.Store(l)
	return true, nil
}

// chain returns the certificates of a pair as a peer gets to see them.
func chain(c tls.Certificate) []*x509.Certificate {
	list := []*x509.Certificate{c.Leaf}
	for _, der := range c.Certificate[1:] {
		if more, err := x509.ParseCertificate(der); err == nil {
			list = append(list, more)
		}
	}
	return list
}

// Left is how long the node's certificate is still good.
func (i *Identity) Left() time.Duration {
	return i.now.Load().cert.Leaf.NotAfter.Sub(i.cfg.Now())
}

// Server returns what a listener needs.
func (i *Identity) Server() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		SessionTicketsDisabled: true, // no client resumes
		// Asked for here and insisted on below, where one is told apart from the other.
		ClientAuth: tls.RequestClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return &i.now.Load().cert, nil
		},
		VerifyConnection: func(s tls.ConnectionState) error {
			return i.check(s.PeerCertificates, i.now.Load().roots, "", x509.ExtKeyUsageClientAuth)
		},
	}
}

// Client returns what it takes to dial a node.
func (i *Identity) Client(node string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// The names are our own, so VerifyConnection does the whole check.
		InsecureSkipVerify: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &i.now.Load().cert, nil
		},
		VerifyConnection: func(s tls.ConnectionState) error {
			if node == "" {
				return errors.New("no node was named to be dialled")
			}
			return i.check(s.PeerCertificates, i.now.Load().roots, node, x509.ExtKeyUsageServerAuth)
		},
	}
}

// Peer returns the id of the node at the other end of a verified connection.
func Peer(s *tls.ConnectionState) (node string, err error) {
	if len(s.PeerCertificates) == 0 {
		return "", errNone
	}
	_, node, err = names(s.PeerCertificates[0])
	return node, err
}

var errNone = errors.New("no certificate was shown")

// check refuses a chain that is not a trusted CA's, is out of date, or is for
// another cluster or (unless node is empty) another node.
func (i *Identity) check(certs []*x509.Certificate, roots *x509.CertPool, node string, use x509.ExtKeyUsage) error {
	if len(certs) == 0 {
		return errNone
	}
	now, leaf := i.cfg.Now(), certs[0]
	label, id, err := names(leaf)
	switch {
	case err != nil:
		return err
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the certificate of node %s ended at %s, and it is %s: renew it, or set the clock", id, leaf.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate of node %s begins at %s, and it is %s: set the clock", id, leaf.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case label != i.cfg.Label:
		return fmt.Errorf("the certificate is for cluster %q, and this is %q", label, i.cfg.Label)
	case node != "" && id != node:
		return fmt.Errorf("the certificate is node %s's, and not %s's", id, node)
	}
	between := x509.NewCertPool()
	for _, c := range certs[1:] {
		between.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{use}}); err != nil {
		return fmt.Errorf("the certificate of node %s is not trusted here: %w", id, err)
	}
	return nil
}
