package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"glimpse/cmd/glimpse/config"
)

// opsFlags say which node's operator API is asked: that of the configuration, or
// another machine's.
type opsFlags struct {
	configFlags
	At         string `help:"Another node's listen.ops, which wants a client certificate." placeholder:"HOST:PORT"`
	CACert     string `name:"cacert" help:"CA of that node's certificate." type:"existingfile"`
	ClientCert string `help:"Certificate to show." type:"existingfile"`
	ClientKey  string `help:"Its key." type:"existingfile"`
}

// call asks the operator API of a node. A nil body is a GET.
func (f opsFlags) call(ctx context.Context, path string, body, into any) error {
	base, client, err := f.client()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	method, sent := http.MethodGet, []byte(nil)
	if body != nil {
		method = http.MethodPost
		if sent, err = json.Marshal(body); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(sent))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("no node answers on listen.ops: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode == http.StatusNotFound {
		return errors.New("the node that answers on listen.ops is alone: it has no cluster.label")
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(strings.TrimSpace(string(b)))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(b, into)
}

// client is the way to a node's operator API.
func (f opsFlags) client() (base string, client *http.Client, err error) {
	t := &http.Transport{}
	at, secure := f.At, f.At != ""
	if !secure {
		c, err := f.load()
		if err != nil {
			return "", nil, err
		}
		at, secure = c.Listen.Ops, c.Listen.OpsTLS.ClientCA != ""
		if path, ok := c.OpsSocket(); ok {
			at = "node"
			t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "unix", path)
			}
		}
	}
	if !secure {
		return "http://" + at, &http.Client{Transport: t}, nil
	}
	if f.ClientCert == "" || f.ClientKey == "" {
		return "", nil, errors.New("this operator API wants a client certificate: --client-cert and --client-key")
	}
	t.TLSClientConfig, err = clientTLS(f.CACert, f.ClientCert, f.ClientKey)
	return "https://" + at, &http.Client{Transport: t}, err
}

// clientTLS shows a certificate; without a CA it trusts the system's.
func clientTLS(caFile, cert, key string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if caFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	t.RootCAs = x509.NewCertPool()
	if !t.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", caFile)
	}
	return t, nil
}

// opsURL is where a node's operator listener is, for people.
func opsURL(c config.Config) string {
	if _, ok := c.OpsSocket(); ok {
		return c.Listen.Ops
	}
	if c.Listen.OpsTLS.ClientCA != "" {
		return "https://" + c.Listen.Ops
	}
	return "http://" + c.Listen.Ops
}
