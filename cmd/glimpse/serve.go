package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"glimpse/cmd/glimpse/config"
)

type serveCmd struct {
	configFlags
	Check bool `help:"Validate the configuration, say what would run, and end."`
}

// errCut ends a node whose operator did not want to wait for its transfers.
var errCut = errors.New("cut by a second signal")

func (s serveCmd) Run(ctx context.Context, out io.Writer) error {
	c, err := s.load()
	if err != nil {
		return err
	}
	if s.Check {
		return printPlan(out, c)
	}
	log := newLog(c.Log, os.Stderr)
	drain, cut, stop := signals(ctx)
	defer stop()

	n, err := build(drain, c, log)
	if err != nil {
		return err
	}
	if c.File == "" {
		printWelcome(out, c)
	}
	log.Info("serving", "version", version, "api", c.Listen.API, "ops", c.Listen.Ops, "auth", c.Auth.Mode)
	return n.run(drain, cut)
}

// signals returns a context that ends with the first SIGTERM or SIGINT, and one
// that ends with the second.
func signals(parent context.Context) (drain, cut context.Context, stop func()) {
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, syscall.SIGTERM, syscall.SIGINT)
	drain, endDrain := context.WithCancelCause(parent)
	cut, endCut := context.WithCancelCause(context.WithoutCancel(parent))
	done := make(chan struct{})
	go func() {
		for _, end := range []context.CancelCauseFunc{endDrain, endCut} {
			select {
			case <-ch:
				end(errCut)
			case <-done:
				return
			}
		}
	}()
	return drain, cut, func() {
		signal.Stop(ch)
		close(done)
		endDrain(nil)
		endCut(nil)
	}
}

// environ is the process's environment without the variables that choose the
// configuration itself.
func environ() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "GLIMPSE_CONFIG=") {
			env = append(env, kv)
		}
	}
	return env
}

func newLog(c config.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // validated
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// printPlan says what a node with this configuration would run.
func printPlan(out io.Writer, c config.Config) error {
	stores := make([]string, 0, len(c.Stores))
	for id, s := range c.Stores {
		stores = append(stores, fmt.Sprintf("%s (%v)", id, s["type"]))
	}
	slices.Sort(stores)
	file := c.File
	if file == "" {
		file = "embedded defaults"
	}
	scheme, _, _ := strings.Cut(c.Registry.URL.Reveal(), ":")
	_, err := fmt.Fprintf(out, `configuration: %s, valid
data:          %s
image api:     http://%s, auth %s
operations:    %s
registry:      %s
stores:        %s, default %s
memory tier:   %s
disk tier:     %s in %s, verify %s
`, file, c.DataDir, c.Listen.API, c.Auth.Mode, opsURL(c), scheme, strings.Join(stores, ", "), c.DefaultStore,
		c.Cache.Memory.Size, c.Cache.Disk.Size, c.Cache.Disk.Path, c.Cache.Verify)
	return err
}

// printWelcome tells a newcomer what to type next. A test runs these lines.
func printWelcome(out io.Writer, c config.Config) {
	fmt.Fprintf(out, `Glimpse serves images on http://%[1]s (data in %[2]s). Ctrl-C stops it.

Upload with curl, in another terminal:
  id=$(curl -s http://%[1]s/v2/images -H 'Content-Type: application/json' \
    -d '{"name": "first", "disk_format": "raw", "container_format": "bare"}' | sed 's/.*"id": *"\([^"]*\)".*/\1/')
  curl -T README.md -H 'Content-Type: application/octet-stream' http://%[1]s/v2/images/$id/file

Download it again:
  curl -o first.img http://%[1]s/v2/images/$id/file

Or with the openstack client:
  export OS_AUTH_TYPE=none OS_ENDPOINT=http://%[1]s
  openstack image list

`, c.Listen.API, c.DataDir)
}
