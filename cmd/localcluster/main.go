// Command localcluster runs three nodes of one cluster and their MariaDB on
// loopback, until it is interrupted: for a person who wants to see one. Their
// configurations lie in a folder, with that of a fourth node to scale out to. The
// folder is removed at the end, and the images in it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"glimpse/cmd/testenv"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, folder, members(first), func() { <-ctx.Done() })
	stop()
	testenv.Stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "localcluster:", err)
		os.Exit(1)
	}
}

const (
	folder = "glimpse-cluster"
	first  = 9301 // port of the first node's Image API
	count  = 3    // nodes that are started
)

// member is where a node listens.
type member struct{ name, api, ops, peer, gossip string }

// members are the nodes on ports that don't change, so that they can be written
// down: the started ones, and one more.
func members(port int) (all []member) {
	for i := range count + 1 {
		at := func(kind int) string { return fmt.Sprintf("127.0.0.1:%d", port+10*kind+i) }
		all = append(all, member{fmt.Sprint("n", i+1), at(0), at(1), at(2), at(3)})
	}
	return all
}

// configuration is a node's, whose data lie in dir.
func (m member) configuration(dir, join, dsn string) string {
	return fmt.Sprintf(`data_dir: %q
node: {name: %s}
listen: {api: %q, ops: %q, peer: %q, gossip: %q}
cluster: {label: local, join: [%q]}
registry: {url: %q}
cache: {memory: {size: 256MiB}, disk: {size: 1GiB}}
stores: {main: {type: file, path: %q, shared: true}}
`, filepath.Join(dir, m.name), m.name, m.api, m.ops, m.peer, m.gossip, join, dsn, filepath.Join(dir, "images"))
}

// run calls up when the nodes serve, and ends them when it returns.
func run(ctx context.Context, out io.Writer, dir string, all []member, up func()) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: another cluster runs, or one was killed and the folder is to be removed", dir)
	} else if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return testenv.Alone(ctx, dir, out, func(t *testenv.Standalone) error {
		dsn := testenv.MariaDB(t)
		config := func(m member) string { return filepath.Join(dir, m.name+".yaml") }
		for i, m := range all {
			if err := os.WriteFile(config(m), []byte(m.configuration(dir, all[0].gossip, dsn)), 0o600); err != nil {
				return err
			}
			if i < count {
				testenv.Filed(t, config(m), filepath.Join(dir, m.name), m.api, m.ops).Start()
				fmt.Fprintf(out, "%s: http://%s, operations http://%s, %s\n", m.name, m.api, m.ops, config(m))
			}
		}
		fmt.Fprintf(out, `
Who is there:
  bin/glimpse cluster status --config %[1]s
Start a fourth node, in another terminal, and have it leave:
  bin/glimpse serve --config %[2]s
  bin/glimpse cluster drain n4 --config %[2]s
The README has more to try (Clustering). Ctrl-C ends the three, and throws the images away.
`, config(all[0]), config(all[count]))
		up()
		return nil
	})
}
