package open

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"glimpse/backends"
	"glimpse/backends/swift"
)

// Swift holds the keys of type swift: Glance's options without swift_store_ before
// their names.
type Swift struct {
	AuthURL           string          `yaml:"auth_url"`
	AuthAddress       string          `yaml:"auth_address"`
	AuthVersion       int             `yaml:"auth_version"`
	User              string          `yaml:"user"`
	Key               backends.Secret `yaml:"key"`
	UserDomainID      string          `yaml:"user_domain_id"`
	UserDomainName    string          `yaml:"user_domain_name"`
	ProjectDomainID   string          `yaml:"project_domain_id"`
	ProjectDomainName string          `yaml:"project_domain_name"`
	AppID             string          `yaml:"application_credential_id"`
	AppSecret         backends.Secret `yaml:"application_credential_secret"`
	ConfigFile        string          `yaml:"config_file"`
	Reference         string          `yaml:"default_swift_reference"`
	OtherAuthURLs     []string        `yaml:"other_auth_urls"`

	Container       string   `yaml:"container"`
	Seed            int      `yaml:"multiple_containers_seed"`
	CreateContainer bool     `yaml:"create_container_on_put"`
	MultiTenant     bool     `yaml:"multi_tenant"`
	AdminTenants    []string `yaml:"admin_tenants"`
	ConditionalPut  bool     `yaml:"conditional_put"`

	Region       string `yaml:"region"`
	Endpoint     string `yaml:"endpoint"`
	EndpointType string `yaml:"endpoint_type"`
	ServiceType  string `yaml:"service_type"`
	CACert       string `yaml:"cacert"`
	AuthInsecure bool   `yaml:"auth_insecure"`

	LargeObjectSize      megabytes `yaml:"large_object_size"`
	LargeObjectChunkSize megabytes `yaml:"large_object_chunk_size"`
	ExpireSoonInterval   int64     `yaml:"expire_soon_interval"`

	// Glance's that mean nothing here.
	RetryGetCount *int `yaml:"retry_get_count"`
}

// newSwift returns the defaults.
func newSwift() *Swift {
	return &Swift{
		AuthVersion: 3, Reference: "ref1", Container: "glance", ConditionalPut: true, EndpointType: "publicURL", ServiceType: "object-store",
		LargeObjectSize: 1 << 20, LargeObjectChunkSize: 64 << 20, ExpireSoonInterval: 60,
	}
}

// megabytes is a size. A bare number is one of Glance's megabytes of 1,024,000 bytes.
type megabytes int64

// UnmarshalText reads 64MiB, or 200 as Glance does.
func (m *megabytes) UnmarshalText(text []byte) error {
	if n, err := strconv.ParseUint(string(text), 10, 32); err == nil {
		*m = megabytes(n * 1000 * 1024)
		return nil
	}
	return (*Size)(m).UnmarshalText(text)
}

// Resolve finds files beside the configuration, and refuses what this version
// does not do.
func (s *Swift) Resolve(d Dirs) error {
	s.CACert, s.ConfigFile = Under(d.Config, s.CACert), Under(d.Config, s.ConfigFile)
	if s.AuthURL == "" {
		s.AuthURL = s.AuthAddress
	}
	switch {
	case s.RetryGetCount != nil:
		return errors.New("retry_get_count: the key retries does this, for every type of store")
	case len(s.AdminTenants) > 0 && !s.MultiTenant:
		return errors.New("admin_tenants is for stores with multi_tenant")
	case s.MultiTenant && s.Seed != 0:
		return errors.New("multi_tenant and multiple_containers_seed exclude one another")
	case s.ServiceType != "object-store" && s.Endpoint == "":
		return errors.New("service_type: another one than object-store needs the key endpoint")
	case s.ConfigFile != "" && s.MultiTenant:
		return errors.New("multi_tenant and config_file exclude one another")
	}
	return nil
}

// Open makes the store.
func (s *Swift) Open(_ context.Context, _ string, c Common) (backends.Store, error) {
	if s.MultiTenant && !c.ReadOnly && (s.AuthVersion != 3 || !s.CreateContainer) {
		return nil, errors.New("multi_tenant: a store that is written to needs auth_version: 3, as users' accounts are found in Keystone's catalog, and create_container_on_put: true, as each image has a container of its own; or read_only: true")
	}
	accounts, err := s.accounts()
	if err != nil {
		return nil, err
	}
	tries := 3
	if c.Retries != nil {
		tries = *c.Retries
	}
	cfg := swift.Config{
		Accounts: accounts, Reference: s.Reference, HideCredentials: s.ConfigFile != "", OtherAuthURLs: s.OtherAuthURLs,
		Container: s.Container, Seed: s.Seed, CreateContainer: s.CreateContainer, AdminTenants: s.AdminTenants,
		Region: s.Region, Endpoint: s.Endpoint, EndpointType: strings.TrimSuffix(s.EndpointType, "URL"), CAFile: s.CACert, Insecure: s.AuthInsecure,
		PartSize: c.part(Size(s.LargeObjectChunkSize), 1), Small: int64(s.LargeObjectSize), NoReplace: s.ConditionalPut,
		ExpireSoon: time.Duration(s.ExpireSoonInterval) * time.Second, Timeout: c.Timeout, Tries: tries,
	}
	if s.MultiTenant {
		return swift.OpenTenants(cfg)
	}
	return swift.Open(cfg)
}

// Owns tells the objects of its containers.
func (s *Swift) Owns() func(backends.Locator) bool {
	accounts, err := s.accounts()
	if err != nil {
		return nil // the store can't be opened either
	}
	return swift.Config{Accounts: accounts, Container: s.Container, Seed: s.Seed, MultiTenant: s.MultiTenant}.Owns
}

func (s *Swift) accounts() (map[string]swift.Credentials, error) {
	if s.ConfigFile != "" {
		all, err := swift.References(s.ConfigFile, s.AuthVersion)
		if err != nil {
			return nil, fmt.Errorf("config_file: %w", err)
		}
		return all, nil
	}
	c := swift.Credentials{
		AuthURL: s.AuthURL, Version: s.AuthVersion, User: s.User, Key: s.Key, AppID: s.AppID, AppSecret: s.AppSecret,
		UserDomainID: s.UserDomainID, UserDomainName: s.UserDomainName, ProjectDomainID: s.ProjectDomainID, ProjectDomainName: s.ProjectDomainName,
	}
	c.Domains()
	return map[string]swift.Credentials{s.Reference: c}, nil
}

// Properties are Glance's of a Swift store.
func (s *Swift) Properties() map[string]any {
	return map[string]any{"container": s.Container, "large_object_size": int64(s.LargeObjectSize), "large_object_chunk_size": int64(s.LargeObjectChunkSize)}
}
