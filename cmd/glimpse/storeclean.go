package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"glimpse/registry"
)

type storeClean struct {
	configFlags
	Idle time.Duration `default:"24h" help:"How long nothing was written to it."`
}

// Run does at once what a node does now and then: it ends the uploads and copies
// whose lease has lapsed, and what nobody answers for.
func (c storeClean) Run(ctx context.Context, out io.Writer) error {
	return c.withStores(ctx, func(ctx context.Context, w *workshop) error {
		reaper := registry.Reaper{Uploads: w.db, Deleter: w.Service, Reach: w.Reach(), Log: slog.New(slog.DiscardHandler)}
		reaped, rerr := reaper.Pass(ctx)
		swept, serr := w.Sweep(ctx, c.Idle)
		fmt.Fprintf(out, "%d half-done uploads and copies ended, %d left alone\n", reaped.Done+swept.Done, reaped.Kept+swept.Kept)
		return errors.Join(rerr, serr)
	})
}
