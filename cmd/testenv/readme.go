package testenv

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// block is a list of commands in the README, under its name.
var block = regexp.MustCompile("(?s)<!-- test: (\\w+) -->\n```console\n(.*?)```")

// Commands are the lists of commands in the README that tests run, by name.
func Commands(t testing.TB) map[string]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(project(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, m := range block.FindAllStringSubmatch(string(b), -1) {
		all[m[1]] = m[2]
	}
	return all
}

// project is the project's folder, above that of the test.
func project(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		_, err = os.Stat(filepath.Join(dir, "go.mod"))
		if err == nil {
			return dir
		}
		if errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
			err = nil
		}
	}
	t.Fatal(err)
	return ""
}

// Desk is a folder that looks like the project's to who stands in it: it has the
// built node, and copies of the files that commands name.
func Desk(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	err := errors.Join(os.Mkdir(filepath.Join(dir, "bin"), 0o755), os.Symlink(Binary(t), filepath.Join(dir, "bin", "glimpse")))
	for _, f := range []string{"README.md", "glimpse.example.yaml"} {
		b, rerr := os.ReadFile(filepath.Join(project(t), f))
		err = errors.Join(err, rerr, os.WriteFile(filepath.Join(dir, f), b, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Shell runs commands as somebody would who stands in dir, and returns what they
// print. The test fails where one of them does, or after three minutes.
func Shell(t testing.TB, dir, commands string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", commands)
	cmd.WaitDelay = time.Second // what they started in the background holds the output, too
	cmd.Dir = dir
	cmd.Env = append(Environ(), "PATH=/usr/bin:"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s\n%s", err, commands, out)
	}
	return string(out)
}
