package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

type storeClean struct {
	configFlags
	Idle time.Duration `default:"24h" help:"How long nothing was written to it."`
}

// Run does at once what a node does each hour.
func (c storeClean) Run(ctx context.Context, out io.Writer) error {
	return c.withStores(ctx, func(ctx context.Context, w *workshop) error {
		r, err := w.Sweep(ctx, c.Idle)
		fmt.Fprintf(out, "%d half-done copies ended, %d left alone\n", r.Done, r.Kept)
		return err
	})
}
