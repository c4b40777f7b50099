package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"glimpse/cmd/testenv"
)

type daemonCmd struct{ startCmd }

// reportFD is the pipe to the one who started the daemon.
const reportFD = 3

// Run owns the servers until it is told to end.
func (d daemonCmd) Run(ctx context.Context, log io.Writer) error {
	syscall.CloseOnExec(reportFD) // no server is to hold it open
	pipe := os.NewFile(reportFD, "report")
	defer pipe.Close()
	err := d.serve(ctx, log, pipe)
	if err != nil {
		// Whoever started it may be gone; the log has it too.
		_ = json.NewEncoder(pipe).Encode(report{Failed: err.Error()})
	}
	return err
}

func (d daemonCmd) serve(ctx context.Context, log, pipe io.Writer) error {
	f, err := os.OpenFile(d.pid(), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer f.Close() // and the lock goes
	if err := take(f); err != nil {
		return err
	}
	if err := d.clean(f); err != nil {
		return err
	}
	fmt.Fprintln(f, os.Getpid())
	err = errors.Join(
		os.Truncate(d.log(), 0),
		os.Mkdir(d.data(), 0o755),
		os.Setenv("TMPDIR", d.data()), // where testenv keeps its files
	)
	if err != nil {
		return err
	}
	return d.runAll(ctx, log, pipe)
}

// started is what became of a server.
type started struct {
	server
	stores []store
	err    error
}

// runAll starts the servers side by side. Each has a goroutine that ends it when
// ctx ends; those that go on to the end of the process are stopped after that.
func (d daemonCmd) runAll(ctx context.Context, log, pipe io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer func() {
		cancel()
		wg.Wait()
		testenv.Stop()
	}()
	wanted := slices.DeleteFunc(slices.Clone(servers), func(s server) bool { return len(d.Only) > 0 && !slices.Contains(d.Only, s.name) })
	results := make(chan started, len(wanted))
	for _, s := range wanted {
		wg.Go(func() {
			if err := d.run(ctx, log, s, results); err != nil {
				results <- started{server: s, err: err}
			}
		})
	}
	var r report
	found := map[string][]store{}
	for range wanted {
		got := <-results
		if got.err != nil {
			fmt.Fprintf(log, "%s: %v\n", got.name, got.err)
			why, _, _ := strings.Cut(got.err.Error(), "\n")
			r.LeftOut = append(r.LeftOut, fmt.Sprintf("left out: %s (%s)", got.name, why))
		}
		found[got.name] = got.stores
	}
	if ctx.Err() != nil {
		return errors.New("told to end")
	}
	return d.ready(ctx, r, found, pipe)
}

// run starts a server, says so, and keeps it until ctx ends. An error means that
// nothing was said.
func (d daemonCmd) run(ctx context.Context, log io.Writer, s server, results chan<- started) error {
	dir := filepath.Join(d.data(), s.name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return testenv.Alone(ctx, dir, log, func(t *testenv.Standalone) error {
		results <- started{server: s, stores: s.start(t)}
		<-ctx.Done()
		return nil
	})
}

// ready writes the configuration, reports, and waits for the end.
func (d daemonCmd) ready(ctx context.Context, r report, found map[string][]store, pipe io.Writer) error {
	text, err := d.configuration(found)
	if err != nil {
		return errors.New(strings.Join(append(r.LeftOut, err.Error()), "\n"))
	}
	if err := os.WriteFile(d.config(), []byte(text), 0o600); err != nil {
		return err
	}
	_ = json.NewEncoder(pipe).Encode(r) // whoever started it may be gone
	<-ctx.Done()
	return nil
}
