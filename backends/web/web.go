package web

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"glimpse/backends"
	"glimpse/backends/httpread"
)

// Config says how servers are reached.
type Config struct {
	CAFile       string        // PEM; "": the system's
	Insecure     bool          // certificates are not checked
	Proxy        string        // URL of a proxy; "": none
	AllowedHosts []string      // names or addresses that may lie anywhere, the machine itself included
	Timeout      time.Duration // for an answer to begin, and between two of its bytes; 0: 30 s
}

const (
	defaultTimeout = 30 * time.Second
	connectTimeout = 10 * time.Second
	// maxRedirects is Glance's.
	maxRedirects = 5
	maxHeader    = 64 << 10
)

// Store reads from any server.
type Store struct {
	client  *http.Client
	timeout time.Duration
}

var _ backends.Store = (*Store)(nil)

// Open reads the certificates.
func Open(c Config) (*Store, error) {
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	t := &http.Transport{
		DialContext:           dialer(c.AllowedHosts).dial,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.Insecure},
		TLSHandshakeTimeout:   connectTimeout,
		ResponseHeaderTimeout: c.Timeout, MaxResponseHeaderBytes: maxHeader,
		DisableCompression: true, MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute,
		ReadBufferSize: 64 << 10,
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("http: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("http: no certificate in %s", c.CAFile)
		}
	}
	if c.Proxy != "" {
		u, err := url.Parse(c.Proxy)
		if err != nil || u.Host == "" {
			return nil, errors.New("http: the proxy is not a URL")
		}
		// The proxy resolves the names, so its own rules say where they may lead.
		t.Proxy, t.DialContext = http.ProxyURL(u), anywhere
	}
	return &Store{client: &http.Client{Transport: t, CheckRedirect: redirect}, timeout: c.Timeout}, nil
}

var errRedirect = errors.New("a redirect that is not followed")

func redirect(r *http.Request, via []*http.Request) error {
	switch first := via[0].URL; {
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: more than %d", errRedirect, maxRedirects)
	case r.URL.Scheme != "https" && r.URL.Scheme != "http":
		return fmt.Errorf("%w: not to HTTP", errRedirect)
	case r.URL.Scheme == "http" && first.Scheme == "https":
		return fmt.Errorf("%w: from https to http", errRedirect)
	}
	r.Header.Del("Referer") // a location may hold a secret
	return nil
}

// Caps are a web server's.
func (s *Store) Caps() backends.Caps {
	return backends.Caps{ReadOnly: true, Ranged: true, Validators: true}
}

// Create is beyond the store.
func (s *Store) Create(context.Context, string, int64) (backends.Writer, error) {
	return nil, fmt.Errorf("http: create: %w", errors.ErrUnsupported)
}

// Delete is beyond the store.
func (s *Store) Delete(context.Context, backends.Locator) error {
	return fmt.Errorf("http: delete: %w", errors.ErrUnsupported)
}

// Pending is beyond the store.
func (s *Store) Pending(context.Context, func(backends.Locator, time.Time) error) error {
	return fmt.Errorf("http: list half-done uploads: %w", errors.ErrUnsupported)
}

// Abort is beyond the store.
func (s *Store) Abort(context.Context, backends.Locator) error {
	return fmt.Errorf("http: abort: %w", errors.ErrUnsupported)
}

// Close ends idle connections.
func (s *Store) Close() error {
	s.client.CloseIdleConnections()
	return nil
}

// Stat asks by HEAD, and where that is refused, as by URLs that are signed for
// GET, for the first byte.
func (s *Store) Stat(ctx context.Context, at backends.Locator) (backends.Info, error) {
	resp, err := s.ask(ctx, http.MethodHead, at, nil)
	if err != nil {
		return backends.Info{}, err
	}
	resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		v := versionOf(resp, resp.ContentLength)
		return backends.Info{Size: v.size, Validator: v.String()}, nil
	case http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusBadRequest:
	default:
		return backends.Info{}, statusError(resp)
	}
	resp, err = s.ask(ctx, http.MethodGet, at, http.Header{"Range": {"bytes=0-0"}})
	if err != nil {
		return backends.Info{}, err
	}
	resp.Body.Close()
	var size int64
	switch resp.StatusCode {
	case http.StatusOK:
		size = resp.ContentLength
	case http.StatusPartialContent:
		if _, size, err = contentRange(resp); err != nil {
			return backends.Info{}, err
		}
	case http.StatusRequestedRangeNotSatisfiable: // not one byte
		size = 0
	default:
		return backends.Info{}, statusError(resp)
	}
	return backends.Info{Size: size, Validator: versionOf(resp, size).String()}, nil
}

// ask sends one request. The caller closes the body.
func (s *Store) ask(ctx context.Context, method string, at backends.Locator, h http.Header) (*http.Response, error) {
	u, err := url.Parse(at.Reveal())
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("http: not a locator of this store")
	}
	r, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, errors.New("http: not a locator of this store")
	}
	for k, v := range h {
		r.Header[k] = v
	}
	r.Header.Set("Accept-Encoding", "identity")
	r.Header.Set("User-Agent", "glimpse")
	resp, err := s.client.Do(r)
	if err != nil {
		return nil, translate(ctx, err)
	}
	if e := resp.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		resp.Body.Close()
		return nil, errors.New("http: the server sends the object in an encoding only")
	}
	return resp, nil
}

// translate gives an error of the client the sentinel that callers test. The URL
// is left out: it is the locator.
func translate(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, httpread.ErrStalled) {
		return fmt.Errorf("http: %w", cause)
	}
	if cause != nil {
		return cause
	}
	if errors.Is(err, errForbidden) || errors.Is(err, errRedirect) {
		return fmt.Errorf("http: %w", httpread.WithoutURL(err))
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("http: %w", io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("http: %w: %w", backends.ErrUnavailable, httpread.Plain(err, "HTTP"))
}

func statusError(resp *http.Response) error {
	switch code := resp.StatusCode; {
	case code == http.StatusNotFound, code == http.StatusGone:
		return fmt.Errorf("http: %w", backends.ErrNotFound)
	case code == http.StatusPreconditionFailed:
		return fmt.Errorf("http: %w", backends.ErrChanged)
	case code == http.StatusRequestedRangeNotSatisfiable:
		return fmt.Errorf("http: %w", io.ErrUnexpectedEOF)
	case code >= 500, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout:
		return backends.Busy(httpread.RetryAfter(resp.Header), fmt.Errorf("http: %w: status %d", backends.ErrUnavailable, code))
	default:
		return fmt.Errorf("http: status %d", code)
	}
}
