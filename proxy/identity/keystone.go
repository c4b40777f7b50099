package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"glimpse/registry/image"
)

// KeystoneConfig says where Keystone is and whom Glimpse is there. The
// application credential, where set, takes the place of user and password.
type KeystoneConfig struct {
	AuthURL                     string // with or without /v3
	Username                    string
	Password                    image.Secret
	ProjectName                 string
	UserDomainName              string
	ProjectDomainName           string
	ApplicationCredentialID     string
	ApplicationCredentialSecret image.Secret
	RegionName                  string        // of the catalog's endpoint; "" is the first
	Interface                   string        // of the catalog's endpoint; "" stays with AuthURL
	CAFile                      string        // PEM, beside the system's
	Insecure                    bool          // no certificate is checked
	WWWAuthenticateURI          string        // for the 401s; "" is AuthURL
	TokenCacheTime              time.Duration // 0 or less: Keystone is asked each time
	ServiceTokenRoles           []string
	ServiceTokenRolesRequired   bool          // a service token without one of the roles counts for nothing
	OutageGrace                 time.Duration // beyond TokenCacheTime, while Keystone is away
	Log                         *slog.Logger
}

// Keystone validates tokens with an OpenStack Identity service, version 3. It
// sends nothing yet: a Keystone that is away makes requests Unavailable, not the
// node.
func Keystone(ctx context.Context, c KeystoneConfig) (Authenticator, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	h, transport, err := newHTTP(c)
	if err != nil {
		return nil, err
	}
	uri := c.WWWAuthenticateURI
	if uri == "" {
		uri = c.AuthURL
	}
	roles := make([]string, len(c.ServiceTokenRoles))
	for i, r := range c.ServiceTokenRoles {
		roles[i] = strings.ToLower(r)
	}
	return &keystone{
		validator: newValidator(ctx, c, newClient(c, h)), transport: transport,
		serviceRoles: roles, required: c.ServiceTokenRolesRequired, challenge: `Keystone uri="` + uri + `"`,
	}, nil
}

func (c KeystoneConfig) check() error {
	u, err := url.Parse(c.AuthURL)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.RawQuery != "":
		return errors.New("keystone: auth_url is not an http or https URL")
	case u.User != nil:
		return errors.New("keystone: auth_url must hold no user and password")
	case strings.ContainsAny(c.WWWAuthenticateURI, "\"\r\n"):
		return errors.New("keystone: www_authenticate_uri is not a URL")
	case c.ApplicationCredentialID != "" && c.ApplicationCredentialSecret == "":
		return errors.New("keystone: application_credential_id without application_credential_secret")
	case c.ApplicationCredentialID != "":
		return nil
	}
	for _, need := range []struct{ key, value string }{
		{"username", c.Username},
		{"password", c.Password.Reveal()},
		{"project_name", c.ProjectName},
		{"user_domain_name", c.UserDomainName},
		{"project_domain_name", c.ProjectDomainName},
	} {
		if need.value == "" {
			return fmt.Errorf("keystone: %s is missing", need.key)
		}
	}
	return nil
}

type keystone struct {
	validator    *validator
	transport    *http.Transport
	serviceRoles []string
	required     bool
	challenge    string
}

func (k *keystone) Challenge() string { return k.challenge }

// Close waits for the questions under way, which it cuts short.
func (k *keystone) Close() error {
	k.validator.close()
	k.transport.CloseIdleConnections()
	return nil
}

// Authenticate validates the user's token and, if there is one, the service's
// beside it, which may make an expired token good. A service token that is not
// good counts for nothing.
func (k *keystone) Authenticate(ctx context.Context, r Request) (Identity, error) {
	if r.Token == "" {
		return Identity{}, errBadToken
	}
	roles, vouched, err := k.service(ctx, r.ServiceToken)
	if err != nil {
		return Identity{}, err
	}
	v, err := k.user(ctx, r.Token, vouched)
	if err != nil {
		return Identity{}, err
	}
	// A service that acts on behalf of a user does what the user's rules don't name.
	if !vouched && !allowed(v.permits, r.Method, r.Path) {
		return Identity{}, errBadToken
	}
	id := v.identity
	id.Roles = slices.Clone(id.Roles)
	id.ServiceRoles = roles
	return id, nil
}

// user validates the token as it is first: so the answer is the one that is
// remembered.
func (k *keystone) user(ctx context.Context, token string, vouched bool) (verdict, error) {
	v, err := k.validator.validate(ctx, token, false)
	if vouched && image.KindOf(err) == image.Unauthenticated && err != nil {
		return k.validator.validate(ctx, token, true)
	}
	return v, err
}

// service returns the roles of a valid service token; vouched says that one of
// them is a service role.
func (k *keystone) service(ctx context.Context, token string) (roles []string, vouched bool, err error) {
	if token == "" {
		return nil, false, nil
	}
	v, err := k.validator.validate(ctx, token, false)
	if err != nil {
		if image.KindOf(err) == image.Unauthenticated {
			err = nil
		}
		return nil, false, err
	}
	vouched = slices.ContainsFunc(v.identity.Roles, func(r string) bool { return slices.Contains(k.serviceRoles, r) })
	if !vouched && k.required {
		return nil, false, nil
	}
	return slices.Clone(v.identity.Roles), vouched, nil
}
