package ops

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"glimpse/backends"
	"glimpse/cachestore/chunk"
	"glimpse/registry"
	"glimpse/registry/image"
)

// Cache is what ops needs of the cache engine.
type Cache interface {
	// Open reads a range; errors that are known at once are returned here.
	Open(ctx context.Context, o chunk.Object, off, n int64) (chunk.Body, error)
	NewWriter(token string, memoryOnly bool) chunk.Writer
	// UploadQuota is how many buffers uploads may hold together.
	UploadQuota() int
	// Peek calls fn with a chunk's verified bytes if they are in the cache, and
	// says whether they were. It causes no origin read.
	Peek(ctx context.Context, o chunk.Object, index int, fn func([]byte) error) (bool, error)
	// Promote files what is kept under from under to's key.
	Promote(from chunk.Key, to chunk.Object)
	// Drop forgets an object's bytes.
	Drop(key chunk.Key)
}

// Store is one configured origin store.
type Store struct {
	ID, Type, Description string
	Weight                int            // of several copies the one in the heaviest store is read
	ReadOnly              bool           // takes no uploads
	MemoryOnly            bool           // its bytes are not kept in the disk tier
	Zone                  string         // whose nodes read it; "": any that is not an edge
	Unshared              bool           // a folder of this node alone
	Off                   bool           // not even what other nodes have of such a folder is kept
	Schemes               []string       // of the location URLs that stores of its type have
	Properties            map[string]any // what admins are shown of it
	Backend               backends.Store
	Owns                  func(backends.Locator) bool              // tells its own locations from those of others of its type; nil: it can't
	Metadata              func(backends.Locator) map[string]string // of a new location, besides the store's id; nil: none
}

// Config is what a Service is made of.
type Config struct {
	Registry     registry.Registry
	Images       registry.Images // the leased view, for reads; nil: Registry
	Stores       []Store
	DefaultStore string
	SingleStore  bool // Glance's old mode: locations have no store ids
	Cache        Cache
	Steward      Steward // nil: there are no other nodes to ask
	// Near says whether this node reads the origins of a zone, or of none; nil: of all.
	Near      func(zone string) bool
	Clustered bool   // an unshared store is a folder of each node's own
	Secret    []byte // of the cluster, for private keys
	Share     string // verified | project | off
	Geometry  chunk.Geometry
	Limits    image.Limits
	HashAlgo  string // sha256 | sha512
	// RequireFormatMatch refuses an upload whose bytes are not its disk_format.
	RequireFormatMatch bool
	NodeID             string
	// Uploaded hears of each image that got its bytes through this node; it must not
	// wait, and may be nil.
	Uploaded   func(imageID string)
	LeaseRenew time.Duration // 0: 20 s, a third of a lease
	Log        *slog.Logger  // nil: discarded
}

// Service does the verbs. It is used by many goroutines.
type Service struct {
	cfg      Config
	stores   map[string]*Store
	known    memo
	failed   failures
	learner  *learner
	hasher   *hasher
	stats    stats
	contacts contacts
	damaged  sync.Map // manifest keys, of those that were found damaged
}

// stats are counted for operators.
type stats struct{ learned, mismatched atomic.Int64 }

// Stats are what was learned about images that another wrote.
type Stats struct {
	Learned    int64 // images whose bytes gave their hash
	Mismatched int64 // images whose bytes did not
}

// New checks the configuration and starts the learner.
func New(c Config) (*Service, error) {
	c.LeaseRenew = cmp.Or(c.LeaseRenew, 20*time.Second)
	c.Geometry = cmp.Or(c.Geometry, chunk.Default)
	if c.Images == nil {
		c.Images = c.Registry
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if _, ok := hashes[c.HashAlgo]; !ok || c.HashAlgo == "md5" {
		return nil, fmt.Errorf("ops: hashing algorithm %q is not sha256 or sha512", c.HashAlgo)
	}
	s := &Service{cfg: c, stores: map[string]*Store{}}
	for i := range c.Stores {
		s.stores[c.Stores[i].ID] = &c.Stores[i]
	}
	if s.stores[c.DefaultStore] == nil {
		return nil, fmt.Errorf("ops: there is no store %q", c.DefaultStore)
	}
	s.contacts.ctx, s.contacts.cancel = context.WithCancel(context.Background())
	s.learner, s.hasher = newLearner(s), newHasher(s)
	return s, nil
}

// Close ends the background work and waits for it.
func (s *Service) Close(ctx context.Context) error {
	return errors.Join(s.hasher.close(ctx), s.learner.close(ctx), s.contacts.close(ctx))
}

// Stores returns the stores in the order of their configuration.
func (s *Service) Stores() []Store { return slices.Clone(s.cfg.Stores) }

// DefaultStore returns the id of the store that takes uploads by default.
func (s *Service) DefaultStore() string { return s.cfg.DefaultStore }

// Stats returns the counters.
func (s *Service) Stats() Stats {
	return Stats{Learned: s.stats.learned.Load(), Mismatched: s.stats.mismatched.Load()}
}

// unavailable is what users are told when an origin store does not answer.
func unavailable(err error) error {
	return image.Wrap(image.Unavailable, err, "The image's store is not available now.")
}

// kinded gives an error of a store or of the cache the kind that users see.
func kinded(err error) error {
	var known *image.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	if errors.Is(err, chunk.ErrRange) {
		return image.Wrap(image.BadRange, err, "The range lies outside the image.")
	}
	return unavailable(err)
}
