package open

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestKeysAreReadAndUnknownOnesRefused(t *testing.T) {
	dir := t.TempDir()
	c, err := Decode("main", map[string]any{"type": "file", "path": "images", "rate_limit": "1MiB", "cache": "on"}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if c.Paths[0].Path != filepath.Join(dir, "images") || c.RateLimit != 1<<20 || !c.Unshared() {
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
	} {
		if _, err := Decode("main", bad, dir); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w, err := Decode("web", map[string]any{"type": "http", "allowed_hosts": []string{"mirror"}, "timeout": "5s"}, dir)
	if err != nil || len(w.AllowedHosts) != 1 || w.Timeout != 5*time.Second || w.Unshared() {
		t.Errorf("got %+v, %v", w, err)
	}
	if s, err = Open(t.Context(), "web", w); err != nil || !s.Caps().ReadOnly {
		t.Errorf("%v", err)
	}
	for _, kind := range []string{"", "s3", "floppy"} {
		if _, err := Open(t.Context(), "main", Config{Type: kind}); err == nil {
			t.Errorf("type %q is opened", kind)
		}
	}
}
