package systest

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

func TestTheCommandsOfTheREADME(t *testing.T) {
	testenv.Need(t, "curl", "openstack")
	all := testenv.Commands(t)
	if len(all) < 4 {
		t.Fatalf("only %d blocks of commands", len(all))
	}
	delete(all, "cluster") // run by the test of cmd/localcluster
	n := testenv.Glimpse(t)
	for name, commands := range all {
		t.Run(name, func(t *testing.T) {
			testenv.Shell(t, testenv.Desk(t), strings.ReplaceAll(commands, "127.0.0.1:9292", n.API))
		})
	}
}

// What a node prints on embedded defaults is what a newcomer types next.
func TestTheCommandsThatANodePrints(t *testing.T) {
	testenv.Need(t, "curl", "openstack")
	n := testenv.Glimpse(t)
	_, text, ok := strings.Cut(n.Log(), "in another terminal:\n")
	if !ok {
		t.Fatalf("nothing is printed: %s", n.Log())
	}
	var commands []string
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, "  ") {
			commands = append(commands, strings.TrimSpace(l))
		}
	}
	testenv.Shell(t, testenv.Desk(t), strings.Join(commands, "\n")+"\ncmp README.md first.img\n")
}

func TestInterruptEndsANode(t *testing.T) {
	n := testenv.Glimpse(t)
	n.Signal(syscall.SIGINT)
	select {
	case <-n.Ended():
	case <-time.After(10 * time.Second):
		t.Error("Ctrl-C does not end it")
	}
	if !strings.Contains(n.Log(), "stopped") {
		t.Error("it does not say so")
	}
	n.Reaped()
}

func TestASecondNodeOnTheSameFolderIsRefused(t *testing.T) {
	n := testenv.Glimpse(t)
	out, err := exec.CommandContext(t.Context(), testenv.Binary(t), "serve", "--set", "data_dir="+n.Dir, "--set", "listen.api=127.0.0.1:0", "--set", "listen.ops=127.0.0.1:0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another node") {
		t.Errorf("%v: %s", err, out)
	}
}
