package swift

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glimpse/backends"
	"glimpse/cmd/testenv"
)

func keystone(user, key string) Credentials {
	return Credentials{AuthURL: "https://keystone:5000/v3", Version: 3, User: user, Key: backends.Secret(key), UserDomainID: "default", ProjectDomainID: "default"}
}

func TestLocators(t *testing.T) {
	for at, want := range map[string]location{
		"swift://p:u:k@host/glance/id":                         {"swift", "p:u", "k", "host", "glance", "id"},
		"swift+http://a:b@host:5000/v2.0/glance/id":            {"swift+http", "a", "b", "host:5000/v2.0", "glance", "id"},
		"swift+https://p%3Au:k%2F%40%3A%25@host/v3/c/o":        {"swift+https", "p:u", "k/@:%", "host/v3", "c", "o"},
		"swift+https://host/v1/AUTH_x/glance_id/id":            {"swift+https", "", "", "host/v1/AUTH_x", "glance_id", "id"},
		"swift+config://ref1/glance/id":                        {"swift+config", "", "", "ref1", "glance", "id"},
		"swift://p:u:k@http://host/glance/id":                  {},
		"swift://u@host/glance/id":                             {},
		"swift://:k@host/glance/id":                            {},
		"swift://u:k@host@evil/glance/id":                      {},
		"swift://u:k@host/id":                                  {},
		"swift://u:k@host/glance/":                             {},
		"swift://u:k@host/../id":                               {},
		"swift://u:k@host/glance/id?x":                         {},
		"swift://u:%zz@host/glance/id":                         {},
		"http://u:k@host/glance/id":                            {},
		"swift+config://":                                      {},
		"swift:/p:u:k@host/glance/id":                          {},
		"swift://u:k@/glance/id":                               {},
		"swift://u:k@host/gl\nance/id":                         {},
		"swift://u:k@host/" + strings.Repeat("x", 500) + "/id": {},
	} {
		l, err := parse(backends.Locator(at))
		if (err == nil) != (want.object != "") || err == nil && l != want {
			t.Errorf("%s: %+v, %v", at, l, err)
		}
		if err != nil && strings.Contains(err.Error(), "host") {
			t.Errorf("%s: the error tells the URL: %v", at, err)
		}
	}
}

// Which credentials a locator is read with.
func TestCredentialsStayWithTheirServer(t *testing.T) {
	own, second := keystone("service:glance", "own-key"), keystone("p:second", "second-key")
	second.UserDomainID = "other"
	cfg := config(own)
	cfg.Accounts["ref2"] = second
	cfg.OtherAuthURLs = []string{"http://old:5000/v3/"}
	s := store(t, cfg)
	for at, want := range map[string]Credentials{
		"swift+https://service%3Aglance:old-key@keystone:5000/v3/glance/id": keystone("service:glance", "old-key"),
		"swift+https://p%3Asecond:k@keystone:5000/v3/glance/id":             {"https://keystone:5000/v3", 3, "p:second", "k", "other", "", "default", "", "", ""},
		"swift+http://p%3Au:k@old:5000/v3/glance/id":                        {"http://old:5000/v3/", 3, "p:u", "k", "default", "", "default", "", "", ""},
		"swift+config://ref1/glance/id":                                     own,
		"swift+config://ref2/glance/id":                                     second,
		"swift+config://ref3/glance/id":                                     {},
		"swift+config://keystone:5000/v3/glance/id":                         {},
		"swift+http://p%3Au:k@keystone:5000/v3/glance/id":                   {}, // in clear
		"swift+https://p%3Au:k@evil/v3/glance/id":                           {},
		"swift+https://keystone:5000/v3/glance/id":                          {}, // no credentials
		"swift+https://u:k@keystone:5000/v3/glance/id":                      {}, // no project
	} {
		p, err := s.find(backends.Locator(at))
		if (err == nil) != (want.User != "") || err == nil && p.account.cred != want {
			t.Errorf("%s: %v", at, err)
		}
	}
	for range 2 * maxAccounts { // what locators bring is not kept for ever
		s.account(keystone("p:u", newUpload()))
	}
	if n := len(s.mu.accounts); n > maxAccounts {
		t.Errorf("%d accounts are kept", n)
	}
}

func TestAStoreKnowsItsLocations(t *testing.T) {
	cfg := config(keystone("service:glance", "own-key"))
	cfg.Container = "glance"
	seeded, tenants := cfg, cfg
	seeded.Seed, tenants.MultiTenant = 2, true
	for at, want := range map[string][3]bool{
		"swift+https://service%3Aglance:own-key@keystone:5000/v3/glance/id": {true, true, true},
		"swift://service:glance:old-key@keystone:5000/v3//glance/id":        {true, true, true},
		"swift+config://" + cfg.Reference + "/glance/id":                    {true, true, true},
		"swift+config://" + cfg.Reference + "/glance_1a/1a":                 {false, true, true},
		"swift+config://another/glance/id":                                  {},
		"swift+config://" + cfg.Reference + "/glance2/id":                   {},
		"swift+http://service%3Aglance:own-key@keystone:5000/v3/glance/id":  {},
		"swift+https://service%3Aglance:own-key@other:5000/v3/glance/id":    {},
		"swift+https://storage/v1/AUTH_x/glance_id/id":                      {false, false, true},
		"s3://host/glance/id": {},
	} {
		l := backends.Locator(at)
		if got := [3]bool{cfg.Owns(l), seeded.Owns(l), tenants.Owns(l)}; got != want {
			t.Errorf("%s: %v", at, got)
		}
	}
}

