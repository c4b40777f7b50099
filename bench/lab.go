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

	"glimpse/cmd/testenv"
)

// lab is where one row is measured. It ends what it started, last first.
type lab struct {
	*testenv.Standalone
	options
	ctx context.Context
	out io.Writer
}

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
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return testenv.Alone(ctx, dir, out, func(s *testenv.Standalone) error { return row(&lab{s, o, ctx, out}) })
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
