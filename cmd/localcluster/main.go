// Command localcluster runs three nodes of one cluster and their MariaDB on
// loopback, until it is interrupted: for a person who wants to see one.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"glimpse/cmd/testenv"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, func([]*testenv.Node) { <-ctx.Done() })
	stop()
	testenv.Stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "localcluster:", err)
		os.Exit(1)
	}
}

// run calls up when the nodes serve, and ends them when it returns.
func run(ctx context.Context, out io.Writer, up func([]*testenv.Node)) error {
	dir, err := os.MkdirTemp("", "glimpse-cluster-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return testenv.Alone(ctx, dir, out, func(t *testenv.Standalone) error {
		nodes := testenv.Cluster(t, 3)
		for i, n := range nodes {
			fmt.Fprintf(out, "node %d: http://%s, operations http://%s\n", i+1, n.API, n.Ops)
		}
		fmt.Fprintf(out, `
Upload through one, download through another:
  export OS_AUTH_TYPE=none OS_ENDPOINT=http://%s
  openstack image create --file README.md --disk-format raw --container-format bare first
  OS_ENDPOINT=http://%s openstack image save --file first.img first

Who is there, as the second node sees it:
  bin/glimpse cluster status --set listen.ops=%s

Ctrl-C ends all, and throws the images away.
`, nodes[0].API, nodes[1].API, nodes[1].Ops)
		up(nodes)
		return nil
	})
}
