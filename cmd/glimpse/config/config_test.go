package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

func write(t *testing.T, text string) string {
	t.Helper()
	f := filepath.Join(t.TempDir(), "glimpse.yaml")
	if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestTheDefaultsRun(t *testing.T) {
	c, err := Load("", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !Loopback(c.Listen.API) || !strings.HasSuffix(c.Registry.URL.Reveal(), "/glimpse-data/registry.db") {
		t.Errorf("not the embedded defaults: %s %s", c.Listen.API, c.Registry.URL.Reveal())
	}
}

// The example is the documentation of every key: it must load, and no key may be
// missing from it.
func TestTheExampleLoadsAndNamesEveryKey(t *testing.T) {
	file := "../../../glimpse.example.yaml"
	if _, err := Load(file, nil, nil); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := Default()
	for _, path := range c.Keys() {
		name := path[strings.LastIndex(path, ".")+1:]
		if !strings.Contains(string(b), name+":") {
			t.Errorf("%s is not in the example", path)
		}
	}
}

func TestAnUnknownKeyNamesItsLine(t *testing.T) {
	_, err := Load(write(t, "data_dir: x\nlisten:\n  apy: 127.0.0.1:1\n"), nil, nil)
	if err == nil || !strings.Contains(err.Error(), "line 3") || !strings.Contains(err.Error(), "apy") {
		t.Errorf("got %v", err)
	}
}

func TestEnvironmentOverridesFileAndFlagsOverrideBoth(t *testing.T) {
	f := write(t, "cache: {memory: {size: 1GiB}}\nlimits: {stall_timeout: 5s}\nstores: {a: {type: file, path: p}}\ndefault_store: a\n")
	c, err := Load(f, []string{"HOME=/", "GLIMPSE_CACHE_MEMORY_SIZE=64MiB", "GLIMPSE_LIMITS_STALL_TIMEOUT=6s", "GLIMPSE_STORES_A_PATH=q"}, []string{"limits.stall_timeout=7s"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Cache.Memory.Size != 64<<20 || c.Limits.StallTimeout != 7*time.Second || c.Stores["a"]["path"] != "q" || len(c.Stores) != 1 {
		t.Errorf("got %v %v %v", c.Cache.Memory.Size, c.Limits.StallTimeout, c.Stores)
	}
}

func TestWhatIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ set, want string }{
		"mode none beyond loopback": {"listen.api=0.0.0.0:9292", "auth.mode"},
		"ops beyond loopback":       {"listen.ops=0.0.0.0:9294", "listen.ops"},
		"ops without a path":        {"listen.ops=unix:", "listen.ops"},
		"half of ops_tls":           {"listen.ops_tls.cert=x", "listen.ops_tls"},
		"unknown word":              {"cache.verify=sometimes", "cache.verify"},
		"bad size":                  {"cache.memory.size=lots", "cache.memory.size"},
		"bad share":                 {"cache.disk.min_free=120%", "cache.disk.min_free"},
		"missing default store":     {"default_store=x", "default_store"},
		"cutting downloads":         {"api.on_deactivate=cut", "api.on_deactivate"},
		"a cluster without a name":  {"cluster.join=[10.0.0.1:7946]", "cluster.label"},
		"a cluster over SQLite":     {"cluster.label=prod", "registry.url"},
		"half of a certificate":     {"cluster.tls.cert=x.pem", "cluster.tls"},
		"a key of 5 bytes":          {"api.metadata_encryption_key=abcde", "api.metadata_encryption_key"},
		"unknown key":               {"a.b=c", "a.b"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load("", nil, []string{c.set})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	_, err := Load("", nil, []string{"cluster.label=prod", "registry.url=mysql://u@h/d", "node.role=client"})
	if err == nil || !strings.Contains(err.Error(), "stores.main") {
		t.Errorf("a client with a folder of its own: %v", err)
	}
	for listen, want := range map[string]string{"listen.peer=10.0.0.1:9293": "cluster.tls", "listen.gossip=10.0.0.1:7946": "cluster.keyring_file"} {
		_, err := Load("", nil, []string{"cluster.label=prod", "registry.url=mysql://u@h/d", "stores.main.shared=true", listen})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", listen, err)
		}
	}
	if _, err := Load("", []string{"GLIMPSE_LISTEN_APPI=x"}, nil); err == nil {
		t.Error("a variable that is no key passed")
	}
}

func TestASecretIsNotInTheError(t *testing.T) {
	_, err := Load("", nil, []string{"registry.url=postgres://u:hunter2@h/d"})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
	_, err = Load("", nil, []string{"api.metadata_encryption_key=hunter2"})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

// A password may look like a number.
func TestAStoresKeysAreKeptAsWritten(t *testing.T) {
	f := write(t, "stores: {a: {type: file, path: p, key: 0123, other: 1e3}}\ndefault_store: a\n")
	c, err := Load(f, []string{"GLIMPSE_STORES_A_ENV=007", "GLIMPSE_STORES_A_EMPTY="}, []string{"stores.a.set=2026-01-02", "stores.a.path="})
	if err != nil {
		t.Fatal(err)
	}
	b, err := yaml.Marshal(c.Stores["a"])
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := yaml.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"key": "0123", "other": "1e3", "env": "007", "empty": "", "set": "2026-01-02", "path": ""} {
		if got[key] != want {
			t.Errorf("%s: %q, want %q", key, got[key], want)
		}
	}
}
