// Command testreport runs go test and tells what matters of it: a line for each
// package with its time, the output of what failed, the slowest tests, and the
// tests that were skipped, in one line. Under CI=true a skipped test is a failure.
package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// event is a line of go test -json.
type event struct {
	Action  string
	Package string
	Test    string
	Elapsed float64
	Output  string
}

type result struct {
	name    string
	seconds float64
}

// report gathers events.
type report struct {
	out            io.Writer
	output         map[string][]string // of tests that still run, and of packages
	passed, failed int
	skipped        []string
	slow           []result
	buildFailed    bool
	failedPackage  map[string]bool
}

func main() {
	args := append([]string{"test", "-json", "-timeout", "20m"}, os.Args[1:]...)
	os.Exit(run(args, os.Getenv("CI") == "true"))
}

func run(args []string, ci bool) int {
	cmd := exec.CommandContext(context.Background(), "go", args...)
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		return 1
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		return 1
	}
	r := &report{out: os.Stdout, output: map[string][]string{}, failedPackage: map[string]bool{}}
	r.read(pipe)
	waitErr := cmd.Wait()
	return r.close(ci, waitErr)
}

func (r *report) read(in io.Reader) {
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, 1<<20), 64<<20)
	for s.Scan() {
		var e event
		if json.Unmarshal(s.Bytes(), &e) != nil {
			fmt.Fprintln(r.out, s.Text()) // not of go test: a build's own words
			continue
		}
		r.take(e)
	}
}

func (r *report) take(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		if e.Action == "build-output" {
			fmt.Fprint(r.out, e.Output)
			return
		}
		r.output[key] = append(r.output[key], e.Output)
	case "build-fail":
		r.buildFailed = true
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.ended(e)
			return
		}
		r.test(e)
		delete(r.output, key)
	}
}

// test counts one test. Subtests are part of theirs, but for what they say when
// they fail and for being skipped.
func (r *report) test(e event) {
	name := strings.TrimPrefix(e.Package, "glimpse/") + "." + e.Test
	top := !strings.Contains(e.Test, "/")
	switch e.Action {
	case "skip":
		r.skipped = append(r.skipped, name)
	case "fail":
		fmt.Fprintf(r.out, "--- FAIL: %s (%.2f s)\n%s", name, e.Elapsed, strings.Join(r.output[e.Package+" "+e.Test], ""))
		if top {
			r.failed++
		}
	case "pass":
		if top {
			r.passed++
		}
	}
	if top {
		r.slow = append(r.slow, result{name, e.Elapsed})
	}
}

// ended prints a package's line, and its own output where it failed outside a
// test.
func (r *report) ended(e event) {
	name := e.Package
	switch e.Action {
	case "pass":
		fmt.Fprintf(r.out, "ok  \t%s\t%.1fs\n", name, e.Elapsed)
	case "skip":
		// no test files
	default:
		fmt.Fprintf(r.out, "%sFAIL\t%s\t%.1fs\n", strings.Join(r.output[e.Package+" "], ""), name, e.Elapsed)
		for key, lines := range r.output { // tests that never ended
			if strings.HasPrefix(key, e.Package+" ") && key != e.Package+" " {
				fmt.Fprintf(r.out, "--- did not end: %s\n%s", key, strings.Join(lines, ""))
			}
		}
		r.failedPackage[name] = true
	}
}

// close prints the summary and returns the exit code.
func (r *report) close(ci bool, waitErr error) int {
	slices.SortFunc(r.slow, func(a, b result) int { return cmp.Compare(b.seconds, a.seconds) })
	fmt.Fprint(r.out, "slowest:")
	for _, s := range r.slow[:min(10, len(r.slow))] {
		fmt.Fprintf(r.out, " %s %.1fs;", s.name, s.seconds)
	}
	fmt.Fprintln(r.out)
	if len(r.skipped) > 0 {
		fmt.Fprintln(r.out, "skipped:", strings.Join(r.skipped, ", "))
	}
	if r.failed == 0 && (r.buildFailed || len(r.failedPackage) > 0) {
		r.failed = max(1, len(r.failedPackage)) // outside a test, or it did not build
	}
	code := 0
	if waitErr != nil || r.failed > 0 || r.buildFailed || len(r.failedPackage) > 0 {
		code = 1
	}
	if ci && len(r.skipped) > 0 {
		fmt.Fprintln(r.out, "FAIL: under CI=true nothing may be skipped")
		code = 1
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, len(r.skipped))
	return code
}
