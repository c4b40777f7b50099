package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
)

// errNoToken says that Keystone does not know a token, or no more.
var errNoToken = errors.New("keystone does not know the token")

// errLogin says that the service user can't log in.
var errLogin = errors.New("the service user can't log in")

const (
	retryPause = 100 * time.Millisecond // between the two attempts of one question
	loginPause = time.Second            // after a log-in that failed: a wrong password must not lock the account
)

// client asks Keystone about tokens, as the service user. Its errors name neither
// a token nor a password.
type client struct {
	http     *http.Client
	config   KeystoneConfig
	base     string // the identity API's root, with /v3 and no slash
	provider *gophercloud.ProviderClient
	endpoint atomic.Pointer[string] // where tokens are validated: from the catalog, else base

	mu     sync.Mutex
	failed error     // of the last log-in
	since  time.Time // when it failed
}

func newClient(c KeystoneConfig, h *http.Client) *client {
	k := &client{http: h, config: c, base: v3(c.AuthURL)}
	k.endpoint.Store(&k.base)
	k.provider = &gophercloud.ProviderClient{HTTPClient: *h, ReauthFunc: k.login}
	k.provider.UseTokenLock()
	return k
}

// v3 returns the root of version 3, whether or not the URL names the version.
func v3(url string) string {
	return strings.TrimSuffix(strings.TrimRight(url, "/"), "/v3") + "/v3"
}

// login gets a token for the service user, unless that failed a moment ago. It
// runs once however many requests wait for it.
func (k *client) login(ctx context.Context) error {
	k.mu.Lock()
	failed, since := k.failed, k.since
	k.mu.Unlock()
	if failed != nil && time.Since(since) < loginPause {
		return failed
	}
	err := k.logIn(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failed, k.since = err, time.Now()
	return err
}

func (k *client) logIn(ctx context.Context) error {
	plain := &gophercloud.ServiceClient{
		ProviderClient: &gophercloud.ProviderClient{HTTPClient: *k.http}, Endpoint: k.base + "/",
	}
	opts := k.credentials()
	r := tokens.Create(ctx, plain, &opts)
	if r.Err != nil {
		return fmt.Errorf("%w: %w", errLogin, plainError(r.Err))
	}
	if err := k.provider.SetTokenAndAuthResult(r); err != nil {
		return fmt.Errorf("%w: %w", errLogin, plainError(err))
	}
	k.locate(r)
	return nil
}

func (k *client) credentials() tokens.AuthOptions {
	c := k.config
	if c.ApplicationCredentialID != "" {
		return tokens.AuthOptions{
			ApplicationCredentialID: c.ApplicationCredentialID, ApplicationCredentialSecret: c.ApplicationCredentialSecret.Reveal(),
		}
	}
	return tokens.AuthOptions{
		Username: c.Username, Password: c.Password.Reveal(), DomainName: c.UserDomainName,
		Scope: tokens.Scope{ProjectName: c.ProjectName, DomainName: c.ProjectDomainName},
	}
}

// locate takes the endpoint for validations from the service user's catalog.
// Without one for the interface and the region it stays what it was.
func (k *client) locate(r tokens.CreateResult) {
	if k.config.Interface == "" {
		return
	}
	catalog, err := r.ExtractServiceCatalog()
	if err != nil {
		return
	}
	for _, s := range catalog.Entries {
		if s.Type != "identity" {
			continue
		}
		for _, e := range s.Endpoints {
			if e.Interface == k.config.Interface && (k.config.RegionName == "" || e.Region == k.config.RegionName || e.RegionID == k.config.RegionName) && e.URL != "" {
				url := v3(e.URL)
				k.endpoint.Store(&url)
				return
			}
		}
	}
}

// validate asks about a token; errNoToken where Keystone knows it not, and any
// other error where it can't tell.
func (k *client) validate(ctx context.Context, token string, allowExpired bool) (verdict, error) {
	v, err := k.ask(ctx, token, allowExpired)
	if err == nil || errors.Is(err, errNoToken) || errors.Is(err, errLogin) || ctx.Err() != nil {
		return v, err
	}
	t := time.NewTimer(retryPause)
	defer t.Stop()
	select {
	case <-t.C:
		return k.ask(ctx, token, allowExpired)
	case <-ctx.Done():
		return verdict{}, err
	}
}

func (k *client) ask(ctx context.Context, token string, allowExpired bool) (verdict, error) {
	if k.provider.Token() == "" {
		if err := k.provider.Reauthenticate(ctx, ""); err != nil {
			return verdict{}, plainError(err)
		}
	}
	url := *k.endpoint.Load() + "/auth/tokens?nocatalog"
	if allowExpired {
		url += "&allow_expired=1"
	}
	service := &gophercloud.ServiceClient{ProviderClient: k.provider}
	var a answer
	//nolint:bodyclose // gophercloud reads and closes the body of what it decodes
	resp, err := service.Get(ctx, url, &a, &gophercloud.RequestOpts{
		MoreHeaders: map[string]string{"X-Subject-Token": token, "OpenStack-Identity-Access-Rules": "1"},
		OkCodes:     []int{http.StatusOK, http.StatusNonAuthoritativeInfo},
	})
	switch code := status(resp, err); {
	case code == http.StatusNotFound, code == http.StatusBadRequest, code == http.StatusRequestHeaderFieldsTooLarge:
		return verdict{}, errNoToken
	case err != nil:
		return verdict{}, plainError(err)
	}
	return a.verdict()
}

// status returns what Keystone answered to the question itself; 0 where the
// question was not answered.
func status(resp *http.Response, err error) int {
	var login *gophercloud.ErrUnableToReauthenticate
	var after *gophercloud.ErrErrorAfterReauthentication
	var unexpected gophercloud.ErrUnexpectedResponseCode
	switch {
	case errors.As(err, &login):
		return 0
	case errors.As(err, &after):
		return status(nil, after.ErrOriginal)
	case errors.As(err, &unexpected):
		return unexpected.Actual
	case err == nil && resp != nil:
		return resp.StatusCode
	}
	return 0
}

// plainError keeps what helps an operator, and drops the answers' bodies: they
// may repeat what was sent.
func plainError(err error) error {
	var unexpected gophercloud.ErrUnexpectedResponseCode
	var login *gophercloud.ErrUnableToReauthenticate
	var after *gophercloud.ErrErrorAfterReauthentication
	switch {
	case errors.As(err, &login) && login.ErrReauth != nil:
		return plainError(login.ErrReauth)
	case errors.As(err, &after) && after.ErrOriginal != nil:
		return plainError(after.ErrOriginal)
	case errors.As(err, &unexpected):
		return fmt.Errorf("keystone answered %d", unexpected.Actual)
	}
	return err
}
