package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// cephTags are the build tags of the rbd store; "" where it can't be built.
var cephTags = sync.OnceValues(func() (string, error) {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	out, err := exec.Command(filepath.Join(filepath.Dir(strings.TrimSpace(string(mod))), ".ci", "ceph-tags")).Output()
	if err != nil {
		return "", fmt.Errorf("ceph-tags: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
})

var buildCeph = sync.OnceValues(func() (string, error) {
	tags, err := cephTags()
	if err != nil {
		return "", err
	}
	return build("CGO_ENABLED=1", "-tags", tags)
})

// lacksCeph is what is missing for a node with the rbd store and a cluster.
func lacksCeph(t testing.TB) []string {
	t.Helper()
	tags, err := cephTags()
	if err != nil {
		t.Fatal(err)
	}
	missing := lacks(cephPrograms...)
	if tags == "" {
		missing = append(missing, "gcc, librados-dev or librbd-dev")
	}
	return missing
}

// HasCeph says whether there is all that a test with the rbd store needs, for tests
// that have something to do without it. Where there is not one line tells, and
// under CI=true the test fails.
func HasCeph(t testing.TB) bool {
	t.Helper()
	missing := lacksCeph(t)
	if len(missing) == 0 {
		return true
	}
	msg := "without the rbd store; not installed: " + strings.Join(missing, ", ")
	if os.Getenv("CI") == "true" {
		t.Fatal(msg)
	}
	t.Log(msg)
	return false
}

// CephBinary returns the built node with the rbd store, which needs librbd.
func CephBinary(t testing.TB) string {
	t.Helper()
	if missing := lacksCeph(t); len(missing) > 0 {
		without(t, "not installed: "+strings.Join(missing, ", "))
	}
	bin, err := buildCeph()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// CephGlimpse is Glimpse with the rbd store in the node.
func CephGlimpse(t testing.TB, sets ...string) *Node {
	t.Helper()
	return node(t, CephBinary(t), sets)
}
