package config

import (
	"net/netip"
	"time"

	"glimpse/registry/image"
)

// Config is the whole file. Field comments stand in glimpse.example.yaml, which
// a test loads.
type Config struct {
	DataDir      string           `yaml:"data_dir"`
	Node         Node             `yaml:"node"`
	Listen       Listen           `yaml:"listen"`
	Limits       Limits           `yaml:"limits"`
	Log          Log              `yaml:"log"`
	Tracing      Tracing          `yaml:"tracing"`
	Auth         Auth             `yaml:"auth"`
	Registry     Registry         `yaml:"registry"`
	DefaultStore string           `yaml:"default_store"`
	Stores       map[string]Store `yaml:"stores"`
	Cache        Cache            `yaml:"cache"`
	Cluster      Cluster          `yaml:"cluster"`
	API          API              `yaml:"api"`

	// File is where the configuration came from; "" for embedded defaults.
	File string `yaml:"-"`
}

// Secret prints as "***".
type Secret = image.Secret

// Node says who this node is among others.
type Node struct {
	Name   string `yaml:"name"`
	Zone   string `yaml:"zone"`
	Weight int    `yaml:"weight"`
	Role   string `yaml:"role"` // member | client
}

// Listen is where the node answers.
type Listen struct {
	API    string    `yaml:"api"`
	Peer   string    `yaml:"peer"`
	Gossip string    `yaml:"gossip"`
	Ops    string    `yaml:"ops"` // host:port, or unix: and a path
	OpsTLS OpsTLS    `yaml:"ops_tls"`
	TLS    ListenTLS `yaml:"tls"`
}

// OpsTLS makes the operator's listener ask for client certificates.
type OpsTLS struct {
	Cert     string `yaml:"cert"`
	Key      string `yaml:"key"`
	ClientCA string `yaml:"client_ca"`
}

// ListenTLS is a second API listener.
type ListenTLS struct {
	Address  string `yaml:"address"`
	Cert     string `yaml:"cert"`
	Key      string `yaml:"key"`
	ClientCA string `yaml:"client_ca"`
}

// Limits bound what clients can hold.
type Limits struct {
	MaxConnections int           `yaml:"max_connections"`
	HeaderTimeout  time.Duration `yaml:"header_timeout"`
	StallTimeout   time.Duration `yaml:"stall_timeout"`
	MinRate        Bytes         `yaml:"min_rate"` // per second
	ShutdownDelay  time.Duration `yaml:"shutdown_delay"`
	ShutdownGrace  time.Duration `yaml:"shutdown_grace"`
}

// Log says how much and in which form.
type Log struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// Tracing is for OpenTelemetry.
type Tracing struct {
	Endpoint string `yaml:"endpoint"`
}

// Auth says who may ask.
type Auth struct {
	Mode           string         `yaml:"mode"`
	Force          bool           `yaml:"force"` // mode none beyond loopback
	TrustedHeaders TrustedHeaders `yaml:"trusted_headers"`
	Keystone       Keystone       `yaml:"keystone"`
	PolicyFile     string         `yaml:"policy_file"`
}

// TrustedHeaders names the fronts whose headers are believed.
type TrustedHeaders struct {
	From []netip.Prefix `yaml:"from"`
}

// Keystone is the identity service.
type Keystone struct {
	AuthURL                     string        `yaml:"auth_url"`
	Username                    string        `yaml:"username"`
	Password                    Secret        `yaml:"password"`
	ProjectName                 string        `yaml:"project_name"`
	UserDomainName              string        `yaml:"user_domain_name"`
	ProjectDomainName           string        `yaml:"project_domain_name"`
	ApplicationCredentialID     string        `yaml:"application_credential_id"`
	ApplicationCredentialSecret Secret        `yaml:"application_credential_secret"`
	RegionName                  string        `yaml:"region_name"`
	Interface                   string        `yaml:"interface"`
	CAFile                      string        `yaml:"cafile"`
	Insecure                    bool          `yaml:"insecure"`
	WWWAuthenticateURI          string        `yaml:"www_authenticate_uri"`
	TokenCacheTime              time.Duration `yaml:"token_cache_time"`
	ServiceTokenRoles           []string      `yaml:"service_token_roles"`
	ServiceTokenRolesRequired   bool          `yaml:"service_token_roles_required"`
	OutageGrace                 time.Duration `yaml:"outage_grace"`
}

// Registry is the database.
type Registry struct {
	URL          Secret        `yaml:"url"`
	MaxStaleness time.Duration `yaml:"max_staleness"`
	OutageGrace  time.Duration `yaml:"outage_grace"`
	MaxOpenConns int           `yaml:"max_open_conns"`
	AcceptSchema string        `yaml:"accept_schema"`
}

// Cache is the byte cache of this node.
type Cache struct {
	Disk        DiskCache   `yaml:"disk"`
	Memory      MemoryCache `yaml:"memory"`
	Verify      string      `yaml:"verify"`
	Share       string      `yaml:"share"`
	ReadAhead   int         `yaml:"read_ahead"`
	FillStreams int         `yaml:"fill_streams"`
}

// DiskCache is the disk tier.
type DiskCache struct {
	Path    string  `yaml:"path"`
	Size    Bytes   `yaml:"size"`
	MinFree Percent `yaml:"min_free"`
}

