// Command teeth shows that the tests bite: it builds the product with one defence
// off at a time, and the test named beside it must then fail. A test that does not
// is worth nothing, and neither is a defence whose absence nobody notices.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"glimpse/cmd/overlay"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	within := flag.Duration("within", 0, "try them in a random order for so long; 0: all, one after the other")
	flag.Parse()
	only := regexp.MustCompile(strings.Join(flag.Args(), "|")) // no argument: all
	if err := run(ctx, os.Stdout, only, *within); err != nil {
		fmt.Fprintln(os.Stderr, "teeth:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, only *regexp.Regexp, within time.Duration) error {
	dir, err := os.MkdirTemp("", "glimpse-teeth-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if within > 0 {
		rand.Shuffle(len(defences), func(i, j int) { defences[i], defences[j] = defences[j], defences[i] })
	}
	begin := time.Now()
	var blunt []string
	tried := 0
	for _, d := range defences {
		if !only.MatchString(d.name) {
			continue
		}
		if within > 0 && time.Since(begin) > within {
			break
		}
		tried++
		start := time.Now()
		err := d.bite(ctx, dir)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		verdict := "fails without it"
		if err != nil {
			verdict = err.Error()
			blunt = append(blunt, d.name)
		}
		fmt.Fprintf(out, "%-22s %s %s: %s (%.1f s)\n", d.name, d.pkg, d.test, verdict, time.Since(start).Seconds())
	}
	if tried == 0 {
		return errors.New("no defence has that name")
	}
	if len(blunt) > 0 {
		return fmt.Errorf("%d of %d defences are not tested: %s", len(blunt), tried, strings.Join(blunt, ", "))
	}
	fmt.Fprintf(out, "%d of %d defences were taken away, and each was missed\n", tried, len(defences))
	return nil
}

// A defence is a line of the product that guards something, and the test that
// must notice when it is gone.
type defence struct {
	name     string
	file     string
	old, off string // a text that is in the file once, and what stands there when the defence is off
	pkg      string
	test     string // as for go test -run
}

// bite runs the test with the defence off. An error says that it didn't notice.
func (d defence) bite(ctx context.Context, dir string) error {
	file, err := overlay.Write(dir, ".", overlay.Change{File: d.file, Old: d.old, New: d.off})
	if err != nil {
		return err
	}
	env := append(os.Environ(), "GOFLAGS=-overlay="+file) // the node that system tests build has it too
	if out, err := goTool(ctx, env, "vet", "./"+filepath.Dir(d.file)); err != nil {
		return fmt.Errorf("does not build without it: %s", out)
	}
	out, err := goTool(ctx, env, "test", "-count=1", "-timeout=40s", "-run", d.test, "./"+d.pkg)
	switch {
	case err == nil:
		return errors.New("PASSES WITHOUT IT")
	case bytes.Contains(out, []byte("--- FAIL")), bytes.Contains(out, []byte("panic: ")):
		return nil
	}
	return fmt.Errorf("could not be run: %s", out)
}

func goTool(ctx context.Context, env []string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = env
	return cmd.CombinedOutput()
}
