package testenv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// wsrepProvider is Galera's library, of Debian's package galera-4.
const wsrepProvider = "/usr/lib/galera/libgalera_smm.so"

// startGalera starts the process's one cluster.
var startGalera = sync.OnceValues(newGalera)

// GaleraCluster is a real Galera cluster of three MariaDB servers: what is
// committed on one is on all.
type GaleraCluster struct {
	nodes     []*galeraNode
	databases atomic.Int64
}

type galeraNode struct {
	mariadb
	group, ist, sst int // ports
}

// Galera returns the cluster. It outlives the test; one that kills a server
// restarts it.
func Galera(t testing.TB) *GaleraCluster {
	t.Helper()
	Need(t, "mariadbd", "mariadb-install-db", "rsync")
	NeedFile(t, wsrepProvider)
	c, err := startGalera()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Database makes a fresh, empty database and returns its address on each server.
// It is dropped when the test ends.
func (c *GaleraCluster) Database(t testing.TB) (dsns []string) {
	t.Helper()
	name := "t" + strconv.FormatInt(c.databases.Add(1), 10)
	if err := c.nodes[0].exec("CREATE DATABASE " + name + " CHARACTER SET utf8mb4"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.nodes[0].exec("DROP DATABASE " + name); err != nil {
			t.Error(err)
		}
	})
	for _, n := range c.nodes {
		for end := time.Now().Add(10 * time.Second); n.exec("USE "+name) != nil; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("a server does not have the database that another one made")
			}
		}
		dsns = append(dsns, fmt.Sprintf("mysql://glimpse:glimpse@127.0.0.1:%d/%s", n.port, name))
	}
	return dsns
}

// Kill ends a server as a crash would.
func (c *GaleraCluster) Kill(i int) {
	_ = c.nodes[i].cmd.Process.Kill()
	_ = c.nodes[i].cmd.Wait()
}

// Restart starts a server that was killed, and returns when it has all that the
// others have.
func (c *GaleraCluster) Restart(t testing.TB, i int) {
	t.Helper()
	if err := c.start(i, c.group()); err != nil {
		t.Fatal(err)
	}
}

// Pause stops a server as a machine that hangs would; Resume lets it go on.
func (c *GaleraCluster) Pause(i int) { _ = c.nodes[i].cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (c *GaleraCluster) Resume(i int) { _ = c.nodes[i].cmd.Process.Signal(syscall.SIGCONT) }

func newGalera() (*GaleraCluster, error) {
	dir, err := os.MkdirTemp("", "glimpse-galera-")
	if err != nil {
		return nil, err
	}
	AtExit(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	c := &GaleraCluster{}
	for i := range 3 {
		n := &galeraNode{mariadb: mariadb{dir: filepath.Join(dir, strconv.Itoa(i))}}
		for _, p := range []*int{&n.port, &n.group, &n.ist, &n.sst} {
			if *p, err = freePort(); err != nil {
				return nil, err
			}
		}
		if err := os.Mkdir(n.dir, 0o755); err != nil {
			return nil, err
		}
		c.nodes = append(c.nodes, n)
	}
	if err := c.seed(); err != nil {
		return nil, err
	}
	AtExit(c.stop)
	if err := c.start(0, "gcomm://"); err != nil {
		return nil, err
	}
	if err := c.nodes[0].exec(grantAll); err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	errs := make([]error, len(c.nodes))
	for i := 1; i < len(c.nodes); i++ {
		wg.Go(func() { errs[i] = c.start(i, c.group()) })
	}
	wg.Wait()
	return c, errors.Join(errs...)
}

// seed makes the first server's data, and folders for what the others get of it.
func (c *GaleraCluster) seed() error {
	if err := c.nodes[0].install(); err != nil {
		return err
	}
	who, err := account()
	if err != nil {
		return err
	}
	for _, n := range c.nodes[1:] {
		if err := os.Mkdir(filepath.Join(n.dir, "data"), 0o700); err != nil {
			return err
		}
		if who != nil {
			if err := os.Chown(filepath.Join(n.dir, "data"), int(who.Uid), int(who.Gid)); err != nil {
				return err
			}
		}
	}
	return nil
}

// group is the address of the cluster.
func (c *GaleraCluster) group() string {
	var at []string
	for _, n := range c.nodes {
		at = append(at, fmt.Sprint("127.0.0.1:", n.group))
	}
	return "gcomm://" + strings.Join(at, ",")
}

func (c *GaleraCluster) start(i int, group string) error {
	n := c.nodes[i]
	err := n.mariadb.start(
		"--binlog-format=ROW", "--innodb-autoinc-lock-mode=2", "--innodb-doublewrite=0",
		"--wsrep-on=ON", "--wsrep-provider="+wsrepProvider, "--wsrep-cluster-name=glimpse", "--wsrep-node-name=n"+strconv.Itoa(i+1),
		"--wsrep-node-address=127.0.0.1", fmt.Sprint("--wsrep-node-incoming-address=127.0.0.1:", n.port), "--wsrep-slave-threads=2",
		"--wsrep-sst-method=rsync", fmt.Sprint("--wsrep-sst-receive-address=127.0.0.1:", n.sst), "--wsrep-cluster-address="+group,
		fmt.Sprintf("--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:%d;ist.recv_addr=127.0.0.1:%d;gcache.size=32M;"+
			"evs.keepalive_period=PT0.5S;evs.suspect_timeout=PT2S;evs.inactive_timeout=PT4S;evs.inactive_check_period=PT0.5S;evs.install_timeout=PT4S;base_dir=%s",
			n.group, n.ist, filepath.Join(n.dir, "data")),
	)
	if err != nil {
		return err
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		state, err := n.state()
		if state == "Synced" {
			return nil
		}
		if time.Now().After(end) {
			out, _ := os.ReadFile(filepath.Join(n.dir, "log"))
			return fmt.Errorf("server %d of the Galera cluster is %q, %w: %s", i+1, state, err, out)
		}
	}
}

// state is what the server says of itself.
func (n *galeraNode) state() (s string, err error) {
	db, err := n.open()
	if err != nil {
		return "", err
	}
	defer db.Close()
	var name string
	return s, db.QueryRow("SHOW STATUS LIKE 'wsrep_local_state_comment'").Scan(&name, &s)
}

// stop kills what runs: nothing of it is worth a slow end.
func (c *GaleraCluster) stop() {
	for _, n := range c.nodes {
		if n.cmd != nil && n.cmd.Process != nil {
			_ = n.cmd.Process.Kill()
			_ = n.cmd.Wait()
		}
	}
}
