package systest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glimpse/cmd/testenv"
)

// The store commands beside a running node: a copy that saves an image when its
// first store is lost, and a flipped bit that verify finds.
func TestTheStoreCommands(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	n := testenv.Glimpse(t, "stores.main.path="+first, "stores.second.type=file", "stores.second.path="+second)
	c, file := on(t, n.API), filepath.Join(t.TempDir(), "in")
	random(t, file, 9<<20+5)
	id := c.create("copied", "raw")
	c.upload(id, file)
	store := func(args ...string) (string, error) {
		return testenv.TryRun(t, nil, testenv.Binary(t), append(append([]string{"store"}, args...), n.Args()...)...)
	}
	check := func(want string, args ...string) {
		t.Helper()
		out, err := store(args...)
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("store %v: %v\n%s", args, err, out)
		}
	}
	check("takes uploads", "list")
	check("written, read, deleted", "check")
	check("1 copied, 0 there already, 0 failed", "copy", "--all", "--to", "second")
	check("0 copied, 1 there already, 0 failed", "copy", "--all", "--to", "second")
	check("1 images read, 0 bad", "verify", "second")
	if entries, err := os.ReadDir(first); err != nil || len(entries) != 1 {
		t.Errorf("%d files in the first store, %v", len(entries), err)
	}

	n.Stop()
	must(t, os.Remove(filepath.Join(first, id)))
	must(t, os.RemoveAll(filepath.Join(n.Dir, "cache")))
	n.Start()
	c.same(id, file) // from the second store
	if out, err := store("verify", "main"); err == nil || !strings.Contains(out+err.Error(), id+": is not in the store") {
		t.Errorf("a lost file is not found: %v\n%s", err, out)
	}

	copies, err := filepath.Glob(filepath.Join(second, id+"-*"))
	if err != nil || len(copies) != 1 {
		t.Fatalf("%v, %v", copies, err)
	}
	must(t, flip(copies[0], 5<<20, 1))
	out, err := store("verify", "second")
	if err == nil || !strings.Contains(out+err.Error(), id+": chunks [1] differ from the manifest") {
		t.Errorf("a flipped bit is not found: %v\n%s", err, out)
	}
	if strings.Contains(out, second) {
		t.Errorf("a location is printed: %s", out)
	}

	check("an image was read", "check", "second", "--set", "stores.second.read_only=true")
	must(t, os.Remove(copies[0]))
	if out, err := store("check", "second", "--set", "stores.second.read_only=true"); err == nil {
		t.Errorf("a store without its image passes: %s", out)
	}
}
