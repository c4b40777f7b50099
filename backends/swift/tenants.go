package swift

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"glimpse/backends"
)

// Tenants is a Store that writes each image to the account of whoever uploads it,
// in a container of its own: <container>_<key>/<key>, as Glance's multi-tenant
// store does. The upload is made with the user's token; everything else, and the
// rest of an upload whose token ends, by the store's user, which needs Swift's
// reseller_admin_role for that. What is made on nobody's behalf goes to the store's
// own account, and only there does Pending look.
type Tenants struct{ *Store }

var _ backends.Tenants = Tenants{}

// OpenTenants is Open for a store of users' accounts. The login is Keystone's.
func OpenTenants(c Config) (Tenants, error) {
	c.MultiTenant, c.Seed = true, 0
	s, err := Open(c)
	return Tenants{s}, err
}

// CreateFor prepares an object in the account that the token's catalog names. It
// must be on the server of the store's own: there only go its credentials.
func (s Tenants) CreateFor(ctx context.Context, token backends.Secret, key string, size int64) (backends.Writer, error) {
	storage, err := s.storageOf(ctx, token)
	if err != nil {
		return nil, err
	}
	p, err := s.at(ctx, key)
	if err != nil {
		return nil, err
	}
	if !sameHost(storage, p.storage) {
		return nil, errors.New("swift: the catalog of the user names another server than that of the store's own user")
	}
	p.storage, p.token = storage, token
	return s.create(ctx, p, size)
}

// storageOf asks Keystone for the catalog of a token.
func (s Tenants) storageOf(ctx context.Context, token backends.Secret) (string, error) {
	if s.c.Endpoint != "" {
		return strings.TrimRight(s.c.Endpoint, "/"), nil
	}
	ctx, cancel := s.limited(ctx)
	defer cancel()
	keystone := grant{token: token.Reveal(), storage: trim(s.c.Accounts[s.c.Reference].AuthURL) + "/auth"}
	resp, err := s.sendWith(ctx, keystone, call{method: http.MethodGet, container: "catalog"})
	if err != nil {
		return "", err
	}
	defer discard(resp)
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the catalog of the user: %w", statusError(resp))
	}
	var answer struct {
		Catalog []struct {
			Type      string
			Endpoints []struct{ Interface, Region, URL string }
		}
	}
	if err := decode(ctx, resp, maxLogin, &answer); err != nil {
		return "", err
	}
	for _, service := range answer.Catalog {
		if service.Type != "object-store" {
			continue
		}
		for _, e := range service.Endpoints {
			if e.Interface == s.c.EndpointType && (s.c.Region == "" || e.Region == s.c.Region) {
				return storageURL(e.URL)
			}
		}
	}
	return "", errors.New("swift: the catalog of the user has no object store for this region and endpoint type")
}

// storageURL checks what a catalog names.
func storageURL(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("swift: the catalog names no storage URL")
	}
	return strings.TrimRight(text, "/"), nil
}

// Share sets the access lists of the image's container as Glance does.
func (s Tenants) Share(ctx context.Context, at backends.Locator, everybody bool, projects []string) error {
	p, err := s.find(at)
	if err != nil || p.storage == "" {
		return err
	}
	read := acl(projects)
	if everybody {
		read = "*:*"
	}
	_, err = s.again(ctx, p, call{method: http.MethodPost, container: p.container, header: map[string]string{
		headerRead: read, headerWrite: acl(s.c.AdminTenants),
	}})
	return err
}

const (
	headerRead  = "X-Container-Read"
	headerWrite = "X-Container-Write"
)

func acl(projects []string) string {
	var list []string
	for _, p := range projects {
		if named(p) && !strings.ContainsAny(p, ",:*") {
			list = append(list, p+":*")
		}
	}
	return strings.Join(list, ",")
}

// dropContainer removes an image's own container, where nothing is left in it.
func (s *Store) dropContainer(ctx context.Context, p place) error {
	if !s.c.MultiTenant || p.storage == "" {
		return nil
	}
	_, err := s.again(ctx, p, call{method: http.MethodDelete, container: p.container})
	if errors.Is(err, backends.ErrNotFound) || errors.Is(err, errConflict) {
		return nil
	}
	return err
}

// tenantsOwn fills in the storage URL of the store's own user, which locators need.
func (s *Store) tenantsOwn(ctx context.Context, p *place) error {
	if !s.c.MultiTenant {
		return nil
	}
	g, err := p.account.grant(ctx)
	p.storage = g.storage
	return err
}
