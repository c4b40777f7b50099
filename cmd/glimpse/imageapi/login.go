package imageapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/config"
	"github.com/gophercloud/gophercloud/v2/openstack/config/clouds"
	"go.yaml.in/yaml/v3"
)

// Login says whom to ask, as whom. What is empty is taken from the OS_* variables,
// unless a cloud is named: a token of one cloud must not go to another.
type Login struct {
	Cloud    string // of clouds.yaml
	Endpoint string // of the Image API, instead of the catalog's
	Token    string
}

// getenv returns the first of these variables that is set.
func getenv(names ...string) string {
	for _, n := range names {
		if v := os.Getenv(n); v != "" {
			return v
		}
	}
	return ""
}

// Open finds the Image API and becomes known to it. With an endpoint and a token,
// or an endpoint and nothing to log in with, no Keystone is asked.
func Open(ctx context.Context, l Login) (*Session, error) {
	if l.Cloud == "" {
		l.Cloud = os.Getenv("OS_CLOUD")
		if l.Endpoint == "" {
			l.Endpoint = getenv("OS_IMAGE_ENDPOINT", "OS_IMAGE_ENDPOINT_OVERRIDE", "OS_IMAGE_URL", "OS_ENDPOINT")
		}
		if l.Token == "" {
			l.Token = getenv("OS_TOKEN", "OS_AUTH_TOKEN")
		}
	}
	auth, where, secure, err := options(l.Cloud)
	if err != nil {
		return nil, &Error{Code: Usage, Msg: "the login makes no sense", Err: err}
	}
	if l.Token != "" {
		auth = gophercloud.AuthOptions{IdentityEndpoint: auth.IdentityEndpoint, TokenID: l.Token, Scope: auth.Scope}
	}
	s := &Session{token: l.Token}
	s.http = newHTTP(secure)
	none := strings.HasPrefix(os.Getenv("OS_AUTH_TYPE"), "no") || auth.IdentityEndpoint == "" || l.Token != ""
	if l.Endpoint != "" && none {
		s.Endpoint, err = cleanEndpoint(l.Endpoint)
		return s, err
	}
	if auth.IdentityEndpoint == "" {
		return nil, Errorf(Usage, "there is neither --endpoint nor --os-cloud, nor are there OS_* variables such as OS_AUTH_URL")
	}
	return s, s.login(ctx, auth, where, secure, l.Endpoint)
}

// login asks Keystone for a token and, without an endpoint, for the catalog.
func (s *Session) login(ctx context.Context, auth gophercloud.AuthOptions, where gophercloud.EndpointOpts, secure *tls.Config, endpoint string) error {
	auth.AllowReauth = auth.TokenID == ""
	p, err := config.NewProviderClient(ctx, auth, config.WithTLSConfig(secure))
	if err != nil {
		return keystoneError(err)
	}
	s.token = p.Token()
	if auth.AllowReauth {
		s.renew = func(ctx context.Context, old string) (string, error) {
			err := p.Reauthenticate(ctx, old)
			return p.Token(), err
		}
	}
	if endpoint == "" {
		c, err := openstack.NewImageV2(p, where)
		if err != nil {
			return &Error{Code: Usage, Msg: "Keystone's catalog has no Image service in this region and interface", Err: err}
		}
		endpoint = c.Endpoint
	}
	s.Endpoint, err = cleanEndpoint(endpoint)
	return err
}

func keystoneError(err error) error {
	var code gophercloud.ErrUnexpectedResponseCode
	switch {
	case errors.As(err, &code) && code.Actual < 500:
		// The library's text quotes the whole answer; its status says enough.
		return Errorf(NotAllowed, "Keystone does not know these credentials: %d %s", code.Actual, http.StatusText(code.Actual))
	case errors.As(err, &code):
		return Errorf(Unreachable, "Keystone answers %d %s", code.Actual, http.StatusText(code.Actual))
	}
	var u *url.Error
	if errors.As(err, &u) {
		return &Error{Code: Unreachable, Msg: "Keystone does not answer", Err: u.Err}
	}
	return &Error{Code: Usage, Msg: "the login makes no sense", Err: err}
}

// options are those of a cloud of clouds.yaml, or of the OS_* variables, which are
// written as such a cloud so that both are read in one way.
func options(cloud string) (_ gophercloud.AuthOptions, _ gophercloud.EndpointOpts, _ *tls.Config, err error) {
	// The library follows a nil pointer where a cloud has no auth.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("cloud %q has no auth in clouds.yaml", cloud)
		}
	}()
	if cloud != "" {
		return clouds.Parse(clouds.WithCloudName(cloud))
	}
	b, err := yaml.Marshal(clouds.Clouds{Clouds: map[string]clouds.Cloud{"environment": environment()}})
	if err != nil {
		return gophercloud.AuthOptions{}, gophercloud.EndpointOpts{}, nil, err
	}
	return clouds.Parse(clouds.WithCloudName("environment"), clouds.WithCloudsYAML(bytes.NewReader(b)))
}

func environment() clouds.Cloud {
	c := clouds.Cloud{
		RegionName: os.Getenv("OS_REGION_NAME"), Interface: getenv("OS_INTERFACE", "OS_ENDPOINT_TYPE"),
		AuthInfo: &clouds.AuthInfo{
			AuthURL: os.Getenv("OS_AUTH_URL"), Username: os.Getenv("OS_USERNAME"), UserID: getenv("OS_USER_ID", "OS_USERID"), Password: os.Getenv("OS_PASSWORD"),
			ApplicationCredentialID:     os.Getenv("OS_APPLICATION_CREDENTIAL_ID"),
			ApplicationCredentialName:   os.Getenv("OS_APPLICATION_CREDENTIAL_NAME"),
			ApplicationCredentialSecret: os.Getenv("OS_APPLICATION_CREDENTIAL_SECRET"),
			ProjectID:                   getenv("OS_PROJECT_ID", "OS_TENANT_ID"), ProjectName: getenv("OS_PROJECT_NAME", "OS_TENANT_NAME"),
			UserDomainID: os.Getenv("OS_USER_DOMAIN_ID"), UserDomainName: os.Getenv("OS_USER_DOMAIN_NAME"),
			ProjectDomainID: os.Getenv("OS_PROJECT_DOMAIN_ID"), ProjectDomainName: os.Getenv("OS_PROJECT_DOMAIN_NAME"),
			DomainID: os.Getenv("OS_DOMAIN_ID"), DomainName: os.Getenv("OS_DOMAIN_NAME"),
		},
	}
	switch strings.ToLower(os.Getenv("OS_INSECURE")) {
	case "1", "true", "yes":
		verify := false
		c.Verify = &verify
	}
	return c
}

// cleanEndpoint leaves out the version that some write behind it.
func cleanEndpoint(text string) (string, error) {
	u, err := url.Parse(strings.TrimRight(text, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.User != nil {
		return "", Errorf(Usage, "the endpoint is not a URL such as http://127.0.0.1:9292")
	}
	u.Path = strings.TrimRight(strings.TrimSuffix(u.Path, "/v2"), "/")
	return u.String(), nil
}
