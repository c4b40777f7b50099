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

// nginxConfig has one process do all: a worker would outlive a master that is
// killed.
const nginxConfig = `daemon off;
master_process off;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log;
events { worker_connections 256; }
http {
  access_log %[1]s/access.log;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  sendfile on;
%[5]s
  server {
    listen 127.0.0.1:%[2]s;
    root %[3]s;
%[4]s
  }
}
`

// Web is a real nginx that serves a folder.
type Web struct {
	URL  string // with no slash at its end
	Root string // what it serves
	Logs string // where its access.log and error.log are
	p    *process
}

// Nginx starts one, with further lines of its server's configuration, and others
// that come before it. It ends with the test.
func Nginx(t testing.TB, lines string, before ...string) *Web {
	t.Helper()
	Need(t, "nginx")
	addr := address(t)
	w := &Web{URL: "http://" + addr, Root: t.TempDir(), Logs: t.TempDir()}
	conf := filepath.Join(w.Logs, "nginx.conf")
	text := fmt.Sprintf(nginxConfig, w.Logs, addr[strings.LastIndex(addr, ":")+1:], w.Root, lines, strings.Join(before, "\n"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.p, err = launch(filepath.Join(w.Logs, "out.log"), nil, "nginx", "-e", filepath.Join(w.Logs, "error.log"), "-c", conf); err == nil {
		t.Cleanup(w.Stop)
		err = w.p.answers(w.URL, 10*time.Second)
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Balancer is a real nginx that turns from one backend to the next with each
// request, and never asks a second one. It returns its address, and ends with the
// test.
func Balancer(t testing.TB, backends ...string) (addr string) {
	t.Helper()
	var servers strings.Builder
	for _, b := range backends {
		fmt.Fprintf(&servers, "server %s max_fails=0; ", b)
	}
	// The server's lines end here, and those of the upstream take their place.
	w := Nginx(t, `location / {
  proxy_pass http://backends; proxy_next_upstream off; proxy_request_buffering off; proxy_buffering off;
  client_max_body_size 0; proxy_http_version 1.1; proxy_set_header Host $http_host;
} }
upstream backends { `+servers.String())
	return strings.TrimPrefix(w.URL, "http://")
}

// Stop ends the server.
func (w *Web) Stop() {
	if w.p != nil {
		w.p.end(syscall.SIGTERM)
		w.p = nil
	}
}
