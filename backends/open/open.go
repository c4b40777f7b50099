// Package open makes origin stores out of their configuration: one table from a
// type's name to its driver, and the decorators in the order in which they wrap
// it.
package open

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"glimpse/backends"
	"glimpse/backends/file"
	"glimpse/backends/web"

	"github.com/dustin/go-humanize"
	"go.yaml.in/yaml/v3"
)

// Config is one store's section of the configuration.
type Config struct {
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

	File `yaml:",inline"`
	Web  `yaml:",inline"`
}

// Web holds the keys of type http.
type Web struct {
	CAFile       string   `yaml:"ca_file"`
	Insecure     bool     `yaml:"insecure"`
	Proxy        string   `yaml:"proxy"`
	AllowedHosts []string `yaml:"allowed_hosts"`
}

// File holds the keys of type file.
type File struct {
	Path             string `yaml:"path"`
	Paths            []Path `yaml:"paths"`
	Shared           bool   `yaml:"shared"`
	FilePerm         uint32 `yaml:"file_perm"`
	ThinProvisioning bool   `yaml:"thin_provisioning"`
	MetadataFile     string `yaml:"metadata_file"`
}

// Path is one of several folders.
type Path struct {
	Path     string `yaml:"path"`
	Priority int    `yaml:"priority"`
}

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
func (c Config) Unshared() bool { return c.Type == "file" && !c.Shared }

// Decode reads a store's keys; an unknown one is an error. Relative paths lie
// under dir.
func Decode(id string, keys map[string]any, dir string) (Config, error) {
	b, err := yaml.Marshal(keys)
	if err != nil {
		return Config{}, fmt.Errorf("stores.%s: %w", id, err)
	}
	c := Config{Cache: "auto"}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil {
		return Config{}, fmt.Errorf("stores.%s: %w", id, err)
	}
	switch c.Cache {
	case "auto", "on", "off":
	default:
		return Config{}, fmt.Errorf("stores.%s.cache: %q is not one of auto, on, off", id, c.Cache)
	}
	if c.MetadataFile != "" {
		return Config{}, fmt.Errorf("stores.%s.metadata_file: this version does not read it", id)
	}
	if c.Path != "" {
		c.Paths = append([]Path{{Path: c.Path}}, c.Paths...)
	}
	for i, p := range c.Paths {
		if !filepath.IsAbs(p.Path) {
			c.Paths[i].Path = filepath.Join(dir, p.Path)
		}
	}
	return c, nil
}

// Open makes the store.
func Open(_ context.Context, id string, c Config) (backends.Store, error) {
	s, err := driver(c)
	if err != nil {
		return nil, fmt.Errorf("stores.%s: %w", id, err)
	}
	retries := 3
	if c.Retries != nil {
		retries = *c.Retries
	}
	return backends.Limit(backends.Retry(s, backends.Retries{Max: retries}), backends.Limits{Rate: int64(c.RateLimit), Streams: c.MaxStreams}), nil
}

// driver is the table of types.
func driver(c Config) (backends.Store, error) {
	switch c.Type {
	case "file":
		fc := file.Config{Perm: fs.FileMode(c.FilePerm), Thin: c.ThinProvisioning}
		for _, p := range c.Paths {
			fc.Paths = append(fc.Paths, file.Path{Path: p.Path, Priority: p.Priority})
		}
		return file.Open(fc)
	case "":
		return nil, fmt.Errorf("type is missing")
	case "http":
		return web.Open(web.Config{CAFile: c.CAFile, Insecure: c.Insecure, Proxy: c.Proxy, AllowedHosts: c.AllowedHosts, Timeout: c.Timeout})
	case "swift", "s3", "rbd":
		return nil, fmt.Errorf("type %s is not in this version", c.Type)
	}
	return nil, fmt.Errorf("type %q is not one of file, http", c.Type)
}
