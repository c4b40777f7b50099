// Command servers runs real origin stores for somebody who wants to try a node on
// them: the servers that the tests are run against, on loopback, with all that
// they write in one folder, and a configuration for a node that has them all.
//
// What holds: one daemon owns the servers of a folder, and they never outlive it.
// A lock of the kernel says which process it is, so a daemon that was killed
// leaves nothing that keeps the next from starting, and nothing else is ever
// signalled. The images in the stores are thrown away when it ends.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/alecthomas/kong"
)

type cli struct {
	Start  startCmd  `cmd:"" help:"Start the servers that are installed, wait until they answer, and print a configuration for a node."`
	Stop   stopCmd   `cmd:"" help:"End them and remove what they hold."`
	Daemon daemonCmd `cmd:"" hidden:""`
}

// folder is where everything lies.
type folder struct {
	Dir string `help:"Folder of the servers; a new one, an empty one, or one that start has made." default:"glimpse-servers" type:"path"`
}

func (f folder) pid() string    { return filepath.Join(f.Dir, "servers.pid") }
func (f folder) log() string    { return filepath.Join(f.Dir, "servers.log") }
func (f folder) data() string   { return filepath.Join(f.Dir, "servers.data") }
func (f folder) config() string { return filepath.Join(f.Dir, "glimpse.yaml") }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var c cli
	k := kong.Parse(&c, kong.Name("servers"), kong.UsageOnError(),
		kong.Description("Real origin stores on loopback, to try a Glimpse node on."),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.BindTo(os.Stdout, (*io.Writer)(nil)))
	if err := k.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "servers:", err)
		os.Exit(1)
	}
}
