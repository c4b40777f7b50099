package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"regexp"
	"time"

	"glimpse/cmd/testenv"
)

type options struct {
	binary  string
	dir     string
	size    int64
	clients int
	rounds  int
	kinds   *regexp.Regexp
}

// rows are the workloads, each beside its peers.
var rows = []struct {
	name string
	run  func(*lab) error
}{
	{"warm", warm},
	{"ranges", ranges},
	{"cold", cold},
	{"limited", limited},
	{"sparse", sparse},
	{"stores", stores},
	{"streams", streams},
	{"upload", upload},
	{"metadata", metadata},
	{"list", list},
	{"memory", crowd},
	{"tls", overTLS},
}

func main() {
	log.SetFlags(0)
	if len(os.Args) > 1 && os.Args[1] == s3Command {
		if err := s3Download(context.Background(), os.Args[2:]); err != nil {
			log.Fatal("bench: ", err)
		}
		return
	}
	var o options
	flag.StringVar(&o.binary, "binary", "bin/glimpse", "the node to measure")
	flag.StringVar(&o.dir, "dir", "", "where to work; empty: a temporary folder")
	size := flag.Int64("size", 1024, "MiB of the image")
	flag.IntVar(&o.clients, "clients", 16, "clients at once")
	flag.IntVar(&o.rounds, "rounds", 5, "interleaved rounds; the median is printed")
	only := flag.String("run", "", "regular expression of the rows to run; empty: all")
	kinds := flag.String("kinds", "", "regular expression of the types of store that rows of several take; empty: all")
	flag.Parse()
	o.size = *size << 20
	o.kinds = regexp.MustCompile(*kinds)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, o, regexp.MustCompile(*only)); err != nil {
		log.Fatal("bench: ", err)
	}
}

// run measures the rows in turn. One that can't be measured says why, and the
// others go on.
func run(ctx context.Context, out io.Writer, o options, only *regexp.Regexp) error {
	if o.dir == "" {
		d, err := os.MkdirTemp("", "glimpse-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(d)
		o.dir = d
	}
	if err := os.Chmod(o.dir, 0o755); err != nil { // nginx's workers run as another user
		return err
	}
	defer testenv.Stop() // not before: each server is started once, for all rows
	describe(out)
	failed := 0
	for _, r := range rows {
		if !only.MatchString(r.name) || ctx.Err() != nil {
			continue
		}
		start := time.Now()
		fmt.Fprintf(out, "\n== %s\n", r.name)
		if err := within(ctx, out, o, r.run); err != nil {
			fmt.Fprintln(out, r.name, "could not be measured:", err)
			failed++
		}
		fmt.Fprintf(out, "(%.0f s)\n", time.Since(start).Seconds())
	}
	if failed > 0 {
		return fmt.Errorf("%d rows could not be measured", failed)
	}
	return ctx.Err()
}
