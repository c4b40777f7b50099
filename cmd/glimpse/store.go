package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"glimpse/proxy/ops"
	"glimpse/registry"
	"glimpse/registry/image"
	"glimpse/registry/sqlstore"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

type storeCmd struct {
	List   storeList   `cmd:"" help:"The origin stores: what they can, and what lies in them."`
	Check  storeCheck  `cmd:"" help:"Write, read and delete a small object in each store that takes any."`
	Copy   storeCopy   `cmd:"" help:"Copy images into another store, and add the place to their records."`
	Clean  storeClean  `cmd:"" help:"End the half-done work that copies left which were killed, as a node does by itself after a day."`
	Verify storeVerify `cmd:"" help:"Read every image in a store and compare it with its digests."`
}

// workshop is what the store commands work with: the database and the stores of
// a configuration, beside whatever node is running on them.
type workshop struct {
	*ops.Service
	db     *sqlstore.DB
	stores []ops.Store
}

// withStores opens them, and ends fn's context with the first SIGINT.
func (f configFlags) withStores(parent context.Context, fn func(context.Context, *workshop) error) (err error) {
	ctx, stop := signal.NotifyContext(parent, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	c, err := f.load()
	if err != nil {
		return err
	}
	log := newLog(c.Log, os.Stderr)
	n := &node{config: c, log: log}
	defer func() { err = errors.Join(err, n.close(parent)) }()
	db, err := openDB(ctx, c, log, nil)
	if err != nil {
		return err
	}
	n.onClose(func(context.Context) error { return db.Close() })
	cluster, err := clusterConstants(ctx, db)
	if err != nil {
		return fmt.Errorf("%w (glimpse db sync makes Glimpse's tables)", err)
	}
	if err := checkShared(ctx, c, db); err != nil {
		return err
	}
	stores, err := openStores(ctx, n, cluster.geometry, newMetrics(prometheus.NewRegistry()))
	if err != nil {
		return err
	}
	id := ""
	if c.Clustered() { // as which it has a folder of its own
		if id, err = nodeID(c.DataDir); err != nil {
			return err
		}
	}
	svc, err := ops.New(ops.Config{
		Registry: db, Clustered: c.Clustered(), Near: near(c), NodeID: id, Stores: stores, DefaultStore: c.DefaultStore, Secret: cluster.secret, Share: c.Cache.Share, Geometry: cluster.geometry,
		Limits: c.API.ImageLimits(), HashAlgo: c.API.HashingAlgorithm, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	n.onClose(svc.Close)
	return fn(ctx, &workshop{svc, db, stores})
}

// store finds one by its id.
func (w *workshop) store(id string) (ops.Store, error) {
	for _, st := range w.stores {
		if st.ID == id {
			return st, nil
		}
	}
	return ops.Store{}, fmt.Errorf("there is no store %q in the configuration", id)
}

// named returns the stores with these ids; all where there are none.
func (w *workshop) named(ids []string) ([]ops.Store, error) {
	if len(ids) == 0 {
		return w.stores, nil
	}
	var list []ops.Store
	for _, id := range ids {
		st, err := w.store(id)
		if err != nil {
			return nil, err
		}
		list = append(list, st)
	}
	return list, nil
}

// pageSize is how many records are asked for at a time.
const pageSize = 200

// images calls fn with every image that has data, hidden ones too, by id.
func (w *workshop) images(ctx context.Context, fn func(image.Image) error) error {
	for _, hidden := range []bool{false, true} {
		q := registry.Query{Admin: true, Visibility: "all", Hidden: hidden, Sort: []registry.Sort{{Key: "id"}}, Limit: pageSize}
		for {
			page, err := w.db.List(ctx, q)
			if err != nil {
				return err
			}
			for _, m := range page {
				if len(m.Locations) == 0 {
					continue
				}
				if err := fn(m); err != nil {
					return err
				}
			}
			if len(page) < pageSize {
				break
			}
			q.Marker = page[len(page)-1].ID
		}
	}
	return nil
}

func size(m image.Image) int64 {
	if m.Size == nil {
		return 0
	}
	return *m.Size
}

// bar shows how far something of so many bytes is, with its rate and the time
// left, on a terminal alone.
func bar(total int64, what string) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetVisibility(term.IsTerminal(int(os.Stderr.Fd()))),
		progressbar.OptionSetDescription(what), progressbar.OptionShowBytes(true), progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100e6), progressbar.OptionClearOnFinish())
}

func newTable(out io.Writer, header ...any) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(out)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row(header))
	return t
}
