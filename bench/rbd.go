package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"glimpse/cmd/testenv"
)

// cephNode builds a node with librbd, once.
var cephNode = sync.OnceValues(func() (string, error) {
	tags, err := exec.Command(".ci/ceph-tags").Output()
	if err != nil {
		return "", fmt.Errorf(".ci/ceph-tags, which lies where the project does: %w", err)
	}
	if len(tags) == 0 {
		return "", errors.New("librbd or a C compiler is missing: apt-get install gcc libc6-dev librados-dev librbd-dev")
	}
	dir, err := os.MkdirTemp("", "glimpse-bench-")
	if err != nil {
		return "", err
	}
	testenv.AtExit(func() { _ = os.RemoveAll(dir) })
	bin := filepath.Join(dir, "glimpse")
	build := exec.Command("go", "build", "-trimpath", "-tags", strings.TrimSpace(string(tags)), "-o", bin, "./cmd/glimpse")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return bin, nil
})

// cephSpace is where the cluster runs, for as long as it does. The OSD takes ports
// that are free here too, unlike its usual ones where there is another cluster.
var cephSpace = sync.OnceValues(func() (*space, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if err := os.Setenv("CEPH_ARGS", fmt.Sprintf("--ms_bind_port_min=%d --ms_bind_port_max=%d", port, port+100)); err != nil {
		return nil, err
	}
	s, err := newSpace()
	if err == nil {
		testenv.AtExit(s.end)
	}
	return s, err
})

// rbdOrigin is Ceph, beside its rbd tool. Ceph's clients go to the addresses that
// the cluster tells them, so it runs in a network namespace, and the limit stands
// here at the same addresses.
func rbdOrigin(l *lab, image string) (origin, error) {
	bin, err := cephNode()
	if err != nil {
		return origin{}, err
	}
	in, err := cephSpace()
	if err != nil {
		return origin{}, err
	}
	var c *testenv.CephCluster
	var addrs []string
	in.do(func() {
		if c = testenv.Ceph(l); c != nil {
			addrs, err = cephAddrs(c)
		}
	})
	if err != nil {
		return origin{}, err
	}
	var now []*throttle
	behind := func(total, each int64) string {
		for _, t := range now {
			t.stop()
		}
		now = nil
		for _, a := range addrs {
			now = append(now, l.throttle(a, func(ctx context.Context) (net.Conn, error) { return in.dial(ctx, a) }, total, each))
		}
		return c.Conf
	}
	sets := func(conf string) []string {
		return []string{"stores.origin.type=rbd", "stores.origin.conf=" + conf, "stores.origin.pool=" + c.Pool, "stores.origin.user=admin"}
	}
	with := *l
	with.binary = bin
	at, err := with.uploaded("rbd", image, sets(behind(0, 0))...)
	if err != nil {
		return origin{}, err
	}
	l.say("Ceph: one monitor, one OSD with its objects in memory; the image has objects of 8 MiB")
	name := strings.Replace(at[strings.Index(at, c.Pool):], "/snap", "@snap", 1)
	return origin{
		binary: bin, behind: behind, sets: sets, shared: true,
		location: func(string) string { return at },
		peer:     "rbd export",
		tool: func(conf string) []string {
			return []string{"sh", "-c", "exec rbd -c " + conf + " export --no-progress " + name + " - >/dev/null"}
		},
	}, nil
}

// cephAddrs are where clients find the monitor and the OSD.
func cephAddrs(c *testenv.CephCluster) (all []string, err error) {
	type addrs struct {
		Vec []struct{ Type, Addr string } `json:"addrvec"`
	}
	var mon struct {
		Mons []struct {
			Public addrs `json:"public_addrs"`
		}
	}
	var osd struct {
		OSDs []struct {
			Public addrs `json:"public_addrs"`
		}
	}
	for what, to := range map[string]any{"mon": &mon, "osd": &osd} {
		text, err := c.Command(what, "dump", "--format", "json")
		if err == nil {
			err = json.Unmarshal([]byte(text), to)
		}
		if err != nil {
			return nil, err
		}
	}
	found := []addrs{}
	for _, m := range mon.Mons {
		found = append(found, m.Public)
	}
	for _, o := range osd.OSDs {
		found = append(found, o.Public)
	}
	for _, f := range found {
		for _, a := range f.Vec {
			all = append(all, a.Addr)
		}
	}
	return all, nil
}