// MemoryCache is the memory tier and the working memory of all transfers.
type MemoryCache struct {
	Size Bytes `yaml:"size"`
}

// Cluster is how nodes find one another.
type Cluster struct {
	Join          []string   `yaml:"join"`
	Label         string     `yaml:"label"`
	KeyringFile   string     `yaml:"keyring_file"`
	TLS           ClusterTLS `yaml:"tls"`
	Advertise     Advertise  `yaml:"advertise"`
	Profile       string     `yaml:"profile"`
	Edge          bool       `yaml:"edge"`
	RebalanceRate Bytes      `yaml:"rebalance_rate"`
	HedgeBudget   Percent    `yaml:"hedge_budget"`
}

// ClusterTLS is the peer plane's.
type ClusterTLS struct {
	CA   string `yaml:"ca"`
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Advertise is what others are told where the listeners can't be reached as
// they are.
type Advertise struct {
	API    string `yaml:"api"`
	Peer   string `yaml:"peer"`
	Gossip string `yaml:"gossip"`
}

// API holds the options that Glance has, under Glance's names.
type API struct {
	PublicEndpoint          string   `yaml:"public_endpoint"`
	ImageSizeCap            Bytes    `yaml:"image_size_cap"`
	LimitParamDefault       int      `yaml:"limit_param_default"`
	APILimitMax             int      `yaml:"api_limit_max"`
	ShowMultipleLocations   bool     `yaml:"show_multiple_locations"`
	ShowImageDirectURL      bool     `yaml:"show_image_direct_url"`
	ImageMemberQuota        int      `yaml:"image_member_quota"`
	ImagePropertyQuota      int      `yaml:"image_property_quota"`
	ImageTagQuota           int      `yaml:"image_tag_quota"`
	ImageLocationQuota      int      `yaml:"image_location_quota"`
	HashingAlgorithm        string   `yaml:"hashing_algorithm"`
	RequireImageFormatMatch bool     `yaml:"require_image_format_match"`
	DiskFormats             []string `yaml:"disk_formats"`
	ContainerFormats        []string `yaml:"container_formats"`
	MetadataEncryptionKey   Secret   `yaml:"metadata_encryption_key"`
	OnDeactivate            string   `yaml:"on_deactivate"`
	SingleStore             bool     `yaml:"single_store"`
	EnabledImportMethods    []string `yaml:"enabled_import_methods"`
}

// Default is what a node runs on without any file: SQLite, one file store, the
// cache under ./glimpse-data, loopback only.
func Default() Config {
	l := image.DefaultLimits()
	return Config{
		DataDir: "./glimpse-data",
		Node:    Node{Role: "member"},
		Listen:  Listen{API: "127.0.0.1:9292", Peer: "127.0.0.1:9293", Gossip: "127.0.0.1:7946", Ops: "127.0.0.1:9294"},
		Limits: Limits{
			MaxConnections: 20000, HeaderTimeout: 10 * time.Second, StallTimeout: 30 * time.Second,
			MinRate: 1 << 10, ShutdownGrace: 30 * time.Minute,
		},
		Log: Log{Level: "info", Format: "text"},
		Auth: Auth{
			Mode:           "none",
			TrustedHeaders: TrustedHeaders{From: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
			Keystone: Keystone{
				AuthURL: "http://127.0.0.1:5000/v3", Username: "glance", ProjectName: "service",
				UserDomainName: "Default", ProjectDomainName: "Default", Interface: "internal",
				TokenCacheTime: 300 * time.Second, ServiceTokenRoles: []string{"service"},
				ServiceTokenRolesRequired: true, OutageGrace: 5 * time.Minute,
			},
			PolicyFile: "policy.yaml",
		},
		Registry:     Registry{URL: "sqlite:registry.db", MaxStaleness: time.Second, OutageGrace: 5 * time.Minute, MaxOpenConns: 8},
		DefaultStore: "main",
		Stores:       map[string]Store{"main": {"type": "file", "path": "images"}},
		Cache: Cache{
			Disk: DiskCache{Path: "cache", Size: 10 << 30, MinFree: 0.05}, Memory: MemoryCache{Size: 512 << 20},
			Verify: "always", Share: "verified", ReadAhead: 8, FillStreams: 4,
		},
		Cluster: Cluster{Profile: "lan", RebalanceRate: 50 << 20, HedgeBudget: 0.05},
		API: API{
			ImageSizeCap: Bytes(l.SizeCap), LimitParamDefault: 25, APILimitMax: 1000,
			ImageMemberQuota: l.Members, ImagePropertyQuota: l.Properties, ImageTagQuota: l.Tags, ImageLocationQuota: l.Locations,
			HashingAlgorithm: "sha512", RequireImageFormatMatch: true,
			DiskFormats: l.DiskFormats, ContainerFormats: l.ContainerFormats, OnDeactivate: "finish",
		},
	}
}

// ImageLimits are the limits of the domain that the file sets.
func (a API) ImageLimits() image.Limits {
	return image.Limits{
		Properties: a.ImagePropertyQuota, Tags: a.ImageTagQuota, Members: a.ImageMemberQuota,
		Locations: a.ImageLocationQuota, SizeCap: int64(a.ImageSizeCap),
		DiskFormats: a.DiskFormats, ContainerFormats: a.ContainerFormats,
	}
}
