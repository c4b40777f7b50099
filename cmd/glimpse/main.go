// Command glimpse is an OpenStack Image service built as an edge cache: one
// binary that serves the Image API, keeps image bytes in a verified memory and
// disk cache, and reads and writes the origin stores and the database that a
// Glance already has.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

// version is set by the build.
var version = "devel"

type cli struct {
	Serve   serveCmd   `cmd:"" help:"Run a node."`
	DB      dbCmd      `cmd:"" name:"db" help:"The database: create, inspect, index, or take Glimpse out of it again."`
	Store   storeCmd   `cmd:"" help:"The origin stores: list, check, copy, verify."`
	Cluster clusterCmd `cmd:"" help:"Several nodes as one: certificates, keys, members, draining."`
	Pull    pullCmd    `cmd:"" help:"Bring an image to a file, from the nodes near this machine."`
	Push    pushCmd    `cmd:"" help:"Make an image of a file."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// configFlags choose the configuration; every command has them.
type configFlags struct {
	Config string   `help:"Configuration file; without one a node runs on embedded defaults." type:"existingfile" env:"GLIMPSE_CONFIG" placeholder:"FILE"`
	Set    []string `help:"Override one key, as in --set listen.api=127.0.0.1:9393." sep:"none" placeholder:"KEY=VALUE"`
}

type versionCmd struct{}

func (versionCmd) Run(out io.Writer) error {
	_, err := fmt.Fprintln(out, "glimpse", version)
	return err
}

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Exit)) }

// run returns what the process ends with, or calls exit. What was asked for is
// written to out, help too; help that comes with an error goes with it to errs.
func run(args []string, in *os.File, out, errs io.Writer, exit func(int)) int {
	var c cli
	k := kong.Must(&c, kong.Name("glimpse"), kong.UsageOnError(), kong.Writers(out, errs), kong.Exit(func(code int) { exit(usageCode(code)) }),
		kong.Description("An OpenStack Image service that caches: one copy out of the origin, however many ask."),
		kong.BindTo(context.Background(), (*context.Context)(nil)), kong.BindTo(out, (*io.Writer)(nil)), kong.Bind(in))
	parsed, err := k.Parse(args)
	if err != nil {
		k.Stdout = errs
		k.FatalIfErrorf(err)
	}
	if err := parsed.Run(); err != nil {
		fmt.Fprintln(errs, "glimpse:", err)
		return exitCode(err)
	}
	return 0
}
