package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
)

type options struct {
	binary  string
	dir     string
	size    int64
	clients int
	rounds  int
	gets    int
}

func main() {
	log.SetFlags(0)
	var o options
	flag.StringVar(&o.binary, "binary", "bin/glimpse", "the node to measure")
	flag.StringVar(&o.dir, "dir", "", "where to work; empty: a temporary folder")
	size := flag.Int64("size", 256, "MiB of the image")
	flag.IntVar(&o.clients, "clients", 8, "clients at once")
	flag.IntVar(&o.rounds, "rounds", 5, "interleaved rounds; the median is printed")
	flag.IntVar(&o.gets, "gets", 20000, "metadata requests a round")
	flag.Parse()
	o.size = *size << 20
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		log.Fatal("bench: ", err)
	}
}

// run starts the servers, measures, and prints the report.
func run(ctx context.Context, o options) error {
	if o.dir == "" {
		d, err := os.MkdirTemp("", "glimpse-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(d)
		o.dir = d
	}
	image := filepath.Join(o.dir, "image")
	if err := writeRandom(image, o.size); err != nil {
		return err
	}
	n, err := startNginx(ctx, o.dir, image)
	if err != nil {
		return err
	}
	defer n.stop()
	g, err := startGlimpse(ctx, o.binary, o.dir)
	if err != nil {
		return err
	}
	defer func() { g.stop() }() // the one that runs then

	fmt.Printf("image %d MiB, %d clients, %d rounds, median\n\nnginx:\n%s\nglimpse:\n%s\n", o.size>>20, o.clients, o.rounds, n.config, g.config)
	r := newReport()
	for range o.rounds {
		if err := round(ctx, o, image, n, g, r); err != nil {
			return err
		}
	}
	r.print(os.Stdout)
	return nil
}

// round measures every workload once, the peers in turn.
func round(ctx context.Context, o options, image string, n *nginx, g *glimpse, r *report) error {
	size := float64(o.size) / (1 << 30)
	all := size * float64(o.clients)
	id, err := g.newImage()
	if err != nil {
		return err
	}
	steps := []struct {
		name, peer string
		amount     float64 // GiB, or requests
		server     server
		do         func() error
	}{
		{"upload", "nginx", size, n, func() error { return put(ctx, n.upload, image) }},
		{"upload", "glimpse", size, g, func() error { return put(ctx, g.url("/v2/images/"+id+"/file"), image) }},
		{"cold", "nginx", all, n, func() error { return n.purgeThen(func() error { return storm(ctx, n.cached, o.clients, o.size) }) }},
		{"cold", "glimpse", all, g, func() error { return storm(ctx, g.url("/v2/images/"+id+"/file"), o.clients, o.size) }},
		{"warm", "nginx", all, n, func() error { return storm(ctx, n.static, o.clients, o.size) }},
		{"warm", "glimpse", all, g, func() error { return storm(ctx, g.url("/v2/images/"+id+"/file"), o.clients, o.size) }},
		{"metadata", "nginx", float64(o.gets), n, func() error { return gets(ctx, n.small, o.gets) }},
		{"metadata", "glimpse", float64(o.gets), g, func() error { return gets(ctx, g.url("/v2/images/"+id), o.gets) }},
	}
	for _, s := range steps {
		if s.name == "cold" && s.peer == "glimpse" {
			if err := g.restart(ctx); err != nil {
				return err
			}
		}
		m, err := measure(s.server, s.do)
		if err != nil {
			return fmt.Errorf("%s %s: %w", s.name, s.peer, err)
		}
		r.add(s.name, s.peer, s.amount, m)
	}
	return g.deleteImage(id)
}
