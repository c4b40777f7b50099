package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"glimpse/cmd/glimpse/config"
	"glimpse/registry/sqlstore"
)

type dbCmd struct {
	Sync     dbSync     `cmd:"" help:"Create Glance's tables on an empty database, and Glimpse's own on any."`
	Version  dbVersion  `cmd:"" help:"Print the schema heads."`
	Optimize dbOptimize `cmd:"" help:"Add the indexes that serve lists quickly."`
	Remove   dbRemove   `cmd:"" help:"Drop all that is Glimpse's; a Glance runs on."`
}

type (
	dbSync     struct{ configFlags }
	dbVersion  struct{ configFlags }
	dbOptimize struct{ configFlags }
	dbRemove   struct {
		configFlags
		Yes bool `help:"Do it: manifests, hashes found and upload attempts are forgotten."`
	}
)

// withDB opens the database of the configuration, without creating anything.
func (f configFlags) withDB(ctx context.Context, fn func(*sqlstore.DB) error) error {
	c, err := f.load()
	if err != nil {
		return err
	}
	db, err := openDB(ctx, c, nil, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	return fn(db)
}

func (c dbSync) Run(ctx context.Context, out io.Writer) error {
	return c.withDB(ctx, func(db *sqlstore.DB) error {
		if err := db.Sync(ctx); err != nil {
			return err
		}
		return printVersion(ctx, out, db)
	})
}

func (c dbVersion) Run(ctx context.Context, out io.Writer) error {
	return c.withDB(ctx, func(db *sqlstore.DB) error { return printVersion(ctx, out, db) })
}

func printVersion(ctx context.Context, out io.Writer, db *sqlstore.DB) error {
	heads, own, err := db.Version(ctx)
	if err != nil {
		return err
	}
	if len(heads) == 0 {
		heads = []string{"none"}
	}
	_, err = fmt.Fprintf(out, "glance schema: %s\nglimpse schema: %d\n", strings.Join(heads, ", "), own)
	return err
}

func (c dbOptimize) Run(ctx context.Context, out io.Writer) error {
	return c.withDB(ctx, func(db *sqlstore.DB) error {
		added, err := db.Optimize(ctx)
		for _, name := range added {
			fmt.Fprintln(out, "added", name)
		}
		if err == nil && len(added) == 0 {
			_, err = fmt.Fprintln(out, "nothing to add")
		}
		return err
	})
}

func (c dbRemove) Run(ctx context.Context, out io.Writer) error {
	if !c.Yes {
		return fmt.Errorf("this drops Glimpse's tables from the database; stop every node, then repeat with --yes")
	}
	return c.withDB(ctx, func(db *sqlstore.DB) error {
		if err := db.Remove(ctx); err != nil {
			return err
		}
		_, err := fmt.Fprintln(out, "removed; the database is Glance's alone again")
		return err
	})
}

// load reads the configuration that the flags choose.
func (f configFlags) load() (config.Config, error) {
	return config.Load(f.Config, environ(), f.Set)
}
