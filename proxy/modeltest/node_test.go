package modeltest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"glimpse/backends"
	"glimpse/backends/file"
	"glimpse/backends/mem"
	"glimpse/cachestore"
	"glimpse/cachestore/chunk"
	"glimpse/cachestore/disk"
	"glimpse/cachestore/vfs"
	"glimpse/cachestore/vfs/faultfs"
	"glimpse/proxy/ops"
	"glimpse/registry"
	"glimpse/registry/image"
	"glimpse/registry/memstore"
	"glimpse/registry/sqlstore"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// failer is what a test and one try of rapid have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
}

func must(t failer, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
}

// options are one way to run a node.
type options struct {
	SQL, File   bool  // SQLite instead of memory; a folder instead of memory
	Chunk       int64 // bytes
	Slabs       int
	Disk        int64 // bytes; 0: no disk tier
	DiskIsSmall bool  // the file system is as small as the tier wants to be
	MemoryOnly  bool
	Once        bool // cache.verify
	Share       string
	ReadAhead   int
	Streams     int
	Staleness   time.Duration
}

var usual = options{Chunk: 4 << 10, Slabs: 8, Disk: 1 << 20, Share: "verified", ReadAhead: 2, Streams: 2, Staleness: time.Hour}

const lease = time.Minute

// node is the parts of a node over things that outlive it.
type node struct {
	t failer
	o options
	f *faults

	// These outlive a crash.
	dir   string
	reg   registry.Registry // without faults
	store backends.Store    // without faults
	power *vfs.Mem
	disk  *faultfs.FS

	leases *registry.Leases
	writes registry.Registry
	svc    *ops.Service
	cache  *cachestore.Store
	client *cachestore.Level
	reaper *registry.Reaper

	learned, evicted, diskFaults int      // of nodes that were stopped
	foreign                      sync.Map // of backends.Locator: written past the node
}

// newNode makes a first node in a folder of its own.
func newNode(t failer, dir string, o options) *node {
	n := &node{t: t, o: o, f: newFaults(), dir: dir, reg: memstore.New(lease), store: mem.New("m")}
	if o.SQL {
		must(t, freshSQLite(n.db()))
		n.openSQL()
	}
	if o.File {
		s, err := file.Open(file.Config{Paths: []file.Path{{Path: n.images()}}})
		must(t, err)
		n.store = s
	}
	size := int64(0)
	if o.DiskIsSmall {
		size = o.Disk
	}
	n.power = vfs.NewMem(size)
	n.start()
	return n
}

func (n *node) db() string     { return filepath.Join(n.dir, "registry.db") }
func (n *node) images() string { return filepath.Join(n.dir, "images") }

func (n *node) openSQL() {
	db, err := sqlstore.Open(context.Background(), sqlstore.Config{URL: "sqlite:" + n.db(), UploadLease: lease, MaxOpenConns: 4})
	must(n.t, err)
	n.reg = db
}

// template is an empty database, made once: to make one takes longer than to
// copy it.
var template = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "modeltest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "db")
	db, err := sqlstore.Open(context.Background(), sqlstore.Config{URL: "sqlite:" + path})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(db.Sync(context.Background()), db.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func freshSQLite(path string) error {
	b, err := template()
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600)
}

// start builds the node as cmd/glimpse does.
func (n *node) start() {
	n.t.Helper()
	reached := lossy{n.reg, n.f}
	n.leases = registry.NewLeases(reached, registry.LeasesConfig{MaxStaleness: n.o.Staleness})
	n.writes = n.leases.Writes(reached)
	g := chunk.Geometry{Chunk: n.o.Chunk, Extent: 2}
	kind := "mem"
	if n.o.File {
		kind = "file"
	}
	origin := sick{n.store, n.f, func(at backends.Locator) bool { _, ok := n.foreign.Load(at); return ok }}
	svc, err := ops.New(ops.Config{
		Registry: n.writes, Images: n.leases, Stores: []ops.Store{{ID: "main", Type: kind, MemoryOnly: n.o.MemoryOnly, Unshared: n.o.File, Backend: origin}},
		DefaultStore: "main", Cache: n, Secret: []byte("secret"), Share: n.o.Share, Geometry: g, Limits: image.DefaultLimits(),
		HashAlgo: "sha512", RequireFormatMatch: true, NodeID: "n1", LeaseRenew: time.Hour,
	})
	must(n.t, err)
	n.disk = faultfs.New(n.power)
	c := cachestore.Config{
		Geometry: g, Memory: int64(n.o.Slabs) * n.o.Chunk, VerifyOnce: n.o.Once, ReadAhead: n.o.ReadAhead, FillStreams: n.o.Streams,
		Manifests: svc, Filled: svc.Filled,
	}
	if n.o.Disk > 0 {
		c.Disk = disk.Config{Path: "/cache", Size: n.o.Disk, FS: n.disk}
	}
	cache, err := cachestore.Open(context.Background(), c)
	must(n.t, err)
	n.svc, n.cache = svc, cache
	n.client = cache.Level("client", cache.Level("zone", cache.Level("home", svc)))
	n.reaper = &registry.Reaper{Uploads: n.writes, Deleter: svc, Log: slog.New(slog.DiscardHandler)}
}

