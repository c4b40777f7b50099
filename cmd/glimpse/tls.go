package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"glimpse/cmd/glimpse/config"
)

// listenTLS opens the TLS listener. The certificate is read again when its file
// changes, so that it can be renewed without a restart.
func listenTLS(c config.ListenTLS) (net.Listener, error) {
	t, err := serverTLS(c.Cert, c.Key, c.ClientCA)
	if err != nil {
		return nil, err
	}
	return tls.Listen("tcp", c.Address, t)
}

// serverTLS is a listener's side; with a client CA it wants certificates of that.
func serverTLS(cert, key, clientCA string) (*tls.Config, error) {
	k := &keyPair{cert: cert, key: key}
	if _, err := k.get(nil); err != nil {
		return nil, err
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: k.get, NextProtos: []string{"http/1.1"}}
	if clientCA != "" {
		pem, err := os.ReadFile(clientCA)
		if err != nil {
			return nil, err
		}
		t.ClientCAs, t.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		if !t.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("client_ca holds no certificate")
		}
	}
	return t, nil
}

// keyPair is a certificate that follows its files.
type keyPair struct {
	cert, key string

	mu     sync.Mutex
	loaded *tls.Certificate
	at     time.Time // the certificate file's modification time
}

// get returns the certificate, read anew when the file has changed. One that
// can't be read leaves the old one in use.
func (k *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	st, err := os.Stat(k.cert)
	k.mu.Lock()
	loaded, at := k.loaded, k.at
	k.mu.Unlock()
	if loaded != nil && (err != nil || st.ModTime().Equal(at)) {
		return loaded, nil
	}
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(k.cert, k.key)
	if err != nil {
		if loaded != nil {
			return loaded, nil
		}
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.loaded, k.at = &pair, st.ModTime()
	return k.loaded, nil
}
