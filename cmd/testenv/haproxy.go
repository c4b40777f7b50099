package testenv

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const haproxyConfig = `global
  maxconn 1024
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout check 2s
  retries 0
frontend api
  bind %s
  default_backend nodes
backend nodes
  balance roundrobin
  option httpchk GET /readyz
%s`

// HAProxy starts a balancer over the Image APIs of nodes, which looks at their
// /readyz twice a second and tries nothing a second time, and returns its
// host:port. It ends with the test.
func HAProxy(t testing.TB, nodes ...*Node) string {
	t.Helper()
	Need(t, "haproxy")
	dir := t.TempDir()
	var servers strings.Builder
	for i, n := range nodes {
		fmt.Fprintf(&servers, "  server n%d %s check addr 127.0.0.1 port %s inter 500ms fall 1 rise 1\n", i+1, n.API, n.Ops[strings.LastIndex(n.Ops, ":")+1:])
	}
	var err error
	for range 3 { // another process may take the free port before the balancer does
		addr := address(t)
		conf := filepath.Join(dir, "haproxy.cfg")
		if err := os.WriteFile(conf, fmt.Appendf(nil, haproxyConfig, addr, servers.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		var p *process
		if p, err = launch(filepath.Join(dir, "out.log"), nil, "haproxy", "-db", "-f", conf); err != nil {
			break
		}
		t.Cleanup(func() { p.end(syscall.SIGUSR1) })
		if err = p.answers("http://"+addr+"/healthcheck", 10*time.Second); err == nil {
			return addr
		}
	}
	t.Fatal(err)
	return ""
}
