package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// envPrefix begins the environment variables that are read.
const envPrefix = "GLIMPSE_"

// keys calls fn for every key of the configuration with its dotted path.
func (c *Config) keys(fn func(path string, v reflect.Value)) {
	walk(reflect.ValueOf(c).Elem(), "", fn)
}

func walk(v reflect.Value, prefix string, fn func(string, reflect.Value)) {
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if name == "-" || name == "" {
			continue
		}
		f := v.Field(i)
		_, text := f.Addr().Interface().(encoding.TextUnmarshaler)
		if f.Kind() == reflect.Struct && !text {
			walk(f, prefix+name+".", fn)
			continue
		}
		fn(prefix+name, f)
	}
}

// applyEnv sets the keys that the environment names: listen.api is
// GLIMPSE_LISTEN_API. A variable with the prefix that is no key is an error, for
// it is most likely a slip of the pen.
func (c *Config) applyEnv(environ []string) error {
	known := map[string]string{}
	c.keys(func(path string, _ reflect.Value) { known[envName(path)] = path })
	for _, kv := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, envPrefix) {
			continue
		}
		path, ok := known[name]
		if !ok {
			path, ok = c.storePath(name)
		}
		if !ok {
			return fmt.Errorf("environment: %s is not a known key", name)
		}
		if err := c.set(path, value); err != nil {
			return fmt.Errorf("environment: %s: %w", name, err)
		}
	}
	return nil
}

func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// storePath finds "stores.<id>.<key>" for the stores that there are.
func (c *Config) storePath(env string) (string, bool) {
	for id := range c.Stores {
		if key, ok := strings.CutPrefix(env, envName("stores."+strings.ReplaceAll(id, "-", "_"))+"_"); ok && key != "" {
			return "stores." + id + "." + strings.ToLower(key), true
		}
	}
	return "", false
}

func (c *Config) applySet(s string) error {
	path, value, ok := strings.Cut(s, "=")
	if !ok {
		return fmt.Errorf("--set %s: want key=value", path)
	}
	if err := c.set(path, value); err != nil {
		return fmt.Errorf("--set %s: %w", path, err)
	}
	return nil
}

// set gives one key a value written as in YAML. The value is never part of the
// error: it may be a secret.
func (c *Config) set(path, value string) error {
	if rest, ok := strings.CutPrefix(path, "stores."); ok {
		return c.setStore(rest, value)
	}
	var target reflect.Value
	c.keys(func(p string, v reflect.Value) {
		if p == path {
			target = v
		}
	})
	if !target.IsValid() {
		return fmt.Errorf("not a known key")
	}
	if target.Kind() == reflect.String { // as it stands: a password may look like YAML
		target.SetString(value)
		return nil
	}
	if err := yaml.Unmarshal([]byte(value), target.Addr().Interface()); err != nil {
		return fmt.Errorf("the value is not a %s", target.Type())
	}
	return nil
}

func (c *Config) setStore(rest, value string) error {
	id, key, ok := strings.Cut(rest, ".")
	if !ok || id == "" || key == "" {
		return fmt.Errorf("want stores.<id>.<key>")
	}
	var v any = "" // nothing
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(value), &doc); err != nil {
		return fmt.Errorf("the value is not YAML")
	}
	if len(doc.Content) > 0 {
		v = written(doc.Content[0])
	}
	if c.Stores == nil {
		c.Stores = map[string]Store{}
	}
	if c.Stores[id] == nil {
		c.Stores[id] = Store{}
	}
	c.Stores[id][key] = v
	return nil
}

// Keys lists every key with its dotted path, in the order of the file.
func (c *Config) Keys() (paths []string) {
	c.keys(func(path string, _ reflect.Value) { paths = append(paths, path) })
	return paths
}