func TestContainersBySeed(t *testing.T) {
	const id = "3A1dc2b6-57bb-4a56-a2b5-5d1e9a8f9f3c"
	for seed, want := range map[int]string{0: "glance", 3: "glance_3a1", 8: "glance_3a1dc2b6", 9: "glance_3a1dc2b6-5", 13: "glance_3a1dc2b6-57bb-", 32: "glance_" + strings.ToLower(id)} {
		s := &Store{c: Config{Container: "glance", Seed: seed}}
		if got := s.container(id); got != want {
			t.Errorf("seed %d: %s, want %s", seed, got, want)
		}
	}
}

// glance runs Glance's own driver: all in one process, which takes seconds to
// start.
func glance(t *testing.T, account string, operations ...[]string) [][]string {
	t.Helper()
	testenv.NeedFile(t, "/usr/lib/python3/dist-packages/glance_store/_drivers/swift/store.py")
	testenv.NeedFile(t, "/usr/lib/python3/dist-packages/swiftclient/__init__.py")
	var out [][]string
	in, err := json.Marshal(operations)
	if err != nil {
		t.Fatal(err)
	}
	text := testenv.Run(t, nil, "/usr/bin/python3", "testdata/glance.py", account, string(in))
	if err := json.Unmarshal([]byte(text), &out); err != nil || len(out) != len(operations) {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

// Glance's own parser reads what we write as we do, and would write the same.
func TestGlanceReadsOurLocators(t *testing.T) {
	const id = "3a1dc2b6-57bb-4a56-a2b5-5d1e9a8f9f3c"
	all := []struct {
		name string
		c    Credentials
	}{
		{"plain", keystone("service:glance", "secret")},
		{"v1", Credentials{AuthURL: "http://127.0.0.1:8080/auth/v1.0/", Version: 1, User: "test:tester", Key: "testing"}},
		{"odd", keystone("pröject x:gl@nce~.-_", "k?#%&+ =@é]")},
		{"a slash", keystone("a:b", "k/y")}, // Glance reads it, and writes what it can't read
	}
	var stores []*Store
	var parse [][]string
	for _, c := range all {
		s := store(t, config(c.c))
		stores = append(stores, s)
		parse = append(parse, []string{"parse", s.locator(place{container: s.container(id)}, id).Reveal()})
	}
	for i, got := range glance(t, "-", parse...) {
		s, name, c, at := stores[i], all[i].name, all[i].c, backends.Locator(parse[i][1])
		want := []string{c.User, c.Key.Reveal(), trim(c.AuthURL), s.c.Container, id, at.Reveal()}
		for i := range want {
			if got[i] != want[i] && (i != 5 || name != "a slash") {
				t.Errorf("%s: %q, want %q", name, got[i], want[i])
			}
		}
		p, err := s.find(at)
		if err != nil || p.account.cred.User != c.User || p.account.cred.Key != c.Key || p.container != s.c.Container || p.object != id {
			t.Errorf("%s: we read it otherwise: %v", name, err)
		}
	}
}

func TestReferences(t *testing.T) {
	path := filepath.Join(t.TempDir(), "swift.conf")
	text := "[DEFAULT]\nauth_address = https://keystone:5000/v3\n[ref1]\nuser = service:glance\nkey = \"se#cr;et%%\"\nauth_version = 3\n\n[ref2]\nuser: a:b\nkey: k\nauth_address = http://x/auth\nauth_version = 1\nuser_domain_name = D\n"
	write := func(s string) {
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(text)
	all, err := References(path, 2)
	if err != nil || len(all) != 2 {
		t.Fatalf("%v, %v", all, err)
	}
	if want := keystone("service:glance", "se#cr;et%"); all["ref1"] != want {
		t.Errorf("%+v", all["ref1"])
	}
	if c := all["ref2"]; c.AuthURL != "http://x/auth" || c.Version != 1 || c.User != "a:b" || c.UserDomainName != "D" || c.UserDomainID != "" {
		t.Errorf("%+v", c)
	}
	cfg := config(all["ref1"])
	cfg.HideCredentials = true
	if at := store(t, cfg).locator(place{container: "glance"}, "id"); at != "swift+config://ref1/glance/id" {
		t.Error(at.Reveal())
	}
	for _, bad := range []string{"", "hush hush", "[r]\nauth_version = hush\n", "[hush"} {
		write(bad)
		if _, err := References(path, 3); err == nil || strings.Contains(err.Error(), "hush hush") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestConfigurationsThatCanNotRun(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"reference": func(c *Config) { c.Reference = "ref2" },
		"container": func(c *Config) { c.Container = "a/b" },
		"seed":      func(c *Config) { c.Seed = 33 },
		"part":      func(c *Config) { c.PartSize = 0 },
		"endpoint":  func(c *Config) { c.EndpointType = "front" },
		"url": func(c *Config) {
			c.Accounts["ref1"] = Credentials{AuthURL: "ftp://x", Version: 3, User: "a:b", Key: "k"}
		},
		"user":       func(c *Config) { c.Accounts["ref1"] = keystone("b", "k") },
		"key":        func(c *Config) { c.Accounts["ref1"] = keystone("a:b", "") },
		"version":    func(c *Config) { a := keystone("a:b", "k"); a.Version = 4; c.Accounts["ref1"] = a },
		"credential": func(c *Config) { c.Accounts["ref1"] = Credentials{AuthURL: "http://x", Version: 3, AppID: "x"} },
		"ca":         func(c *Config) { c.CAFile = "nowhere" },
	} {
		c := config(keystone("a:b", "k"))
		change(&c)
		if _, err := Open(c); err == nil {
			t.Errorf("%s: it runs", name)
		}
	}
}
