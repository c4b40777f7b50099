package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"glimpse/cmd/glimpse/config"
	"glimpse/registry/memstore"
)

func TestAFolderThatIsSaidToBeShared(t *testing.T) {
	s := memstore.New(time.Minute)
	clustered := func(folder string, keys ...any) config.Config {
		c := config.Default()
		c.Cluster.Label = "x"
		c.Stores = map[string]config.Store{"main": {"type": "file", "path": folder, "shared": true}}
		for i := 0; i < len(keys); i += 2 {
			c.Stores["main"][keys[i].(string)] = keys[i+1]
		}
		return c
	}
	folder := filepath.Join(t.TempDir(), "images")
	var nodes sync.WaitGroup
	for range 8 {
		nodes.Go(func() {
			if err := checkShared(t.Context(), clustered(folder), s); err != nil {
				t.Error(err)
			}
		})
	}
	nodes.Wait()
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
		t.Errorf("%v %v", left, err)
	}
	if err := checkShared(t.Context(), clustered(folder, "read_only", true), s); err != nil {
		t.Error(err)
	}
	// Not mounted, on one of the nodes: the place is there, and empty.
	if err := os.Rename(folder, folder+"-elsewhere"); err != nil {
		t.Fatal(err)
	}
	for _, readOnly := range []bool{true, false, true} {
		err := checkShared(t.Context(), clustered(folder, "read_only", readOnly), s)
		if err == nil || !strings.Contains(err.Error(), "stores.main") {
			t.Errorf("read-only %v: %v", readOnly, err)
		}
	}
	if err := checkShared(t.Context(), clustered(folder, "shared", false), s); err != nil {
		t.Errorf("a folder of its own: %v", err)
	}
	client := clustered(folder, "read_only", true)
	client.Node.Role = "client"
	if err := checkShared(t.Context(), client, s); err != nil {
		t.Errorf("a client, which does not read it: %v", err)
	}
	alone := clustered(folder)
	alone.Cluster.Label = ""
	if err := checkShared(t.Context(), alone, s); err != nil {
		t.Errorf("one node: %v", err)
	}
}
