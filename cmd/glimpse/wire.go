package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"glimpse/backends"
	"glimpse/backends/open"
	"glimpse/cachestore"
	"glimpse/cachestore/chunk"
	"glimpse/cachestore/disk"
	"glimpse/cachestore/vfs"
	"glimpse/cluster/replicator"
	"glimpse/cmd/glimpse/config"
	"glimpse/proxy"
	"glimpse/proxy/identity"
	"glimpse/proxy/ops"
	"glimpse/proxy/policy"
	"glimpse/registry"
	"glimpse/registry/sqlstore"

	"github.com/gofrs/flock"
	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"
)

// build makes a node, top to bottom. What it has opened is closed again when a
// later step fails.
func build(ctx context.Context, c config.Config, log *slog.Logger) (_ *node, err error) {
	n := &node{config: c, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close(ctx))
		}
	}()
	if err := limitMemory(c.Cache.Memory.Size); err != nil {
		return nil, err
	}
	id, err := nodeID(c.DataDir)
	if err != nil {
		return nil, err
	}
	if err := n.lock(); err != nil {
		return nil, err
	}
	metrics := newMetrics(prometheus.NewRegistry())

	db, err := openDB(ctx, c, log, metrics.observeQuery)
	if err != nil {
		return nil, err
	}
	n.onClose(func(context.Context) error { return db.Close() })
	if err := db.Sync(ctx); err != nil {
		return nil, err
	}
	cluster, err := clusterConstants(ctx, db)
	if err != nil {
		return nil, err
	}
	if err := checkShared(ctx, c, db); err != nil {
		return nil, err
	}
	n.cluster = newCluster(c, db)
	leases := registry.NewLeases(db, registry.LeasesConfig{
		Cluster:      n.cluster.leases(id, c, log),
		MaxStaleness: c.Registry.MaxStaleness, OutageGrace: c.Registry.OutageGrace, OnStale: metrics.observeStale,
	})
	n.onClose(func(context.Context) error { leases.Close(); return nil })
	writes := leases.Writes(db) // what is written here is not read from before

	stores, err := openStores(ctx, n, cluster.geometry, metrics)
	if err != nil {
		return nil, err
	}
	front := &cacheFront{}
	svc, err := ops.New(ops.Config{
		Registry: writes, Images: leases, Stores: stores, DefaultStore: c.DefaultStore, SingleStore: c.API.SingleStore, Cache: front,
		Secret: cluster.secret, Share: c.Cache.Share, Geometry: cluster.geometry, Limits: c.API.ImageLimits(),
		HashAlgo: c.API.HashingAlgorithm, RequireFormatMatch: c.API.RequireImageFormatMatch, NodeID: id, Log: log,
		Steward: n.cluster.steward(), Clustered: c.Clustered(), Near: near(c), Uploaded: n.cluster.uploaded,
	})
	if err != nil {
		return nil, err
	}
	cache, err := openCache(ctx, c, cluster.geometry, svc, log)
	if err != nil {
		return nil, errors.Join(err, svc.Close(ctx))
	}
	if err = n.cluster.prepare(ctx, n, id, cluster.geometry, svc, leases); err != nil {
		return nil, errors.Join(err, cache.Close(ctx), svc.Close(ctx))
	}
	front.bind(cache, svc, n.cluster, replicator.Config{Geometry: cluster.geometry, Here: here(svc), Log: log})
	n.onClose(cache.Close)
	n.onClose(svc.Close)
	metrics.watch(cache, svc)
	metrics.watchCluster(n.cluster)
	if err := svc.CheckParts(); err != nil {
		return nil, err
	}

	auth, err := openAuth(ctx, c, log)
	if err != nil {
		return nil, err
	}
	n.onClose(func(context.Context) error { return auth.Close() })
	rules, err := openPolicy(c.Auth.PolicyFile)
	if err != nil {
		return nil, err
	}
	if n.proxy, err = proxy.New(proxyConfig(n, id, leases, writes, svc, auth, rules, metrics)); err != nil {
		return nil, err
	}
	n.reaper = &registry.Reaper{Uploads: writes, Deleter: svc, Log: log, Nodes: db, Reach: svc.Reach()}
	n.sweep = func(ctx context.Context) (registry.Report, error) { return svc.Sweep(ctx, ops.SweepIdle) }
	n.ready = db.Ping
	if n.ops, err = newOpsServer(ctx, c, metrics.reg, n.readiness, n.cluster); err != nil {
		return nil, err
	}
	n.onClose(func(context.Context) error { return n.ops.close() })
	if err := n.listen(ctx); err != nil {
		return nil, err
	}
	if err = n.cluster.gossip(n, id); err == nil && c.Node.Role != "client" {
		svc.StartHashing() // which may ask other nodes
	}
	return n, err
}

