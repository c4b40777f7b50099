package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var storeID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// validate refuses what can't run, all findings at once.
func (c *Config) validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: "+format, append([]any{key}, args...)...))
	}
	oneOf := func(key, v string, of ...string) {
		if !slices.Contains(of, v) {
			bad(key, "%q is not one of %s", v, strings.Join(of, ", "))
		}
	}
	oneOf("node.role", c.Node.Role, "member", "client")
	oneOf("log.format", c.Log.Format, "text", "json")
	oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	oneOf("auth.mode", c.Auth.Mode, "none", "trusted-headers", "keystone")
	oneOf("cache.verify", c.Cache.Verify, "always", "once")
	oneOf("cache.share", c.Cache.Share, "verified", "project", "off")
	oneOf("cluster.profile", c.Cluster.Profile, "lan", "wan")
	oneOf("api.hashing_algorithm", c.API.HashingAlgorithm, "sha256", "sha512")
	oneOf("api.on_deactivate", c.API.OnDeactivate, "finish", "cut")
	c.validateListen(bad)
	c.validateStores(bad)
	c.validateCluster(bad)
	c.validateLater(bad)
	for key, n := range map[string]int64{
		"limits.max_connections": int64(c.Limits.MaxConnections), "registry.max_open_conns": int64(c.Registry.MaxOpenConns),
		"limits.header_timeout": int64(c.Limits.HeaderTimeout), "limits.stall_timeout": int64(c.Limits.StallTimeout),
		"limits.shutdown_grace": int64(c.Limits.ShutdownGrace), "cache.fill_streams": int64(c.Cache.FillStreams),
		"api.limit_param_default": int64(c.API.LimitParamDefault), "api.api_limit_max": int64(c.API.APILimitMax),
		"api.image_size_cap": int64(c.API.ImageSizeCap),
	} {
		if n <= 0 {
			bad(key, "must be more than 0")
		}
	}
	if n := len(c.API.MetadataEncryptionKey); n != 0 && n != 16 && n != 24 && n != 32 {
		bad("api.metadata_encryption_key", "has %d bytes, it must have 16, 24 or 32", n)
	}
	if c.Limits.ShutdownDelay < 0 {
		bad("limits.shutdown_delay", "must not be negative")
	}
	if c.Cache.ReadAhead < 0 {
		bad("cache.read_ahead", "must not be negative")
	}
	if _, ok := cutSQLite(c.Registry.URL.Reveal()); !ok && !strings.HasPrefix(c.Registry.URL.Reveal(), "mysql://") {
		bad("registry.url", "must begin with sqlite: or mysql://")
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

func cutSQLite(u string) (path string, ok bool) { return strings.CutPrefix(u, "sqlite:") }

func (c *Config) validateListen(bad func(key, format string, args ...any)) {
	if _, _, err := net.SplitHostPort(c.Listen.API); err != nil {
		bad("listen.api", "want host:port")
	}
	c.validateOps(bad)
	if c.Auth.Mode == "none" && !c.Auth.Force && (!Loopback(c.Listen.API) || c.Listen.TLS.Address != "" && !Loopback(c.Listen.TLS.Address)) {
		bad("auth.mode", "none makes every caller an admin and is for loopback only; auth.force: true overrides this")
	}
	if t := c.Listen.TLS; t.Address != "" && (t.Cert == "" || t.Key == "") {
		bad("listen.tls", "address needs cert and key")
	}
	if e := c.API.PublicEndpoint; e != "" {
		if u, err := url.Parse(e); err != nil || u.Host == "" {
			bad("api.public_endpoint", "not a URL")
		}
	}
}

// validateOps refuses an operator API that anybody could reach.
func (c *Config) validateOps(bad func(key, format string, args ...any)) {
	t := c.Listen.OpsTLS
	all := t.Cert != "" && t.Key != "" && t.ClientCA != ""
	if some := t.Cert != "" || t.Key != "" || t.ClientCA != ""; some && !all {
		bad("listen.ops_tls", "needs cert, key and client_ca")
	}
	if path, ok := c.OpsSocket(); ok {
		if path == "" || all {
			bad("listen.ops", "unix: is followed by a path, and the file's mode says who may: without ops_tls")
		}
		return
	}
	if _, _, err := net.SplitHostPort(c.Listen.Ops); err != nil {
		bad("listen.ops", "want host:port, or unix: and a path")
	} else if !Loopback(c.Listen.Ops) && !all {
		bad("listen.ops", "beyond loopback it needs client certificates: listen.ops_tls with cert, key and client_ca")
	}
}

const unixPrefix = "unix:"

// OpsSocket is the path of the operator's listener where that is a unix socket.
func (c *Config) OpsSocket() (path string, ok bool) {
	return strings.CutPrefix(c.Listen.Ops, unixPrefix)
}

func (c *Config) validateStores(bad func(key, format string, args ...any)) {
	if _, ok := c.Stores[c.DefaultStore]; !ok {
		bad("default_store", "there is no store %q", c.DefaultStore)
	}
	for id := range c.Stores {
		if !storeID.MatchString(id) || strings.HasPrefix(id, "os_glance_") {
			bad("stores."+id, "not a store id: letters, digits, - and _, not beginning with os_glance_")
		}
	}
	if c.API.SingleStore && len(c.Stores) != 1 {
		bad("api.single_store", "needs exactly one store")
	}
}

// validateCluster refuses a cluster that others could join or read along, and
// what can't be one.
func (c *Config) validateCluster(bad func(key, format string, args ...any)) {
	t := c.Cluster.TLS
	if some := t.CA != "" || t.Cert != "" || t.Key != ""; some && (t.CA == "" || t.Cert == "" || t.Key == "") {
		bad("cluster.tls", "needs ca, cert and key; glimpse cluster init and glimpse cluster cert make them")
	}
	if !c.Clustered() {
		if len(c.Cluster.Join) > 0 || c.Node.Role == "client" {
			bad("cluster.label", "a node of a cluster needs the cluster's name")
		}
		return
	}
	if c.Cluster.Edge && (c.Node.Zone == "" || len(c.Cluster.Label)+1+len(c.Node.Zone) > 64) {
		bad("node.zone", "an edge zone needs a name, which has at most 64 bytes together with the label")
	}
	for key, addr := range map[string]string{"listen.peer": c.Listen.Peer, "listen.gossip": c.Listen.Gossip} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			bad(key, "want host:port")
		}
	}
	if !Loopback(c.Listen.Peer) && t.CA == "" {
		bad("listen.peer", "beyond loopback the nodes need cluster.tls")
	}
	if !Loopback(c.Listen.Gossip) && c.Cluster.KeyringFile == "" {
		bad("listen.gossip", "beyond loopback the nodes need cluster.keyring_file")
	}
	for id, keys := range c.Stores {
		if keys["type"] == "file" && fmt.Sprint(keys["shared"]) != "true" && c.Node.Role == "client" {
			bad("stores."+id, "what a client node has in a folder of its own no other node can read: shared: true says that all nodes have it")
		}
	}
	if _, ok := cutSQLite(c.Registry.URL.Reveal()); ok {
		bad("registry.url", "the nodes of a cluster share a MySQL or MariaDB; SQLite is for one node")
	}
}

// Clustered says whether the node is one of a cluster: it has been told which.
func (c *Config) Clustered() bool { return c.Cluster.Label != "" }

// validateLater refuses what this version does not do, so that no one relies on
// it.
func (c *Config) validateLater(bad func(key, format string, args ...any)) {
	if len(c.API.EnabledImportMethods) > 0 {
		bad("api.enabled_import_methods", "this version has no image import")
	}
	if c.API.OnDeactivate == "cut" {
		bad("api.on_deactivate", "this version lets running downloads finish")
	}
	if c.Tracing.Endpoint != "" {
		bad("tracing.endpoint", "this version sends no traces")
	}
}

// Loopback says whether a host:port can be reached from this machine only.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
