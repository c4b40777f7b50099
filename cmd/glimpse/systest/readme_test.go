package systest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// block is a list of commands in the README, under its name.
var block = regexp.MustCompile("(?s)<!-- test: (\\w+) -->\n```console\n(.*?)```")

// shell runs commands as somebody would who stands in the project's folder; its
// files are copies.
func shell(t *testing.T, commands string) {
	t.Helper()
	dir := t.TempDir()
	for _, f := range []string{"README.md", "glimpse.example.yaml"} {
		b, err := os.ReadFile(filepath.Join("..", "..", "..", f))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, f), b, 0o600))
	}
	must(t, os.Mkdir(filepath.Join(dir, "bin"), 0o755))
	must(t, os.Symlink(testenv.Binary(t), filepath.Join(dir, "bin", "glimpse")))
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", commands)
	cmd.Dir = dir
	cmd.Env = append(testenv.Environ(), "PATH=/usr/bin:"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\n%s", err, commands, out)
	}
}

func TestTheCommandsOfTheREADME(t *testing.T) {
	testenv.Need(t, "curl", "openstack")
	b, err := os.ReadFile("../../../README.md")
	must(t, err)
	blocks := block.FindAllStringSubmatch(string(b), -1)
	if len(blocks) < 3 {
		t.Fatalf("only %d blocks of commands", len(blocks))
	}
	n := testenv.Glimpse(t)
	for _, m := range blocks {
		t.Run(m[1], func(t *testing.T) { shell(t, strings.ReplaceAll(m[2], "127.0.0.1:9292", n.API)) })
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
	shell(t, strings.Join(commands, "\n")+"\ncmp README.md first.img\n")
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
