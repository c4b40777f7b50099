package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// nginx is the peer: sendfile for warm downloads, proxy_cache with a lock and
// slices before a second server of its own for cold ones, a body buffered to a
// file for uploads.
type nginx struct {
	*process
	config                        string
	static, cached, small, upload string
	cache                         string
}

const nginxConfig = `worker_processes 2;
daemon off;
pid %[1]s/nginx.pid;
error_log %[1]s/nginx-error.log;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  sendfile_max_chunk 2m;
  client_max_body_size 0;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy-temp;
  fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  proxy_cache_path %[1]s/nginx-cache keys_zone=c:10m max_size=64g;
  keepalive_requests 1000000;
  server {
    listen 127.0.0.1:%[2]d;%[4]s
    location = /image { alias %[3]s; }
    location = /small { default_type application/json; return 200 '{"id": "5f2e4a8c-0000-4000-8000-000000000000", "name": "x", "status": "active", "tags": [], "visibility": "shared"}'; }
    location = /upload { client_body_in_file_only clean; client_body_buffer_size 1m; proxy_pass http://127.0.0.1:%[2]d/done; proxy_pass_request_body off; proxy_set_header Content-Length ""; }
    location = /done { return 204; }
    location = /cached {
      slice 4m; proxy_cache c; proxy_cache_key $uri$slice_range; proxy_set_header Range $slice_range;
      proxy_cache_lock on; proxy_cache_lock_timeout 1h; proxy_cache_lock_age 1h; proxy_cache_valid 200 206 1h;
      proxy_http_version 1.1; proxy_pass http://127.0.0.1:%[2]d/image;
    }
  }
}
`

// nginx starts the peer before an image's file. tls are further lines of its
// server, or none.
func (l *lab) nginx(image, tls string) *nginx {
	port, err := freePort()
	if err != nil {
		l.Fatal(err)
	}
	dir := l.TempDir()
	base := fmt.Sprintf("http://127.0.0.1:%d", port)
	n := &nginx{
		config: fmt.Sprintf(nginxConfig, dir, port, image, tls), cache: filepath.Join(dir, "nginx-cache"),
		static: base + "/image", cached: base + "/cached", small: base + "/small", upload: base + "/upload",
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(n.config), 0o644); err != nil {
		l.Fatal(err)
	}
	l.say("nginx:\n" + n.config)
	if n.process, err = start(dir, "nginx", "-c", file, "-p", dir); err != nil {
		l.Fatal(err)
	}
	l.Cleanup(n.stop)
	if err := waitFor(l.ctx, n.small); err != nil {
		l.Fatal(err)
	}
	return n
}

// purge empties the cache folder; nginx then finds its entries missing and
// fetches them again.
func (n *nginx) purge() error {
	entries, err := os.ReadDir(n.cache)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(n.cache, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
