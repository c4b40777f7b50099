// Package open makes origin stores out of their configuration: one table from a
// type's name to its driver, the keys of each type in a file of their own, and
// the decorators in the order in which they wrap a store.
package open

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"glimpse/backends"

	"github.com/dustin/go-humanize"
	"go.yaml.in/yaml/v3"
)

// Config is one store's section of the configuration.
type Config struct {
	Common
	Driver Driver
	// Away hears of servers that are left alone because they keep failing, and of
	// those that are back; see backends.Breaking. It may be nil.
	Away func(change int)
}

// Common are the keys that a store of any type has.
type Common struct {
	Type        string        `yaml:"type"`
	Description string        `yaml:"description"`
	Weight      int           `yaml:"weight"`
	ReadOnly    bool          `yaml:"read_only"`
	Zone        string        `yaml:"zone"`
	Cache       string        `yaml:"cache"` // auto | on | off
	Timeout     time.Duration `yaml:"timeout"`
	Retries     *int          `yaml:"retries"`
	RateLimit   Size          `yaml:"rate_limit"`
	MaxStreams  int64         `yaml:"max_streams"`

	// Chunk is what uploads are gathered in: the parts that they are sent in are a
	// whole number of them. 0: parts have the size that is asked for.
	Chunk int64 `yaml:"-"`
}

// retries is how often a call that found the store away is tried again.
func (c Common) retries() int {
	if c.Retries == nil {
		return 3
	}
	return *c.Retries
}

// part is the size of parts where size is asked for: a whole number of chunks, and
// no more bytes than asked for unless the server takes no part below least.
func (c Common) part(size Size, least int64) int64 {
	n := int64(size)
	if c.Chunk == 0 || n%c.Chunk == 0 {
		return n
	}
	n -= n % c.Chunk
	for n < least {
		n += c.Chunk
	}
	return n
}

// Driver is the rest: the keys that only stores of its type have, by their yaml
// tags, with their defaults.
type Driver interface {
	// Resolve puts relative paths where they belong and refuses what can't run.
	Resolve(d Dirs) error
	// Open makes the store.
	Open(ctx context.Context, id string, c Common) (backends.Store, error)
	// Properties are what admins are shown of the store, under Glance's names.
	Properties() map[string]any
}

// Dirs are where relative paths lie.
type Dirs struct {
	Data   string // what a node writes
	Config string // files that the configuration refers to
}

// Under puts a relative path under dir; "" stays "".
func Under(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// kind is what there is to know of a type.
type kind struct {
	schemes []string // of its location URLs
	keys    func() Driver
	// many servers lie behind one store, named by its locations: that one of them
	// is away says nothing of the others.
	many bool
}

// kinds is the table of types.
var kinds = map[string]kind{
	"file":  {schemes: []string{"file", "filesystem"}, keys: func() Driver { return &File{} }},
	"http":  {schemes: []string{"http", "https"}, keys: func() Driver { return &Web{} }, many: true},
	"s3":    {schemes: []string{"s3", "s3+http", "s3+https"}, keys: func() Driver { return newS3() }},
	"rbd":   {schemes: []string{"rbd"}, keys: func() Driver { return &RBD{} }},
	"swift": {schemes: []string{"swift", "swift+http", "swift+https", "swift+config"}, keys: func() Driver { return newSwift() }},
}

// Schemes are those of the location URLs of a type.
func Schemes(kind string) []string { return kinds[kind].schemes }

// Size is a number of bytes as people write it.
type Size int64

// UnmarshalText reads 50MiB and the like.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > 1<<62 {
		return fmt.Errorf("%q is not a size such as 50MiB", text)
	}
	*s = Size(n)
	return nil
}

// Unshared says that the bytes lie in a folder of this node alone.
func (c Config) Unshared() bool {
	f, ok := c.Driver.(*File)
	return ok && !f.Shared
}

// Decode reads a store's keys; one that its type does not have is an error.
func Decode(id string, keys map[string]any, d Dirs) (Config, error) {
	c, err := decode(keys, d)
	if err != nil {
		return Config{}, fmt.Errorf("stores.%s: %w", id, err)
	}
	return c, nil
}

func decode(keys map[string]any, d Dirs) (Config, error) {
	all := struct {
		Common `yaml:",inline"`
		Rest   map[string]yaml.Node `yaml:",inline"`
	}{Common: Common{Cache: "auto"}}
	if err := transcode(keys, &all); err != nil {
		return Config{}, err
	}
	k, ok := kinds[all.Type]
	switch {
	case all.Type == "":
		return Config{}, fmt.Errorf("type is missing")
	case !ok:
		return Config{}, fmt.Errorf("type %q is not one of %s", all.Type, strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
	}
	switch all.Cache {
	case "auto", "on", "off":
	default:
		return Config{}, fmt.Errorf("cache: %q is not one of auto, on, off", all.Cache)
	}
	c := Config{Common: all.Common, Driver: k.keys()}
	if err := transcode(all.Rest, c.Driver); err != nil {
		return Config{}, err
	}
	return c, c.Driver.Resolve(d)
}

// transcode reads keys into v, and refuses those that v does not have.
func transcode[T any](keys map[string]T, v any) error {
	if len(keys) == 0 {
		return nil
	}
	b, err := yaml.Marshal(keys)
	if err != nil {
		return err
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	return dec.Decode(v)
}

// Metadata says what a new location's metadata holds besides the store's id, for
// clients that Glance tells the same; nil where that is nothing.
func (c Config) Metadata() func(backends.Locator) map[string]string {
	if d, ok := c.Driver.(interface {
		Metadata(at backends.Locator) map[string]string
	}); ok {
		return d.Metadata
	}
	return nil
}

// Owns tells the store's own locations from those of others of its type; nil where
// the driver can't. Glance wrote no store's id beside them while it had one store.
func (c Config) Owns() func(backends.Locator) bool {
	if d, ok := c.Driver.(interface {
		Owns() func(backends.Locator) bool
	}); ok {
		return d.Owns()
	}
	return nil
}

// Open makes the store.
func Open(ctx context.Context, id string, c Config) (backends.Store, error) {
	s, err := c.Driver.Open(ctx, id, c.Common)
	if err != nil {
		return nil, fmt.Errorf("stores.%s: %w", id, err)
	}
	// Every try is counted by the breaker, and one place among the streams is held
	// through all tries. How long one call may take is the driver's matter, which
	// knows whether bytes come.
	s = c.guard(s)
	s = backends.Retry(s, backends.Retries{Max: c.retries()})
	return backends.Limit(s, backends.Limits{Rate: int64(c.RateLimit), Streams: c.MaxStreams}), nil
}

// guard leaves servers alone that keep failing. A folder is no server: what is
// wrong with one file says nothing of the others.
func (c Config) guard(s backends.Store) backends.Store {
	if _, ok := c.Driver.(*File); ok {
		return s
	}
	b := backends.Breaking{Away: c.Away}
	if kinds[c.Type].many {
		b.Host = host
	}
	return backends.Breaker(s, b)
}

// host is the server that a location's URL names.
func host(at backends.Locator) string {
	u, err := url.Parse(at.Reveal())
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}