// lock keeps a second node away from the same data folder.
func (n *node) lock() error {
	l := flock.New(filepath.Join(n.config.DataDir, "lock"))
	ok, err := l.TryLock()
	if err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	if !ok {
		return fmt.Errorf("data_dir %s: another node is running on it", n.config.DataDir)
	}
	n.onClose(func(context.Context) error { return l.Unlock() })
	return nil
}

func openDB(ctx context.Context, c config.Config, log *slog.Logger, observe func(string, time.Duration)) (*sqlstore.DB, error) {
	if path, ok := strings.CutPrefix(c.Registry.URL.Reveal(), "sqlite:"); ok {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return nil, fmt.Errorf("registry: %w", err)
		}
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return sqlstore.Open(ctx, sqlstore.Config{
		URL: c.Registry.URL.Reveal(), MaxOpenConns: c.Registry.MaxOpenConns, AcceptSchema: c.Registry.AcceptSchema,
		EncryptionKey: c.API.MetadataEncryptionKey.Reveal(), Log: log, Observe: observe,
	})
}

// constants are what all nodes of a cluster share for ever.
type constants struct {
	secret   []byte
	geometry chunk.Geometry
}

// clusterConstants reads them from SQL; the first node that asks makes them.
func clusterConstants(ctx context.Context, s registry.Settings) (constants, error) {
	made := make([]byte, 32)
	if _, err := rand.Read(made); err != nil {
		return constants{}, err
	}
	text, err := s.Setting(ctx, "secret", hex.EncodeToString(made))
	if err != nil {
		return constants{}, err
	}
	secret, err := hex.DecodeString(text)
	if err != nil {
		return constants{}, errors.New("registry: the cluster secret is damaged")
	}
	size, err := number(ctx, s, "chunk_size", chunk.Default.Chunk)
	if err != nil {
		return constants{}, err
	}
	extent, err := number(ctx, s, "extent_chunks", int64(chunk.Default.Extent))
	return constants{secret, chunk.Geometry{Chunk: size, Extent: int(extent)}}, err
}

func number(ctx context.Context, s registry.Settings, name string, first int64) (int64, error) {
	text, err := s.Setting(ctx, name, strconv.FormatInt(first, 10))
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v <= 0 {
		return 0, fmt.Errorf("registry: setting %s is damaged", name)
	}
	return v, nil
}

func openStores(ctx context.Context, n *node, g chunk.Geometry, m *metrics) ([]ops.Store, error) {
	var stores []ops.Store
	for _, id := range slices.Sorted(maps.Keys(n.config.Stores)) {
		keys := n.config.Stores[id]
		oc, err := open.Decode(id, keys, open.Dirs{Data: n.config.DataDir, Config: n.config.Beside()})
		if err != nil {
			return nil, err
		}
		oc.Away, oc.Chunk = m.observeAway(id, n.log), g.Chunk
		b, err := open.Open(ctx, id, oc)
		if err != nil {
			return nil, err
		}
		n.onClose(func(context.Context) error { return b.Close() })
		stores = append(stores, ops.Store{
			ID: id, Type: oc.Type, Description: oc.Description, Weight: oc.Weight, ReadOnly: oc.ReadOnly || b.Caps().ReadOnly,
			MemoryOnly: oc.Cache == "off" || oc.Cache != "on" && uncached(n.config, oc), Unshared: oc.Unshared(), Off: oc.Cache == "off", Zone: oc.Zone,
			Schemes: open.Schemes(oc.Type), Properties: oc.Driver.Properties(), Backend: backends.Observe(b, m.observeStore(id)),
			Owns: oc.Owns(), Metadata: oc.Metadata(),
		})
	}
	return stores, nil
}

