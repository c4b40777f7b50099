package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"glimpse/cmd/testenv"
)

// lab is where one row is measured. It ends what it started, last first. It is a
// testing.TB as far as cmd/testenv needs one.
type lab struct {
	testing.TB // nil: what is not below is not there
	options
	ctx     context.Context
	out     io.Writer
	folders int
	cleanup []func()
}

// errGiveUp is what Fatal throws.
type errGiveUp struct{ error }

// within runs a row in a lab of its own.
func within(ctx context.Context, out io.Writer, o options, row func(*lab) error) (err error) {
	dir, err := os.MkdirTemp(o.dir, "row-")
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	o.dir = dir
	l := &lab{options: o, ctx: ctx, out: out}
	defer func() {
		if r := recover(); r != nil {
			gaveUp, ok := r.(errGiveUp)
			if !ok {
				panic(r)
			}
			err = gaveUp.error
		}
		for i := len(l.cleanup) - 1; i >= 0; i-- {
			l.cleanup[i]()
		}
		testenv.Stop()
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	return row(l)
}

func (l *lab) Helper()                        {}
func (l *lab) Name() string                   { return "bench" }
func (l *lab) Context() context.Context       { return l.ctx }
func (l *lab) Cleanup(fn func())              { l.cleanup = append(l.cleanup, fn) }
func (l *lab) Log(args ...any)                { l.say(strings.TrimSuffix(fmt.Sprintln(args...), "\n")) }
func (l *lab) Logf(format string, a ...any)   { l.say(fmt.Sprintf(format, a...)) }
func (l *lab) Fatal(args ...any)              { panic(errGiveUp{errors.New(fmt.Sprint(args...))}) }
func (l *lab) Fatalf(format string, a ...any) { panic(errGiveUp{fmt.Errorf(format, a...)}) }
func (l *lab) Error(args ...any)              { l.Fatal(args...) }
func (l *lab) Errorf(format string, a ...any) { l.Fatalf(format, a...) }
func (l *lab) Skip(args ...any)               { l.Fatal(args...) }
func (l *lab) Skipf(format string, a ...any)  { l.Fatalf(format, a...) }

// TempDir is a folder that goes with the row.
func (l *lab) TempDir() string {
	l.folders++
	d := filepath.Join(l.dir, fmt.Sprint(l.folders))
	if err := os.Mkdir(d, 0o755); err != nil {
		l.Fatal(err)
	}
	return d
}

func (l *lab) say(line string) { fmt.Fprintln(l.out, line) }

// image makes a file of random bytes.
func (l *lab) image(size int64) string {
	name := filepath.Join(l.TempDir(), "image")
	if err := writeRandom(name, size); err != nil {
		l.Fatal(err)
	}
	return name
}

// describe says what the figures were measured on.
func describe(out io.Writer) {
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			return "unknown"
		}
		return string(bytes.TrimSpace(b))
	}
	fmt.Fprintf(out, "%d cores, Linux %s, TCP congestion control %s (glimpse uses reno on loopback connections)\n",
		runtime.NumCPU(), read("/proc/sys/kernel/osrelease"), read("/proc/sys/net/ipv4/tcp_congestion_control"))
}
