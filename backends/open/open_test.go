package open

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glimpse/backends"

	"go.yaml.in/yaml/v3"
)

func TestKeysAreReadAndUnknownOnesRefused(t *testing.T) {
	dir := t.TempDir()
	c, err := Decode("main", map[string]any{"type": "file", "path": "images", "rate_limit": "1MiB", "cache": "on"}, Dirs{Data: dir})
	if err != nil {
		t.Fatal(err)
	}
	if c.Driver.(*File).Paths[0].Path != filepath.Join(dir, "images") || c.RateLimit != 1<<20 || !c.Unshared() {
		t.Errorf("got %+v", c)
	}
	s, err := Open(t.Context(), "main", c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]map[string]any{
		"colour": {"type": "file", "path": "x", "colour": "red"},
		"cache":  {"type": "file", "path": "x", "cache": "perhaps"},
		"path":   {"type": "http", "path": "x"}, // another type's
		"type":   {"path": "x"},
		"floppy": {"type": "floppy"},
	} {
		if _, err := Decode("main", bad, Dirs{Data: dir}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w, err := Decode("web", map[string]any{"type": "http", "allowed_hosts": []string{"mirror"}, "timeout": "5s", "ca_file": "ca"}, Dirs{Config: dir})
	if web := w.Driver.(*Web); err != nil || len(web.AllowedHosts) != 1 || web.CAFile != filepath.Join(dir, "ca") || w.Timeout != 5*time.Second || w.Unshared() {
		t.Errorf("got %+v, %v", w, err)
	}
	w.Driver.(*Web).CAFile = ""
	if s, err = Open(t.Context(), "web", w); err != nil || !s.Caps().ReadOnly {
		t.Errorf("%v", err)
	}
}

func TestKeysOfS3(t *testing.T) {
	keys := func(more map[string]any) map[string]any {
		all := map[string]any{"type": "s3", "endpoint": "https://s3.example.org", "bucket": "images", "access_key": "AK", "secret_key": "hush"}
		maps.Copy(all, more)
		return all
	}
	c, err := Decode("obj", keys(map[string]any{"cacert": "ca.pem", "part_size": "8MiB"}), Dirs{Config: "/etc/glimpse"})
	if err != nil {
		t.Fatal(err)
	}
	k := c.Driver.(*S3)
	if k.CACert != "/etc/glimpse/ca.pem" || k.PartSize != 8<<20 || k.Region != "us-east-1" || k.SecretKey.Reveal() != "hush" {
		t.Errorf("got %+v", k)
	}
	if text := fmt.Sprintf("%+v %#v %v", *k, *k, c.Driver.Properties()); strings.Contains(text, "hush") {
		t.Error("a secret prints")
	}
	k.CACert = ""
	s, err := Open(t.Context(), "obj", c)
	if err != nil || s.Caps().PartSize != 8<<20 || s.Caps().NoReplace {
		t.Fatalf("%v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	// A node's uploads are gathered in chunks of 4 MiB, and S3 takes no part below 5 MiB.
	for asked, want := range map[Size]int64{5 << 20: 8 << 20, 8 << 20: 8 << 20, 50_000_000: 11 * 4 << 20, 1 << 30: 1 << 30} {
		c.Chunk, k.PartSize = 4<<20, asked
		s, err := Open(t.Context(), "obj", c)
		if err != nil || s.Caps().PartSize != want {
			t.Fatalf("%d: parts of %d bytes, want %d, %v", asked, s.Caps().PartSize, want, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	for name, bad := range map[string]map[string]any{
		"endpoint":           {"endpoint": "s3.example.org"},
		"bucket":             {"bucket": "a/b"},
		"secret_key":         {"secret_key": ""},
		"part_size":          {"part_size": "4MiB"},
		"url_format":         {"url_format": "round"},
		"conditional_writes": {"conditional_writes": "perhaps"},
	} {
		if _, err := Decode("obj", keys(bad), Dirs{}); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFileModesAreOctal(t *testing.T) {
	for text, want := range map[string]Mode{"640": 0o640, "0640": 0o640, "0o640": 0o640, "0": 0, "-1": 0, "'600'": 0o600} {
		c, err := Decode("main", keys(t, "{type: file, path: x, file_perm: "+text+"}"), Dirs{Data: t.TempDir()})
		if err != nil || c.Driver.(*File).FilePerm != want {
			t.Errorf("%s: %+v, %v", text, c.Driver, err)
		}
	}
	for _, text := range []string{"1000", "9", "rw", "040"} {
		if _, err := Decode("main", keys(t, "{type: file, path: x, file_perm: "+text+"}"), Dirs{}); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

// keys are those of a store as the configuration gives them.
func keys(t *testing.T, text string) map[string]any {
	t.Helper()
	var raw map[string]yaml.Node
	if err := yaml.Unmarshal([]byte(text), &raw); err != nil {
		t.Fatal(err)
	}
	m := map[string]any{}
	for k, n := range raw {
		m[k] = &n
	}
	return m
}

func TestFoldersThatCanNotBe(t *testing.T) {
	for _, text := range []string{
		"{type: file, path: a, paths: [{path: b}]}", "{type: file, paths: [{path: a}, {path: b/../a}]}", "{type: file, paths: [{priority: 3}]}",
	} {
		if _, err := Decode("main", keys(t, text), Dirs{Data: t.TempDir()}); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

func TestTheMetadataFile(t *testing.T) {
	dir := t.TempDir()
	metadata := func(text, folders string) (func(backends.Locator) map[string]string, error) {
		if err := os.WriteFile(filepath.Join(dir, "m.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Decode("main", keys(t, "{type: file, metadata_file: m.json, paths: ["+folders+"]}"), Dirs{Config: dir})
		return c.Metadata(), err
	}
	two := `[{"id": "a", "mountpoint": "/mnt/a"}, {"id": "ab", "mountpoint": "/mnt/ab", "more": "x"}]`
	for _, c := range []struct{ text, folders, at, id, more string }{
		{`{"id": "one", "mountpoint": "/mnt"}`, "{path: /mnt/images}", "file:///mnt/images/k", "one", ""},
		{two, "{path: /mnt/a/images}, {path: /mnt/ab/images}", "file:///mnt/a/images/k", "a", ""},
		{two, "{path: /mnt/a/images}, {path: /mnt/ab/images}", "file:///mnt/ab/images/k", "ab", "x"},
		{two, "{path: /mnt/a}", "file:///elsewhere/k", "", ""},
	} {
		fn, err := metadata(c.text, c.folders)
		if err != nil {
			t.Fatal(err)
		}
		if m := fn(backends.Locator(c.at)); m["id"] != c.id || m["more"] != c.more {
			t.Errorf("%s: %v", c.at, m)
		}
	}
	for _, bad := range []string{"", "[]", `{"id": "a"}`, `{"id": "a", "mountpoint": 3}`, `{"id": "a", "mountpoint": "/mnt/ab"}`, `{"id": "a", "mountpoint": "mnt"}`} {
		if _, err := metadata(bad, "{path: /mnt/abc}"); err == nil || !strings.Contains(err.Error(), "metadata_file") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := Decode("main", keys(t, "{type: file, metadata_file: none.json, path: x}"), Dirs{Config: dir}); err == nil {
		t.Error("a missing file is taken")
	}
	c, err := Decode("main", keys(t, "{type: file, path: x}"), Dirs{})
	if err != nil || len(c.Metadata()("file:///x/k")) > 0 {
		t.Errorf("without a file: %v", err)
	}
}

// Two stores of one type tell whose a location is that names no store.
func TestStoresKnowTheirLocations(t *testing.T) {
	owner := func(keys map[string]any) func(backends.Locator) bool {
		t.Helper()
		c, err := Decode("x", keys, Dirs{Data: "/data"})
		if err != nil {
			t.Fatal(err)
		}
		return c.Owns()
	}
	folders := owner(map[string]any{"type": "file", "paths": []any{map[string]any{"path": "one"}, map[string]any{"path": "/two"}}})
	bucket := owner(map[string]any{"type": "s3", "endpoint": "http://host:1", "bucket": "b", "access_key": "a", "secret_key": "s"})
	container := owner(map[string]any{"type": "swift", "auth_address": "http://host/v3", "user": "p:u", "key": "k", "container": "c"})
	for at, want := range map[backends.Locator][3]bool{
		"file:///data/one/id":                {true, false, false},
		"filesystem:///two/id":               {true, false, false},
		"file:///data/one2/id":               {},
		"http:///two/id":                     {},
		"s3://a:s@host:1/b/id":               {false, true, false},
		"swift+http://p%3Au:k@host/v3/c/id":  {false, false, true},
		"swift+http://p%3Au:k@host/v3/c2/id": {},
	} {
		if got := [3]bool{folders(at), bucket(at), container(at)}; got != want {
			t.Errorf("%s: %v", at, got)
		}
	}
	if owner(map[string]any{"type": "http"}) != nil {
		t.Error("a web store owns places")
	}
}
