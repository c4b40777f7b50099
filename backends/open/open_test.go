package open

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
