package swift

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"glimpse/backends"

	"github.com/ncw/swift/v2"
)

// maxAccounts bounds how many credentials are remembered: locators can bring any.
const maxAccounts = 256

// grant is what a login gave.
type grant struct {
	token, storage string
	until          time.Time // zero: unknown, or so near that only a refusal tells
}

// account is one user and the token in use. Of many who find it missing one logs
// in.
type account struct {
	s    *Store
	cred Credentials
	turn chan struct{} // who has put one in logs in

	mu struct {
		sync.Mutex
		grant
		logins int
		failed error // of the last login
	}
}

// account returns the one of the credentials.
func (s *Store) account(c Credentials) *account {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.mu.accounts[c]; a != nil {
		return a
	}
	if len(s.mu.accounts) >= maxAccounts {
		clear(s.mu.accounts)
	}
	a := &account{s: s, cred: c, turn: make(chan struct{}, 1)}
	s.mu.accounts[c] = a
	return a
}

// own is the account that is written to.
func (s *Store) own() *account { return s.account(s.c.Accounts[s.c.Reference]) }

func (a *account) have() (g grant, logins int, failed error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	g = a.mu.grant
	if !g.until.IsZero() && time.Until(g.until) < a.s.c.ExpireSoon {
		g = grant{}
	}
	return g, a.mu.logins, a.mu.failed
}

// drop forgets a token that was refused, unless another is there already.
func (a *account) drop(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mu.token == token {
		a.mu.grant = grant{}
	}
}

// grant returns a token that is good for a while. Those who wait for another's
// login share its failure too, but not that its caller went away.
func (a *account) grant(ctx context.Context) (grant, error) {
	g, before, _ := a.have()
	if g.token != "" {
		return g, nil
	}
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		return grant{}, context.Cause(ctx)
	}
	defer func() { <-a.turn }()
	g, logins, failed := a.have()
	if g.token != "" {
		return g, nil
	}
	if logins != before && failed != nil {
		return grant{}, failed
	}
	g, err := a.s.login(ctx, a.cred)
	if ctx.Err() == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.mu.grant, a.mu.failed = g, err
		a.mu.logins++
	}
	return g, err
}

// login asks the authentication server. The library's connection is used for this
// alone.
func (s *Store) login(ctx context.Context, c Credentials) (grant, error) {
	ctx, cancel := s.limited(ctx)
	defer cancel()
	conn := &swift.Connection{
		AuthUrl: c.AuthURL, AuthVersion: c.Version, UserName: c.User, ApiKey: c.Key.Reveal(), UserAgent: agent,
		Region: s.c.Region, EndpointType: swift.EndpointType(s.c.EndpointType),
		Transport: loginTransport{s.transport}, ConnectTimeout: time.Hour, // ctx is the limit
	}
	switch {
	case c.AppID != "":
		conn.UserName, conn.ApiKey = "", ""
		conn.ApplicationCredentialId, conn.ApplicationCredentialSecret = c.AppID, c.AppSecret.Reveal()
	case c.Version > 1:
		conn.Tenant, conn.UserName, _ = strings.Cut(c.User, ":")
		conn.Domain, conn.DomainId, conn.TenantDomain, conn.TenantDomainId = c.UserDomainName, c.UserDomainID, c.ProjectDomainName, c.ProjectDomainID
	}
	err := conn.Authenticate(ctx)
	g := grant{conn.AuthToken, conn.StorageUrl, conn.Expires}
	if s.c.Endpoint != "" {
		g.storage = s.c.Endpoint
	}
	if err != nil && (g.token == "" || g.storage == "") {
		return grant{}, loginError(ctx, err)
	}
	u, err := url.Parse(g.storage)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return grant{}, errors.New("swift: the login names no storage URL")
	}
	g.storage = strings.TrimRight(g.storage, "/")
	if time.Until(g.until) < s.c.ExpireSoon {
		g.until = time.Time{} // a clock is wrong, or tokens are that short
	}
	return g, nil
}

// loginError leaves out what the library quotes of answers.
func loginError(ctx context.Context, err error) error {
	var se *swift.Error
	if !errors.As(err, &se) || se.StatusCode == 0 {
		if ctx.Err() == nil && se != nil {
			return errors.New("swift: the login names no storage URL for this region and endpoint type")
		}
		return translate(ctx, err)
	}
	switch code := se.StatusCode; {
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fmt.Errorf("swift: the credentials are refused: status %d", code)
	case code >= 500, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout:
		return fmt.Errorf("swift: login: %w: status %d", backends.ErrUnavailable, code)
	default:
		return fmt.Errorf("swift: login: status %d", code)
	}
}

// maxLogin is how many bytes of a login's answer are read: catalogs are some kB.
const maxLogin = 4 << 20

var errRedirect = errors.New("the server redirects")

// loginTransport bounds what the library reads, and follows no redirect: it would
// take the credentials along.
type loginTransport struct{ base http.RoundTripper }

func (t loginTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 3 && resp.StatusCode != http.StatusMultipleChoices {
		resp.Body.Close()
		return nil, errRedirect
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxLogin), resp.Body}
	return resp, nil
}
