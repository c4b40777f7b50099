package swift

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"glimpse/backends"
)

// Credentials are what one user logs in with.
type Credentials struct {
	AuthURL           string // http:// or https://
	Version           int    // 1 (tempauth and the like), 2 or 3 (Keystone)
	User              string // project:user with versions 2 and 3
	Key               backends.Secret
	UserDomainID      string
	UserDomainName    string
	ProjectDomainID   string
	ProjectDomainName string
	AppID             string // an application credential, in place of User and Key
	AppSecret         backends.Secret
}

// Config says where objects are.
type Config struct {
	Accounts        map[string]Credentials // by reference
	Reference       string                 // the one of Accounts that is written to
	HideCredentials bool                   // locators name the reference; else they hold user and key, as Glance's do
	OtherAuthURLs   []string               // where locators may log in with credentials of their own, besides those of Accounts
	Container       string                 // or, with a Seed, how the containers' names begin
	Seed            int                    // so many hex digits of a key end its container's name, 0 to 32
	CreateContainer bool                   // a missing one is made by the first write to it
	MultiTenant     bool                   // each image in a container of its own, in its uploader's account; see Tenants
	AdminTenants    []string               // projects that may write to tenants' containers
	Region          string                 // "": the first one
	EndpointType    string                 // public, internal or admin
	Endpoint        string                 // storage URL, in place of the catalog's
	CAFile          string                 // PEM; "": the system's
	Insecure        bool                   // certificates are not checked
	PartSize        int64                  // of the first segments of an object
	Small           int64                  // an object with fewer bytes is held in memory and is one object, without segments
	NoReplace       bool                   // the server heeds If-None-Match; checked at the first write. Ceph's gateway doesn't; its connections are used for one read each
	ExpireSoon      time.Duration          // a token that is good for less is renewed
	Timeout         time.Duration          // for an answer to begin, and for a silence in the middle; 0: 30 s
	Tries           int                    // further ones of a request that writes, after it found the server away
}

const (
	defaultTimeout = 30 * time.Second
	connectTimeout = 10 * time.Second
	maxHeader      = 64 << 10
	maxPart        = 4 << 30 // servers take 5 GiB
)

// Store is one container, or the containers of one seed.
type Store struct {
	c         Config
	client    *http.Client
	transport *http.Transport

	mu struct {
		sync.Mutex
		accounts map[Credentials]*account
		checked  bool // that the server heeds If-None-Match
		layouts  map[version]*layout
	}
}

var _ backends.Store = (*Store)(nil)

// Open checks the configuration; nothing is asked of a server yet.
func Open(c Config) (*Store, error) {
	own, ok := c.Accounts[c.Reference]
	switch {
	case !ok:
		return nil, fmt.Errorf("swift: there are no credentials for the reference %q", c.Reference)
	case !named(c.Container):
		return nil, errors.New("swift: container is not a name")
	case c.Seed < 0 || c.Seed > 32:
		return nil, errors.New("swift: multiple_containers_seed is from 0 to 32")
	case c.PartSize < 1 || c.PartSize > maxPart:
		return nil, errors.New("swift: large_object_chunk_size is from 1 byte to 4 GiB")
	case c.EndpointType != "public" && c.EndpointType != "internal" && c.EndpointType != "admin":
		return nil, errors.New("swift: endpoint_type is not one of publicURL, internalURL, adminURL")
	}
	for ref, a := range c.Accounts {
		if err := a.check(); err != nil {
			return nil, fmt.Errorf("swift: account %s: %w", ref, err)
		}
	}
	if own.AppID != "" {
		c.HideCredentials = true // nothing else can be written into a locator
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	t := &http.Transport{
		DialContext:           dial,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.Insecure, ClientSessionCache: tls.NewLRUClientSessionCache(16)},
		TLSHandshakeTimeout:   connectTimeout,
		ResponseHeaderTimeout: c.Timeout, MaxResponseHeaderBytes: maxHeader, ExpectContinueTimeout: c.Timeout,
		DisableCompression: true, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute,
		ReadBufferSize: 64 << 10, WriteBufferSize: 64 << 10,
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("swift: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("swift: no certificate in %s", c.CAFile)
		}
	}
	s := &Store{c: c, transport: t}
	s.client = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	s.mu.accounts, s.mu.layouts = map[Credentials]*account{}, map[version]*layout{}
	return s, nil
}

// check refuses what could never log in.
func (c Credentials) check() error {
	u, err := url.Parse(c.AuthURL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil:
		return errors.New("auth_url is not an http or https URL")
	case c.AppID != "" && (c.Version != 3 || c.AppSecret == ""):
		return errors.New("an application credential needs its secret, and auth_version 3")
	case c.AppID == "" && (c.User == "" || c.Key == ""):
		return errors.New("user or key is missing")
	case c.Version < 1 || c.Version > 3:
		return errors.New("auth_version is not one of 1, 2, 3")
	case c.AppID == "" && c.Version > 1 && strings.Count(c.User, ":") != 1:
		return errors.New("user is not of the form project:user")
	}
	return nil
}

// named says whether a container or key can be one, and a part of a locator.
func named(s string) bool {
	return s != "" && len(s) <= 200 && s != "." && s != ".." && !strings.ContainsAny(s, "/?#") && strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) < 0
}

// Caps depend on the server.
func (s *Store) Caps() backends.Caps {
	return backends.Caps{Ranged: true, UnknownSize: true, Validators: true, NoReplace: s.c.NoReplace, Pending: true, PartSize: s.c.PartSize}
}

// Close ends idle connections.
func (s *Store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// limited bounds a context by the time that a small request may take.
func (s *Store) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, 2*s.c.Timeout, errSilent)
}
