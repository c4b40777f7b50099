package systest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// Twenty nodes on one machine whose processors have more to do than they can:
// nobody is taken for dead who only is slow. With GLIMPSE_SOAK (make soak) it
// takes ten minutes.
func TestBusyNodesAreNotTakenForDead(t *testing.T) {
	length := time.Duration(rounds(10, 60)) * time.Second
	if os.Getenv("GLIMPSE_SOAK") != "" {
		length = 10 * time.Minute
	}
	dsn, images, join := testenv.MariaDB(t), t.TempDir(), ""
	var nodes []*testenv.Node
	for i := range 20 {
		own := append(testenv.Member(t, fmt.Sprint("n", i+1), dsn, join, images), "cache.memory.size=32MiB", "registry.max_open_conns=2")
		if join == "" {
			join = own[1][len("listen.gossip="):]
		}
		nodes = append(nodes, testenv.Glimpse(t, own...))
	}
	together(t, nodes...)
	gone := func() (lines []string) {
		for i, n := range nodes {
			for line := range strings.Lines(n.Log()) {
				if strings.Contains(line, "a node is gone") {
					lines = append(lines, fmt.Sprintf("node %d: %s", i+1, line))
				}
			}
		}
		return lines
	}
	loops := 2 * runtime.NumCPU()
	for range loops {
		busy := exec.CommandContext(t.Context(), "sh", "-c", "while :; do :; done")
		busy.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		must(t, busy.Start())
		t.Cleanup(func() { _ = busy.Process.Kill(); _ = busy.Wait() })
	}
	time.Sleep(length)
	for _, line := range gone() {
		t.Error(line)
	}
	t.Logf("%d nodes and %d busy loops on %d processors for %v", len(nodes), loops, runtime.NumCPU(), length)
	together(t, nodes...)
	// One that really hangs is missed by all others.
	nodes[7].Signal(syscall.SIGSTOP)
	defer nodes[7].Signal(syscall.SIGCONT)
	begun := time.Now()
	for len(gone()) < len(nodes)-1 {
		if time.Since(begun) > 2*time.Minute {
			t.Fatalf("only %d nodes miss one that hangs", len(gone()))
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("a node that hangs was missed by all after %v", time.Since(begun).Round(time.Second))
}
