package open

import (
	"maps"
	"strings"
	"testing"

	"glimpse/backends"
)

func TestKeysOfSwift(t *testing.T) {
	keys := func(more map[string]any) map[string]any {
		all := map[string]any{"type": "swift", "auth_address": "https://keystone:5000/v3", "user": "service:glance", "key": "hush"}
		maps.Copy(all, more)
		return all
	}
	c, err := Decode("obj", keys(map[string]any{"large_object_chunk_size": 200, "large_object_size": "2MiB"}), Dirs{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), "obj", c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if caps := s.Caps(); caps.PartSize != 200*1000*1024 || !caps.NoReplace || caps.ReadOnly {
		t.Errorf("%+v", caps)
	}
	if p := c.Driver.Properties(); p["container"] != "glance" || p["large_object_size"] != int64(2<<20) || len(p) != 3 {
		t.Errorf("%v", p)
	}
	// A node's uploads are gathered in chunks of 4 MiB.
	for asked, want := range map[any]int64{200: 48 * 4 << 20, "64MiB": 64 << 20, "70MB": 16 * 4 << 20, 1: 4 << 20} {
		c, err := Decode("obj", keys(map[string]any{"large_object_chunk_size": asked}), Dirs{})
		if err != nil {
			t.Fatal(err)
		}
		c.Chunk = 4 << 20
		s, err := Open(t.Context(), "obj", c)
		if err != nil || s.Caps().PartSize != want {
			t.Fatalf("%v: parts of %d bytes, want %d, %v", asked, s.Caps().PartSize, want, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	for want, more := range map[string]map[string]any{
		"create_container_on_put: true": {"multi_tenant": true},
		"auth_version: 3":               {"multi_tenant": true, "create_container_on_put": true, "auth_version": 1},
		"multiple_containers_seed":      {"multi_tenant": true, "multiple_containers_seed": 1},
		"config_file":                   {"multi_tenant": true, "config_file": "x"},
		"can't be read":                 {"config_file": "nowhere"},
		"retry_get_count":               {"retry_get_count": 3},
		"admin_tenants":                 {"admin_tenants": []string{"a"}},
		"endpoint":                      {"service_type": "other"},
		"user":                          {"user": "glance"},
		"not a size":                    {"large_object_size": "big"},
	} {
		c, err := Decode("obj", keys(more), Dirs{})
		if err == nil {
			_, err = Open(t.Context(), "obj", c)
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", want, err)
		}
	}
	if c, err = Decode("obj", keys(map[string]any{"multi_tenant": true, "read_only": true}), Dirs{}); err != nil {
		t.Fatal(err)
	}
	s, err = Open(t.Context(), "obj", c)
	if err != nil {
		t.Fatal("read-only", err)
	}
	defer s.Close()
	if _, ok := backends.TenantsOf(s); !ok {
		t.Error("not a store of users' accounts")
	}
}
