package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// Pair is a certificate and its private key, in PEM. The key is secret.
type Pair struct{ Cert, Key []byte }

// early is how long before its making a certificate begins: clocks differ.
const early = time.Hour

// Make returns a new CA for a cluster.
func Make(label string, now time.Time, life time.Duration) (Pair, error) {
	if err := checkName("label", label); err != nil {
		return Pair{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	t := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "glimpse cluster " + label},
		NotBefore:             now.Add(-early),
		NotAfter:              now.Add(life),
		IsCA:                  true,
		MaxPathLenZero:        true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	return sign(t, t, key, key)
}

// Authority is a CA with its key.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// Load reads a CA.
func Load(p Pair) (*Authority, error) {
	c, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		return nil, fmt.Errorf("the cluster CA: %w", err)
	}
	key, ok := c.PrivateKey.(crypto.Signer)
	if !ok || !c.Leaf.IsCA {
		return nil, errors.New("the cluster CA: this certificate can't sign others")
	}
	return &Authority{cert: c.Leaf, key: key}, nil
}

// Issue makes a certificate for a node. It ends with the CA at the latest.
func (a *Authority) Issue(label, node string, now time.Time, life time.Duration) (Pair, error) {
	if err := errors.Join(checkName("label", label), checkName("node id", node)); err != nil {
		return Pair{}, err
	}
	if !now.Before(a.cert.NotAfter) {
		return Pair{}, fmt.Errorf("the cluster CA ended at %s: make a new one", a.cert.NotAfter.Format(time.RFC3339))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	end := now.Add(life)
	if end.After(a.cert.NotAfter) {
		end = a.cert.NotAfter
	}
	t := &x509.Certificate{
		Subject:     pkix.Name{CommonName: node},
		URIs:        uris(label, node),
		NotBefore:   now.Add(-early),
		NotAfter:    end,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	return sign(t, a.cert, key, a.key)
}

// Renew makes a new pair for the node that a certificate names, which may have
// ended.
func (a *Authority) Renew(cert []byte, now time.Time, life time.Duration) (Pair, error) {
	block, _ := pem.Decode(cert)
	if block == nil {
		return Pair{}, errors.New("the certificate to renew is not PEM")
	}
	old, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return Pair{}, fmt.Errorf("the certificate to renew: %w", err)
	}
	if err := old.CheckSignatureFrom(a.cert); err != nil {
		return Pair{}, errors.New("the certificate to renew is another CA's")
	}
	label, node, err := names(old)
	if err != nil {
		return Pair{}, err
	}
	return a.Issue(label, node, now, life)
}

func sign(t, parent *x509.Certificate, key, by crypto.Signer) (Pair, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), by) // it makes the serial number
	if err != nil {
		return Pair{}, err
	}
	k, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k}),
	}, nil
}
