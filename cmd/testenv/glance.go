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

// GlanceServer is a real glance-api without authentication: every caller is an
// admin. Its stores are main, spare and the read-only web.
type GlanceServer struct {
	Addr  string
	Spare string // the folder of its second store
	p     *process
}

// URL is an address of its Image API.
func (g *GlanceServer) URL(path string) string { return "http://" + g.Addr + path }

// PID is the process's; its workers are its children.
func (g *GlanceServer) PID() int { return g.p.cmd.Process.Pid }

// Stop ends the server and its workers, at once. Told to end, it would end its
// workers no less abruptly, and one that writes a line of the log just then takes
// with it the lock that they share, for which the server waits for ever: oslo.log's
// is a pipe.
func (g *GlanceServer) Stop() {
	if g.p != nil {
		_ = syscall.Kill(-g.PID(), syscall.SIGKILL) // it leads a group of its own
		g.p.end(syscall.SIGKILL)
		g.p = nil
	}
}

const glanceConf = `[DEFAULT]
bind_host = 127.0.0.1
bind_port = %[2]s
workers = 1
log_file = %[1]s/api.log
enabled_backends = main:file,spare:file,web:http
enforce_secure_rbac = false
lock_path = %[1]s
[glance_store]
default_backend = main
[main]
filesystem_store_datadir = %[3]s
store_description = first
[spare]
filesystem_store_datadir = %[1]s/spare
[web]
[os_glance_staging_store]
filesystem_store_datadir = %[1]s/staging
[os_glance_tasks_store]
filesystem_store_datadir = %[1]s/tasks
[database]
connection = %[4]s
[paste_deploy]
config_file = /etc/glance/glance-api-paste.ini
[oslo_policy]
enforce_new_defaults = false
enforce_scope = false
policy_file = %[1]s/policy.yaml
`

// glanceRules let its callers, admins without any role, see what a role is needed
// for.
const glanceRules = `"stores_info_detail": ""
`

// glanceConfig writes a configuration over the database that MariaDB gave, and a
// folder for the store "main". A second one, spare, is its own.
func glanceConfig(t testing.TB, dsn, folder string) (conf, addr, dir string) {
	t.Helper()
	Need(t, "glance-api", "glance-manage")
	dir = t.TempDir()
	for _, d := range []string{"staging", "tasks", "spare"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(glanceRules), 0o600); err != nil {
		t.Fatal(err)
	}
	addr = address(t)
	conf = filepath.Join(dir, "glance-api.conf")
	text := fmt.Sprintf(glanceConf, dir, addr[strings.LastIndex(addr, ":")+1:], folder, "mysql+pymysql"+strings.TrimPrefix(dsn, "mysql"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return conf, addr, dir
}

// GlanceDB has the real glance-manage make its tables.
func GlanceDB(t testing.TB, dsn string) {
	t.Helper()
	conf, _, _ := glanceConfig(t, dsn, t.TempDir())
	Run(t, nil, "/usr/bin/python3", "/usr/bin/glance-manage", "--config-file", conf, "db_sync")
}

// Glance starts a real glance-api. Further text is configuration that comes
// after its own, and overrides it.
func Glance(t testing.TB, dsn, folder string, further ...string) *GlanceServer {
	t.Helper()
	conf, addr, dir := glanceConfig(t, dsn, folder)
	args := []string{"/usr/bin/glance-api", "--config-file", conf}
	if len(further) > 0 {
		more := filepath.Join(dir, "more.conf")
		if err := os.WriteFile(more, []byte(strings.Join(further, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config-file", more)
	}
	p, err := launch(filepath.Join(dir, "log"), nil, "/usr/bin/python3", args...)
	g := &GlanceServer{Addr: addr, Spare: filepath.Join(dir, "spare"), p: p}
	if err == nil {
		t.Cleanup(g.Stop)
		err = p.answers(g.URL("/versions"), time.Minute)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}
