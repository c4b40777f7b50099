package main

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glimpse/cmd/testenv"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	testenv.Main(m, goleak.IgnoreAnyFunction("glimpse/cmd/testenv.launch.func1")) // it waits for a server's end
}

// free is the members on ports that nobody has.
func free(t *testing.T) []member {
	t.Helper()
	all := members(first)
	for i := range all {
		for _, at := range []*string{&all[i].api, &all[i].ops, &all[i].peer, &all[i].gossip} {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close() // when all are known: no two are one
			*at = l.Addr().String()
		}
	}
	return all
}

// The README's commands are run as they stand there, but for the ports: an image
// goes in here and comes out there, a fourth node joins, and leaves.
func TestTheREADMEScalesOutAndDrains(t *testing.T) {
	testenv.Need(t, "mariadbd", "mariadb-install-db", "curl")
	all, desk := free(t), testenv.Desk(t)
	commands := testenv.Commands(t)["cluster"]
	for i, m := range members(first) {
		commands = strings.ReplaceAll(commands, m.api, all[i].api)
	}
	dir := filepath.Join(desk, folder)
	var out bytes.Buffer
	err := run(t.Context(), &out, dir, all, func() {
		said := testenv.Shell(t, desk, commands)
		for _, want := range []string{" n4 ", "draining: "} {
			if !strings.Contains(said, want) {
				t.Errorf("nothing is said of %q:\n%s", want, said)
			}
		}
		if log, err := os.ReadFile(filepath.Join(desk, "n4.log")); !strings.Contains(string(log), "all was handed over") {
			t.Errorf("the fourth node handed nothing over: %v, %s", err, log)
		}
		// What the program prints can be typed, too.
		var status string
		for l := range strings.Lines(out.String()) {
			if strings.HasPrefix(l, "  bin/glimpse cluster status ") {
				status = l
			}
		}
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			now := testenv.Shell(t, desk, status)
			if !strings.Contains(now, " n4 ") && strings.Count(now, " ready ") == count {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("the fourth node does not leave, or not it alone:\n%s", now)
			}
		}
		// A second one is told where the first is, and takes nothing of it away.
		if err := run(t.Context(), &out, dir, all, func() { t.Error("a second cluster runs in the same folder") }); err == nil || !strings.Contains(err.Error(), dir) {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "n1.yaml")); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error("its folder stays")
	}
}