// The node is the cache as ops sees it; what it asks before start has ended waits
// for nothing.

func (n *node) Open(ctx context.Context, o chunk.Object, off, k int64) (chunk.Body, error) {
	return n.client.Open(ctx, o, off, k)
}

func (n *node) NewWriter(token string, memoryOnly bool) chunk.Writer {
	return n.cache.NewWriter(token, memoryOnly)
}

func (n *node) Peek(ctx context.Context, o chunk.Object, index int, fn func([]byte) error) (bool, error) {
	return n.cache.Peek(ctx, o, index, fn)
}

func (n *node) UploadQuota() int                        { return n.cache.UploadQuota() }
func (n *node) Promote(from chunk.Key, to chunk.Object) { n.cache.Promote(from, to) }
func (n *node) Drop(key chunk.Key)                      { n.cache.Drop(key) }

// stop ends the node's work; what outlives it stays.
func (n *node) stop() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	n.learned += int(n.svc.Stats().Learned)
	n.evicted += int(n.cache.Stats().EvictedMemory)
	n.diskFaults += n.disk.Fired()
	err := n.svc.Close(ctx)
	if cerr := n.cache.Close(ctx); n.disk.Fired() == 0 {
		err = errors.Join(err, cerr) // a disk that failed may not be marked clean
	}
	n.leases.Close()
	if n.o.SQL {
		err = errors.Join(err, n.reg.Close())
	}
	must(n.t, err)
}

// restart ends the node and starts another. With a crash the new one finds the
// cache's disk as a loss of power left it.
func (n *node) restart(crash bool, seed uint64) {
	n.t.Helper()
	n.disk.Fail(nil)
	survived := n.power
	if crash {
		survived = n.power.Crash(seed)
	}
	n.stop()
	n.f.forget(func(token string) bool { return torn(survived, chunk.UploadKey(token)) })
	n.power = survived
	n.f.heal()
	if n.o.SQL {
		n.openSQL()
	}
	n.start()
}

// torn says whether a folder's key file is gone. A loss of power, or a disk that
// refused to remove a chunk, may leave chunks without it: nobody can tell then
// whose they are, and they only age.
func torn(survived vfs.FS, key chunk.Key) bool {
	b, err := vfs.ReadFile(survived, filepath.Join("/cache", key.Dir()[:2], key.Dir(), "key"), 4096)
	return err != nil || !bytes.Contains(b, []byte(key)) || bytes.Count(b, []byte("\n")) != 3
}

// close ends it all.
func (n *node) close() {
	n.disk.Fail(nil)
	n.f.heal()
	n.stop()
	must(n.t, errors.Join(n.store.Close(), os.RemoveAll(n.dir)))
}

// lapse ends every lease on an upload, as time would.
func (n *node) lapse() {
	n.t.Helper()
	if m, ok := n.reg.(*memstore.Store); ok {
		m.Lapse()
		return
	}
	n.sql(func(db *sql.DB) error {
		_, err := db.ExecContext(context.Background(), "UPDATE glimpse_uploads SET lease_until = 0")
		return err
	})
}

// sql looks into the database past the node.
func (n *node) sql(fn func(*sql.DB) error) {
	n.t.Helper()
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: n.db(), RawQuery: "_pragma=busy_timeout(5000)"}).String())
	must(n.t, err)
	must(n.t, errors.Join(fn(db), db.Close()))
}

// objects counts what is in the origin store.
func (n *node) objects() int {
	n.t.Helper()
	if m, ok := n.store.(*mem.Store); ok {
		return m.Len()
	}
	entries, err := os.ReadDir(n.images())
	must(n.t, err)
	k := 0
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			k++
		}
	}
	return k
}

// put writes an object past the node, as a Glance beside it would.
func (n *node) put(key string, data []byte) backends.Locator {
	n.t.Helper()
	at := backends.Locator("mem://m/" + key)
	if m, ok := n.store.(*mem.Store); ok {
		m.Replace(key, data)
	} else {
		must(n.t, os.WriteFile(filepath.Join(n.images(), key), data, 0o600))
		at = backends.Locator((&url.URL{Scheme: "file", Path: filepath.Join(n.images(), key)}).String())
	}
	n.foreign.Store(at, true)
	return at
}

// halfDone counts uploads at the origin that are neither committed nor gone.
func (n *node) halfDone() (k int) {
	n.t.Helper()
	must(n.t, n.store.Pending(context.Background(), func(backends.Locator, time.Time) error { k++; return nil }))
	return k
}