// near says whose origins a node reads: those of its zone, and those of no zone
// unless it is at the edge.
func near(c config.Config) func(zone string) bool {
	if !c.Clustered() {
		return nil
	}
	return func(zone string) bool { return zone == c.Node.Zone && zone != "" || zone == "" && !c.Cluster.Edge }
}

// uncached says that a store's images are not worth room on disk unless its
// configuration asks for it: they lie here already, or hosts clone them in Ceph.
func uncached(c config.Config, oc open.Config) bool {
	return oc.Unshared() || oc.Type == "rbd" && c.API.ShowImageDirectURL
}

func openCache(ctx context.Context, c config.Config, g chunk.Geometry, svc *ops.Service, log *slog.Logger) (*cachestore.Store, error) {
	return cachestore.Open(ctx, cachestore.Config{
		Geometry: g, Memory: int64(c.Cache.Memory.Size),
		Disk: disk.Config{
			Path: c.Cache.Disk.Path, Size: int64(c.Cache.Disk.Size), MinFree: float64(c.Cache.Disk.MinFree),
			FS: vfs.OS{}, Log: log, Geometry: g,
		},
		VerifyOnce: c.Cache.Verify == "once", ReadAhead: c.Cache.ReadAhead, FillStreams: c.Cache.FillStreams,
		Manifests: svc, Filled: svc.Filled, Log: log,
	})
}

// cacheFront is the cache as ops sees it: the client level for reads, the store
// for the rest. It breaks the circle of two that need each other: bind is called
// before the first request.
type cacheFront struct {
	*cachestore.Store
	client *cachestore.Level
}

func (f *cacheFront) bind(s *cachestore.Store, origin chunk.Source, cl *clusterNode, moving replicator.Config) {
	if cl != nil {
		f.Store, f.client = s, cl.levels(s, moving)
		return
	}
	home := s.Level("home", origin)
	zone := s.Level("zone", home)
	f.Store, f.client = s, s.Level("client", zone)
}

func (f *cacheFront) Open(ctx context.Context, o chunk.Object, off, n int64) (chunk.Body, error) {
	return f.client.Open(ctx, o, off, n)
}

func openAuth(ctx context.Context, c config.Config, log *slog.Logger) (identity.Authenticator, error) {
	switch c.Auth.Mode {
	case "keystone":
		return identity.Keystone(ctx, keystoneConfig(c.Auth.Keystone, log))
	case "trusted-headers":
		return identity.TrustedHeaders(c.Auth.TrustedHeaders.From), nil
	}
	return identity.None(), nil
}

// openPolicy reads the rules that override the defaults; the file may be
// missing.
func openPolicy(file string) (*policy.Engine, error) {
	var overrides map[string]string
	b, err := os.ReadFile(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("auth.policy_file: %w", err)
	default:
		if err := yaml.Unmarshal(b, &overrides); err != nil {
			return nil, fmt.Errorf("auth.policy_file %s: %w", file, err)
		}
	}
	e, err := policy.New(policy.Defaults(), overrides)
	if err != nil {
		return nil, fmt.Errorf("auth.policy_file %s: %w", file, err)
	}
	return e, nil
}

func (n *node) listen(ctx context.Context) (err error) {
	var lc net.ListenConfig
	if n.api, err = lc.Listen(ctx, "tcp", n.config.Listen.API); err != nil {
		return fmt.Errorf("listen.api: %w", err)
	}
	n.onClose(func(context.Context) error { return ignoreClosed(n.api.Close()) })
	if addr := n.config.Listen.TLS.Address; addr != "" {
		if n.tls, err = listenTLS(n.config.Listen.TLS); err != nil {
			return fmt.Errorf("listen.tls: %w", err)
		}
		n.onClose(func(context.Context) error { return ignoreClosed(n.tls.Close()) })
	}
	return nil
}
