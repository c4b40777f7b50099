// Package testenv gives tests the real servers that they are run against. A
// server is started once in a test process, on loopback with all its files under
// a temporary folder, and stopped by Main.
package testenv

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// Need skips the test with one line when one of the programs is not installed,
// and fails it under CI=true, where nothing may be left out.
func Need(t testing.TB, bins ...string) {
	t.Helper()
	if missing := lacks(bins...); len(missing) > 0 {
		without(t, "not installed: "+strings.Join(missing, ", "))
	}
}

// lacks returns those of the programs that are not installed.
func lacks(bins ...string) (missing []string) {
	for _, bin := range bins {
		if _, err := find(bin); err != nil {
			missing = append(missing, bin)
		}
	}
	return missing
}

// NeedFile is Need for a file that a package brings.
func NeedFile(t testing.TB, path string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		without(t, "not installed: "+path)
	}
}

func without(t testing.TB, msg string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(msg)
	}
	t.Skip(msg)
}

// find looks for a program on the PATH and where servers use to lie, which is
// not on every user's PATH.
func find(bin string) (string, error) {
	path, err := exec.LookPath(bin)
	if err == nil {
		return path, nil
	}
	dirs := []string{"/usr/sbin/", "/usr/local/sbin/", "/sbin/"}
	if cache, err := os.UserCacheDir(); err == nil { // what .ci/deps has built
		dirs = append(dirs, cache+"/glimpse-servers/")
	}
	for _, dir := range dirs {
		if p, err := exec.LookPath(dir + bin); err == nil {
			return p, nil
		}
	}
	return "", err
}

// Main runs a package's tests, looks for goroutines left behind, stops what
// AtExit was told of, and exits. TestMain calls it.
func Main(m *testing.M, opts ...goleak.Option) {
	goleak.VerifyTestMain(m, append(opts, goleak.Cleanup(func(code int) {
		Stop()
		os.Exit(code)
	}))...)
}

// exits are the functions to run at the end of the process, which outlive any
// one test and so can't hang on a testing.TB.
var exits struct {
	sync.Mutex
	fns []func()
}

// AtExit has fn run by Stop.
func AtExit(fn func()) {
	exits.Lock()
	defer exits.Unlock()
	exits.fns = append(exits.fns, fn)
}

// Stop runs what AtExit was given, last first, each once. A TestMain that
// doesn't use Main calls it before it exits.
func Stop() {
	exits.Lock()
	fns := exits.fns
	exits.fns = nil
	exits.Unlock()
	for _, fn := range slices.Backward(fns) {
		fn()
	}
}
