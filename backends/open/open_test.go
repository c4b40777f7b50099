package open

import (
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
