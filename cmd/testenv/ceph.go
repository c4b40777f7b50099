package testenv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
)

// CephCluster is a real Ceph of one monitor and one OSD that keeps its objects in
// memory (with GLIMPSE_LONG on disk), with cephx on and no manager.
type CephCluster struct {
	Conf    string // a ceph.conf for clients; it names the keyring
	Keyring string // of client.admin
	Pool    string // for images, of one replica
	FSID    string

	dir      string
	mon, osd *process
	pools    []string // further ones
}

var cephPrograms = []string{"ceph-mon", "ceph-osd", "ceph", "rados", "rbd", "monmaptool", "ceph-authtool"}

var startCeph = sync.OnceValues(newCeph)

// Ceph returns the process's one cluster. Its servers outlive the tests, so that
// Main has to be told goleak.IgnoreAnyFunction("glimpse/cmd/testenv.launch.func1").
func Ceph(t testing.TB) *CephCluster {
	t.Helper()
	Need(t, cephPrograms...)
	c, err := startCeph()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const cephConf = `[global]
fsid = %[2]s
mon host = [v2:127.0.0.1:%[3]d,v1:127.0.0.1:%[4]d]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
keyring = %[1]s/admin.keyring
run dir = %[1]s/run
admin socket = %[1]s/run/$name.$pid.asok
crash dir = %[1]s/log
log file = %[1]s/log/$name.log
log to stderr = false
mon cluster log file = %[1]s/log/cluster.log
pid file =
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon allow pool delete = true
mon max pg per osd = 1000
paxos propose interval = 0.05
rbd default features = 61
[mon]
mon data = %[1]s/mon
mon initial members = a
mon cluster log to file = false
mon data avail warn = 2
mon data avail crit = 1
[osd]
osd data = %[1]s/osd
%[5]sosd class default list = *
osd class load list = *
keyring = %[1]s/osd/keyring
[client]
log file =
admin socket =
`

const cephInMemory = `osd objectstore = memstore
memstore device bytes = 8589934592
`

// cephOnDisk has room for what is larger than memory, as long as it is mostly zeros.
const cephOnDisk = `osd objectstore = bluestore
bluestore block size = 64424509440
bluestore compression mode = force
bluestore compression algorithm = lz4
osd memory target = 1073741824
`

func newCeph() (*CephCluster, error) {
	dir, err := os.MkdirTemp("", "glimpse-ceph-")
	if err != nil {
		return nil, err
	}
	AtExit(func() { _ = os.RemoveAll(dir) })
	for _, d := range []string{"run", "log", "mon", "osd"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	c := &CephCluster{dir: dir, Conf: dir + "/ceph.conf", Keyring: dir + "/admin.keyring", Pool: "images"}
	AtExit(c.stop)
	if err := c.startMonitor(); err != nil {
		return nil, fmt.Errorf("ceph-mon: %w", err)
	}
	if err := c.startOSD(); err != nil {
		return nil, fmt.Errorf("ceph-osd: %w", err)
	}
	return c, c.makePool(c.Pool)
}

// keyring makes the key of an entity.
func (c *CephCluster) keyring(file, entity string, caps ...string) error {
	args := []string{"--create-keyring", file, "--gen-key", "-n", entity}
	for i := 0; i < len(caps); i += 2 {
		args = append(args, "--cap", caps[i], caps[i+1])
	}
	_, err := c.run(time.Minute, "ceph-authtool", args...)
	return err
}

func (c *CephCluster) startMonitor() error {
	v2, err := freePort()
	if err != nil {
		return err
	}
	v1, err := freePort()
	if err != nil {
		return err
	}
	c.FSID = uuid.NewString()
	objects := cephInMemory
	if os.Getenv("GLIMPSE_LONG") != "" {
		objects = cephOnDisk
	}
	if err := os.WriteFile(c.Conf, fmt.Appendf(nil, cephConf, c.dir, c.FSID, v2, v1, objects), 0o600); err != nil {
		return err
	}
	mon, osd, monmap := c.dir+"/mon.keyring", c.dir+"/osd/keyring", c.dir+"/monmap"
	err = errors.Join(
		c.keyring(mon, "mon.", "mon", "allow *"),
		c.keyring(c.Keyring, "client.admin", "mon", "allow *", "osd", "allow *", "mds", "allow *", "mgr", "allow *"),
		c.keyring(osd, "osd.0", "mon", "allow profile osd", "osd", "allow *", "mgr", "allow profile osd"),
	)
	if err != nil {
		return err
	}
	for _, cmd := range [][]string{
		{"ceph-authtool", mon, "--import-keyring", c.Keyring},
		{"ceph-authtool", mon, "--import-keyring", osd},
		{"monmaptool", "--create", "--fsid", c.FSID, "--addv", "a", fmt.Sprintf("[v2:127.0.0.1:%d,v1:127.0.0.1:%d]", v2, v1), monmap},
		{"ceph-mon", "-c", c.Conf, "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", mon},
	} {
		if _, err := c.run(time.Minute, cmd[0], cmd[1:]...); err != nil {
			return err
		}
	}
	c.mon, err = launch(c.dir+"/log/mon.out", nil, "ceph-mon", "-c", c.Conf, "-i", "a", "--foreground")
	return err
}

func (c *CephCluster) startOSD() error {
	id := uuid.NewString()
	// The command waits for the monitor by itself.
	if _, err := c.Command("osd", "new", id, "0"); err != nil {
		return err
	}
	_, err := c.run(time.Minute, "ceph-osd", "-c", c.Conf, "-i", "0", "--mkfs", "--osd-uuid", id, "--monmap", c.dir+"/monmap")
	if err != nil {
		return err
	}
	c.osd, err = launch(c.dir+"/log/osd.out", nil, "ceph-osd", "-c", c.Conf, "-i", "0", "--foreground")
	return err
}

// makePool makes a pool and waits for its first write, which is when it is ready.
func (c *CephCluster) makePool(name string) error {
	if _, err := c.Command("osd", "pool", "create", name, "8", "8", "--size", "1"); err != nil {
		return err
	}
	if _, err := c.Command("osd", "pool", "application", "enable", name, "rbd"); err != nil {
		return err
	}
	for _, args := range [][]string{{"put", "ready", c.Conf}, {"rm", "ready"}} {
		if _, err := c.run(time.Minute, "rados", append([]string{"-c", c.Conf, "-p", name}, args...)...); err != nil {
			return err
		}
	}
	return nil
}

// NewPool makes another pool, once. It stays until the cluster ends.
func (c *CephCluster) NewPool(t testing.TB, name string) {
	t.Helper()
	if slices.Contains(c.pools, name) {
		return
	}
	if err := c.makePool(name); err != nil {
		t.Fatal(err)
	}
	c.pools = append(c.pools, name)
}

// Command runs the ceph tool.
func (c *CephCluster) Command(args ...string) (string, error) {
	return c.run(time.Minute, "ceph", append([]string{"-c", c.Conf, "--connect-timeout", "30"}, args...)...)
}

// RBD runs the rbd tool, which must succeed, and returns its standard output.
func (c *CephCluster) RBD(t testing.TB, args ...string) string {
	t.Helper()
	return Run(t, nil, "rbd", append([]string{"-c", c.Conf}, args...)...)
}

// Sent is how many bytes of objects the OSD has given its clients, by its own
// count.
func (c *CephCluster) Sent(t testing.TB) int64 {
	t.Helper()
	out, err := c.run(time.Minute, "ceph", "--admin-daemon", fmt.Sprintf("%s/run/osd.0.%d.asok", c.dir, c.osd.cmd.Process.Pid), "perf", "dump", "osd", "op_out_bytes")
	var counters struct {
		OSD struct {
			Out int64 `json:"op_out_bytes"`
		} `json:"osd"`
	}
	if err == nil {
		err = json.Unmarshal([]byte(out), &counters)
	}
	if err != nil {
		t.Fatal(err)
	}
	return counters.OSD.Out
}

// PauseOSD stops the OSD as a machine that hangs would: its connections stay, and
// nothing answers.
func (c *CephCluster) PauseOSD() { _ = c.osd.cmd.Process.Signal(syscall.SIGSTOP) }

// ResumeOSD lets a paused OSD go on.
func (c *CephCluster) ResumeOSD() { _ = c.osd.cmd.Process.Signal(syscall.SIGCONT) }

// PauseMonitor is PauseOSD for the monitor.
func (c *CephCluster) PauseMonitor() { _ = c.mon.cmd.Process.Signal(syscall.SIGSTOP) }

// ResumeMonitor lets a paused monitor go on.
func (c *CephCluster) ResumeMonitor() { _ = c.mon.cmd.Process.Signal(syscall.SIGCONT) }

// KillOSD ends the OSD as a crash would. Its objects are lost with it: no test of
// the process can use the cluster afterwards.
func (c *CephCluster) KillOSD() { c.osd.end(syscall.SIGKILL) }

// stop kills what runs: nothing of a cluster in memory is worth a slow end.
func (c *CephCluster) stop() {
	for _, p := range []*process{c.osd, c.mon} {
		if p != nil {
			p.end(syscall.SIGKILL)
		}
	}
}

// run runs a program and returns what it wrote to its standard output.
func (c *CephCluster) run(within time.Duration, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	bin, err := find(name)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // it may wait for long
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return "", fmt.Errorf("%s %v: %w", name, args, err)
	}
	return string(out), nil
}
