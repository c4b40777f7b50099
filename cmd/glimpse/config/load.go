package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds the configuration file: 1 MiB is far more than all keys need.
const maxFile = 1 << 20

// Store holds the keys of one origin store as written; the driver reads them.
// What is neither text nor true or false stays a *yaml.Node: whether 0640 is a
// number, a file mode or a password only the driver knows.
type Store map[string]any

// UnmarshalYAML keeps the values as they are written.
func (s *Store) UnmarshalYAML(n *yaml.Node) error {
	var keys map[string]yaml.Node
	if err := n.Decode(&keys); err != nil {
		return err
	}
	*s = make(Store, len(keys))
	for k, v := range keys {
		(*s)[k] = written(&v)
	}
	return nil
}

func written(n *yaml.Node) any {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return n // the driver says what is wrong with it
	}
	switch v.(type) {
	case string, bool:
		return v
	}
	return n
}

// Load reads file ("" for none), then the environment ("GLIMPSE_A_B=value"), then
// sets ("a.b=value"), and validates the whole.
func Load(file string, environ, sets []string) (Config, error) {
	c := Default()
	if file != "" {
		if err := c.readFile(file); err != nil {
			return Config{}, err
		}
	}
	if err := c.applyEnv(environ); err != nil {
		return Config{}, err
	}
	for _, s := range sets {
		if err := c.applySet(s); err != nil {
			return Config{}, err
		}
	}
	c.resolvePaths()
	if err := c.validate(); err != nil {
		return Config{}, err
	}
	return c, nil
}

func (c *Config) readFile(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if len(b) > maxFile {
		return fmt.Errorf("configuration %s: over %d bytes", file, maxFile)
	}
	if err := c.decode(b); err != nil {
		return fmt.Errorf("configuration %s: %w", file, err)
	}
	c.File, err = filepath.Abs(file)
	return err
}

// decode reads YAML over what c holds. Stores are replaced, not merged: a file
// that names its own does not want the default one.
func (c *Config) decode(b []byte) error {
	var probe struct {
		Stores map[string]Store `yaml:"stores"`
	}
	if err := yaml.Unmarshal(b, &probe); err == nil && probe.Stores != nil {
		c.Stores = nil
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("more than one document")
	}
	return nil
}

// resolvePaths puts relative data paths under data_dir and relative
// configuration files beside the configuration file.
func (c *Config) resolvePaths() {
	if abs, err := filepath.Abs(c.DataDir); err == nil {
		c.DataDir = abs
	}
	c.Cache.Disk.Path = under(c.DataDir, c.Cache.Disk.Path)
	base := c.Beside()
	for _, p := range []*string{
		&c.Listen.TLS.Cert, &c.Listen.TLS.Key, &c.Listen.TLS.ClientCA,
		&c.Listen.OpsTLS.Cert, &c.Listen.OpsTLS.Key, &c.Listen.OpsTLS.ClientCA, &c.Auth.Keystone.CAFile, &c.Auth.PolicyFile,
		&c.Cluster.KeyringFile, &c.Cluster.TLS.CA, &c.Cluster.TLS.Cert, &c.Cluster.TLS.Key,
	} {
		*p = under(base, *p)
	}
	if path, ok := c.OpsSocket(); ok {
		c.Listen.Ops = unixPrefix + under(c.DataDir, path)
	}
	if path, ok := cutSQLite(c.Registry.URL.Reveal()); ok {
		c.Registry.URL = Secret("sqlite:" + under(c.DataDir, path))
	}
}

// Beside is the folder of the files that the configuration refers to.
func (c *Config) Beside() string {
	if c.File == "" {
		return c.DataDir
	}
	return filepath.Dir(c.File)
}

func under(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
