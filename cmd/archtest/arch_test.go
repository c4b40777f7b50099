package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed says what each package, or all below one that ends in /..., may import
// of this module. What is not named may import nothing of it.
var allowed = map[string][]string{
	"cmd/...":                {"..."},
	"bench":                  {"cmd/testenv"},
	"bench/sim":              {"cachestore", "cachestore/chunk", "cachestore/disk", "cachestore/evict", "cachestore/vfs"},
	"proxy":                  {"proxy/ops", "proxy/identity", "proxy/policy", "proxy/view", "proxy/jsonpatch", "registry", "registry/image", "cachestore/chunk"},
	"proxy/ops":              {"proxy/ops/inspect", "registry", "registry/image", "cachestore/chunk", "backends"},
	"proxy/modeltest":        {},
	"proxy/ops/inspect":      {},
	"proxy/identity":         {"registry/image"},
	"proxy/view":             {"registry/image"},
	"proxy/policy":           {},
	"proxy/jsonpatch":        {},
	"registry":               {"registry/image"},
	"registry/image":         {},
	"registry/sqlstore/...":  {"registry", "registry/image", "registry/sqlstore/..."},
	"registry/memstore":      {"registry", "registry/image"},
	"registry/registrytest":  {"registry", "registry/image"},
	"cachestore":             {"cachestore/chunk", "cachestore/evict", "cachestore/vfs", "cachestore/disk"},
	"cachestore/disk":        {"cachestore/chunk", "cachestore/evict", "cachestore/vfs"},
	"cachestore/chunk":       {},
	"cachestore/evict":       {},
	"cachestore/vfs":         {"cachestore/vfs/direct"},
	"cachestore/vfs/direct":  {},
	"cachestore/vfs/faultfs": {"cachestore/vfs"},
	"cluster":                {"cachestore/chunk", "cluster/ring"},
	"cluster/ring":           {"cachestore/chunk"},
	"cluster/...":            {"cachestore/chunk", "cluster", "cluster/ring"},
	"cluster/ca":             {},
	"cluster/serve":          {"cachestore/chunk", "cluster", "cluster/ca", "cluster/wire"},
	"cluster/peers":          {"cachestore/chunk", "cluster", "cluster/ring", "cluster/ca", "cluster/wire"},
	"cluster/replicator":     {"cachestore/chunk", "cluster", "cluster/ring", "cluster/wire"},
	"cluster/edge":           {"cluster", "cluster/ring", "cluster/wire"},
	"cluster/clustertest":    {"cachestore/chunk", "cluster", "cluster/ring", "cluster/serve", "cluster/wire"},
	"backends":               {"cachestore/chunk"},
	"backends/open":          {"backends", "backends/file", "backends/rbd", "backends/s3", "backends/swift", "backends/web"},
	"backends/file":          {"backends", "cachestore/chunk", "cachestore/vfs/direct"},
	"backends/...":           {"backends", "backends/httpread", "cachestore/chunk"},
}

// standard import the standard library only.
var standard = []string{"registry/image", "cachestore/chunk", "cachestore/evict", "cluster/ca", "proxy/policy", "proxy/jsonpatch", "proxy/ops/inspect", "proxy/view"}

const module = "glimpse/"

type pkg struct {
	ImportPath string
	Doc        string
	Imports    []string
}

func matches(pattern, path string) bool {
	if below, ok := strings.CutSuffix(pattern, "..."); ok {
		return strings.HasPrefix(path+"/", below)
	}
	return pattern == path
}

// rule returns what path may import: the most exact entry counts.
func rule(path string) ([]string, bool) {
	best := ""
	for pattern := range allowed {
		if matches(pattern, path) && (best == "" || !strings.HasSuffix(pattern, "...") || strings.HasSuffix(best, "...") && len(pattern) > len(best)) {
			best = pattern
		}
	}
	return allowed[best], best != ""
}

// broken lists what in p breaks the rules.
func broken(p pkg) (found []string) {
	path := strings.TrimPrefix(p.ImportPath, module)
	rules, known := rule(path)
	if !known {
		found = append(found, path+" is in no rule")
	}
	if p.Doc == "" {
		found = append(found, path+" has no package comment")
	}
	for _, imp := range p.Imports {
		own, isOwn := strings.CutPrefix(imp, module)
		switch {
		case isOwn && !slices.ContainsFunc(rules, func(r string) bool { return matches(r, own) }):
			found = append(found, path+" imports "+own)
		case !isOwn && strings.Contains(strings.Split(imp, "/")[0], ".") && slices.Contains(standard, path):
			found = append(found, path+" imports "+imp+", and may import the standard library only")
		case imp == "github.com/valyala/fasthttp" && path != "proxy" && !strings.HasPrefix(path, "cmd/"):
			found = append(found, path+" knows of fasthttp")
		}
	}
	return found
}

func packages(t *testing.T) (all []pkg) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Doc,Imports", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestTheDirectionOfImports(t *testing.T) {
	all := packages(t)
	if len(all) < 20 {
		t.Fatalf("only %d packages found", len(all))
	}
	for _, p := range all {
		for _, what := range broken(p) {
			t.Error(what)
		}
	}
}

// The check must be able to fail.
func TestABrokenRuleIsFound(t *testing.T) {
	for name, p := range map[string]pkg{
		"upwards":         {"glimpse/registry", "x", []string{"glimpse/proxy"}},
		"sideways":        {"glimpse/backends/file", "x", []string{"glimpse/backends/mem"}},
		"across planes":   {"glimpse/cachestore", "x", []string{"glimpse/registry"}},
		"a library":       {"glimpse/registry/image", "x", []string{"github.com/google/uuid"}},
		"fasthttp":        {"glimpse/proxy/ops", "x", []string{"github.com/valyala/fasthttp"}},
		"no comment":      {"glimpse/registry", "", nil},
		"unknown package": {"glimpse/utils", "x", nil},
	} {
		if len(broken(p)) != 1 {
			t.Errorf("%s: found %v", name, broken(p))
		}
	}
	if found := broken(pkg{"glimpse/proxy", "x", []string{"glimpse/registry/image", "github.com/valyala/fasthttp", "fmt"}}); len(found) > 0 {
		t.Errorf("an allowed import is refused: %v", found)
	}
}
