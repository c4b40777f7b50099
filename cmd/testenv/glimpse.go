package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"glimpse/cmd/overlay"
)

// buildGlimpse builds the node once for the process.
var buildGlimpse = sync.OnceValues(func() (string, error) { return build("CGO_ENABLED=0") })

// buildRace builds the node with the race detector in it; a race is in its log, for
// which Stop looks.
var buildRace = sync.OnceValues(func() (string, error) { return build("CGO_ENABLED=1", "-race") })

// build builds a node in a folder of its own.
func build(env string, args ...string) (string, error) {
	dir, err := os.MkdirTemp("", "glimpse-bin-")
	if err != nil {
		return "", err
	}
	AtExit(func() { _ = os.RemoveAll(dir) })
	bin := filepath.Join(dir, "glimpse")
	cmd := exec.Command("go", append(append([]string{"build", "-trimpath"}, args...), "-o", bin, "glimpse/cmd/glimpse")...)
	cmd.Env = append(os.Environ(), env)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return bin, nil
}

// Binary returns the built node.
func Binary(t testing.TB) string {
	t.Helper()
	bin, err := buildGlimpse()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// Changed builds a node from the source with some texts changed, which stands for
// another version.
func Changed(changes ...overlay.Change) (string, error) {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	dir, err := os.MkdirTemp("", "glimpse-changed-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	file, err := overlay.Write(dir, filepath.Dir(strings.TrimSpace(string(mod))), changes...)
	if err != nil {
		return "", err
	}
	return build("CGO_ENABLED=0", "-overlay="+file)
}

// Node is a running Glimpse with a data folder of its own.
type Node struct {
	t        testing.TB
	bin      string
	Dir      string // data_dir
	API, Ops string // host:port
	file     string // of its configuration; "": none
	whole    bool   // the file says all
	sets     []string
	p        *process
	in       func(func() error) error // runs what starts the process; nil: here
}

// Glimpse starts a node on free ports. sets are configuration keys, as in
// "cache.memory.size=64MiB". It is stopped when the test ends, and the test fails
// if it did not end well.
func Glimpse(t testing.TB, sets ...string) *Node {
	t.Helper()
	return node(t, Binary(t), sets)
}

func node(t testing.TB, bin string, sets []string) *Node {
	t.Helper()
	n := prepared(t, bin, sets)
	n.Start()
	return n
}

// Prepared is Glimpse without a Start.
func Prepared(t testing.TB, sets ...string) *Node {
	t.Helper()
	return prepared(t, Binary(t), sets)
}

func prepared(t testing.TB, bin string, sets []string) *Node {
	t.Helper()
	n := &Node{t: t, bin: bin, Dir: t.TempDir(), sets: sets}
	n.API, n.Ops = address(t), address(t)
	t.Cleanup(n.stopped)
	return n
}

// stopped stops a node that runs.
func (n *Node) stopped() {
	if n.p != nil {
		n.Stop()
	}
}

func address(t testing.TB) string {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// Configured is Glimpse with a configuration file, which sets override.
func Configured(t testing.TB, file string, sets ...string) *Node {
	t.Helper()
	n := prepared(t, Binary(t), sets)
	n.file = file
	n.Start()
	return n
}

// Filed is a node that is as its configuration file says, where dir is its data_dir
// and api and ops are its listeners. It is not started.
func Filed(t testing.TB, file, dir, api, ops string) *Node {
	t.Helper()
	n := &Node{t: t, bin: Binary(t), Dir: dir, API: api, Ops: ops, file: file, whole: true}
	t.Cleanup(n.stopped)
	return n
}

// Args are the node's arguments after a command such as serve.
func (n *Node) Args() []string {
	if n.whole {
		return []string{"--config", n.file}
	}
	all := append([]string{"data_dir=" + n.Dir, "listen.api=" + n.API, "listen.ops=" + n.Ops, "cache.memory.size=256MiB"}, n.sets...)
	args := make([]string, 0, 2*len(all)+2)
	if n.file != "" {
		args = append(args, "--config", n.file)
	}
	for _, s := range all {
		args = append(args, "--set", s)
	}
	return args
}

// Become has the node run another binary from its next Start on.
func (n *Node) Become(bin string) { n.bin = bin }

// Binary is what the node runs, or will.
func (n *Node) Binary() string { return n.bin }

// Start starts the node again, with further keys, and waits until it is ready.
func (n *Node) Start(sets ...string) {
	n.t.Helper()
	n.sets = append(n.sets, sets...)
	var err error
	in := n.in
	if in == nil {
		in = func(fn func() error) error { return fn() }
	}
	err = in(func() (err error) {
		n.p, err = launch(n.Dir+".log", nil, n.bin, append([]string{"serve"}, n.Args()...)...)
		return err
	})
	if err == nil {
		err = n.p.answers("http://"+n.Ops+"/readyz", 20*time.Second)
	}
	if err != nil {
		n.t.Fatal(err)
	}
}

// Stop ends the node with SIGTERM; it must end well.
func (n *Node) Stop() {
	n.t.Helper()
	n.p.end(syscall.SIGTERM)
	if code := n.p.cmd.ProcessState.ExitCode(); code != 0 {
		n.t.Errorf("the node ended with %d: %s", code, n.tail())
	}
	for _, bad := range []string{"panic", "DATA RACE", "fatal error"} {
		if strings.Contains(n.Log(), bad) {
			n.t.Errorf("%s in the log: %s", bad, n.tail())
		}
	}
	n.p = nil
}

// Kill ends the node at once, as a crash would.
func (n *Node) Kill() { n.p.end(syscall.SIGKILL); n.p = nil }

// Signal sends a signal; Ended is closed when the process has ended.
func (n *Node) Signal(s os.Signal) { _ = n.p.cmd.Process.Signal(s) }

// Ended is closed when the process has ended; the test may then call Reaped.
func (n *Node) Ended() <-chan struct{} { return n.p.done }

// Reaped tells that a node which the test ended by Signal needs no Stop.
func (n *Node) Reaped() { n.p = nil }

// PID is the process's.
func (n *Node) PID() int { return n.p.cmd.Process.Pid }

// URL is an address of the Image API.
func (n *Node) URL(path string) string { return "http://" + n.API + path }

// Log is all that the node has written since it was first started.
func (n *Node) Log() string {
	b, err := os.ReadFile(n.Dir + ".log")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (n *Node) tail() string {
	l := n.Log()
	return l[max(0, len(l)-4000):]
}
