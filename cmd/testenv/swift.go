package testenv

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// SwiftServer is a real OpenStack Swift with one replica. It knows its user
// test:tester (key testing) by auth v1, or it asks a Keystone, where its user is
// swift (swiftpw) in project service.
type SwiftServer struct {
	AuthURL string // of v1, or of Keystone with /v3
	User    string // account:user or project:user
	Key     string

	dir       string
	proxy     string // host:port
	memcached string
}

var (
	startSwift         = sync.OnceValues(func() (*SwiftServer, error) { return newSwift(nil) })
	startSwiftKeystone = sync.OnceValues(func() (*SwiftServer, error) {
		k, err := startKeystone()
		if err != nil {
			return nil, err
		}
		return newSwift(k)
	})
)

// Swift returns the process's one Swift with authentication v1.
func Swift(t testing.TB) *SwiftServer {
	t.Helper()
	return swiftOf(t, startSwift)
}

// SwiftKeystone returns the process's one Swift that Keystone guards.
func SwiftKeystone(t testing.TB) *SwiftServer {
	t.Helper()
	Keystone(t)
	NeedFile(t, "/usr/lib/python3/dist-packages/keystonemiddleware")
	return swiftOf(t, startSwiftKeystone)
}

func swiftOf(t testing.TB, start func() (*SwiftServer, error)) *SwiftServer {
	t.Helper()
	Need(t, "swift-proxy-server", "swift-account-server", "swift-container-server", "swift-object-server", "swift-ring-builder", "memcached", "unshare", "mount")
	if os.Getuid() != 0 {
		without(t, "Swift needs root, for a mount namespace of its own")
	}
	s, err := start()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const swiftConf = `[swift-hash]
swift_hash_path_prefix = glimpse
swift_hash_path_suffix = glimpse
[storage-policy:0]
name = only
default = yes
`

// swiftNode is one of the three servers behind the proxy: 1 its kind, 2 port, 3 folder.
const swiftNode = `[DEFAULT]
bind_ip = 127.0.0.1
bind_port = %[2]d
workers = 0
user = root
devices = %[3]s/node
mount_check = false
log_address = /nonexistent
log_level = WARNING
fallocate_reserve = 0
[pipeline:main]
pipeline = healthcheck %[1]s-server
[app:%[1]s-server]
use = egg:swift#%[1]s
[filter:healthcheck]
use = egg:swift#healthcheck
`

// swiftProxy: 1 port, 2 how users are known, 3 memcached's port, 4 Keystone.
const swiftProxy = `[DEFAULT]
bind_ip = 127.0.0.1
bind_port = %[1]d
workers = 0
user = root
log_address = /nonexistent
log_level = WARNING
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk %[2]s copy container-quotas slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = %[4]s
auth_url = %[4]s
auth_type = password
project_domain_id = default
user_domain_id = default
project_name = service
username = swift
password = swiftpw
delay_auth_decision = True
cache = swift.cache
include_service_catalog = False
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin, service, member
reseller_admin_role = admin
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:%[3]d
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:copy]
use = egg:swift#copy
[filter:container-quotas]
use = egg:swift#container_quotas
[filter:slo]
use = egg:swift#slo
min_segment_size = 1
[filter:dlo]
use = egg:swift#dlo
`

func newSwift(k *KeystoneServer) (*SwiftServer, error) {
	dir, err := os.MkdirTemp("", "glimpse-swift-")
	if err != nil {
		return nil, err
	}
	AtExit(func() { _ = os.RemoveAll(dir) })
	var ports [5]int // account, container, object, proxy, memcached
	for i := range ports {
		if ports[i], err = freePort(); err != nil {
			return nil, err
		}
	}
	s := &SwiftServer{dir: dir, proxy: fmt.Sprintf("127.0.0.1:%d", ports[3]), memcached: fmt.Sprintf("127.0.0.1:%d", ports[4]), User: "test:tester", Key: "testing"}
	s.AuthURL = "http://" + s.proxy + "/auth/v1.0"
	known, keystone := "tempauth", ""
	if k != nil {
		known, keystone = "authtoken keystoneauth", strings.TrimSuffix(k.URL, "/v3")
		s.AuthURL, s.User, s.Key = k.URL, "service:swift", "swiftpw"
		if err := k.addSwift("http://" + s.proxy + "/v1/AUTH_%(project_id)s"); err != nil {
			return nil, err
		}
	}
	if err := s.write("proxy-server.conf", fmt.Sprintf(swiftProxy, ports[3], known, ports[4], keystone)); err != nil {
		return nil, err
	}
	if err := errors.Join(s.write("swift.conf", swiftConf), s.rings(ports[:3])); err != nil {
		return nil, err
	}
	return s, s.start(ports)
}

var swiftKinds = []string{"account", "container", "object"}

func (s *SwiftServer) write(name, text string) error {
	if err := os.MkdirAll(filepath.Join(s.dir, "etc"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, "etc", name), []byte(text), 0o600)
}

// rings writes each node's configuration and says on which port it is.
func (s *SwiftServer) rings(ports []int) error {
	if err := os.MkdirAll(filepath.Join(s.dir, "node/d1"), 0o755); err != nil {
		return err
	}
	errs := make([]error, len(swiftKinds))
	var wg sync.WaitGroup
	for i, kind := range swiftKinds {
		if err := s.write(kind+"-server.conf", fmt.Sprintf(swiftNode, kind, ports[i], s.dir)); err != nil {
			return err
		}
		wg.Go(func() {
			for _, args := range [][]string{{"create", "6", "1", "0"}, {"add", fmt.Sprintf("r1z1-127.0.0.1:%d/d1", ports[i]), "1"}, {"rebalance"}} {
				cmd := exec.Command("swift-ring-builder", append([]string{kind + ".builder"}, args...)...)
				cmd.Dir = filepath.Join(s.dir, "etc")
				if out, err := cmd.CombinedOutput(); err != nil {
					errs[i] = fmt.Errorf("swift-ring-builder %v: %w: %s", args, err, out)
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// start gives each server a mount namespace with its own /etc/swift, whose name
// Swift has built in.
func (s *SwiftServer) start(ports [5]int) error {
	run := func(name, bin string, args ...string) (*process, error) {
		p, err := launch(filepath.Join(s.dir, name+".log"), nil, bin, args...)
		if err == nil {
			AtExit(func() { p.end(syscall.SIGTERM) })
		}
		return p, err
	}
	if _, err := run("memcached", "memcached", "-u", "root", "-l", "127.0.0.1", "-p", fmt.Sprint(ports[4]), "-m", "32"); err != nil {
		return err
	}
	var all []*process
	for _, kind := range append(swiftKinds, "proxy") {
		p, err := run(kind, "unshare", "-m", "--propagation", "private", "sh", "-c",
			"mount --bind "+s.dir+"/etc /etc/swift && exec swift-"+kind+"-server /etc/swift/"+kind+"-server.conf")
		if err != nil {
			return err
		}
		all = append(all, p)
	}
	for i, p := range all {
		if err := p.answers(fmt.Sprintf("http://127.0.0.1:%d/healthcheck", ports[i]), time.Minute); err != nil {
			return err
		}
	}
	if strings.HasSuffix(s.AuthURL, "v1.0") { // until memcached holds its tokens
		return s.login()
	}
	return nil
}

func (s *SwiftServer) login() error {
	r, err := http.NewRequest(http.MethodGet, s.AuthURL, nil)
	if err != nil {
		return err
	}
	r.Header = http.Header{"X-Auth-User": {s.User}, "X-Auth-Key": {s.Key}}
	client := &http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	var resp *http.Response
	for range 100 {
		if resp, err = client.Do(r); err == nil {
			resp.Body.Close()
			if resp.StatusCode/100 == 2 {
				return nil
			}
			err = errors.New("login: " + resp.Status)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

// Env is what the swift client is told of the user.
func (s *SwiftServer) Env() []string {
	if strings.HasSuffix(s.AuthURL, "v1.0") {
		return []string{"ST_AUTH=" + s.AuthURL, "ST_USER=" + s.User, "ST_KEY=" + s.Key, "ST_AUTH_VERSION=1"}
	}
	project, user, _ := strings.Cut(s.User, ":")
	return []string{
		"OS_AUTH_URL=" + s.AuthURL, "OS_IDENTITY_API_VERSION=3", "OS_USER_DOMAIN_ID=default", "OS_PROJECT_DOMAIN_ID=default",
		"OS_USERNAME=" + user, "OS_PASSWORD=" + s.Key, "OS_PROJECT_NAME=" + project,
	}
}

// ForgetTokens makes every token that was given invalid.
func (s *SwiftServer) ForgetTokens(t testing.TB) {
	t.Helper()
	c, err := net.DialTimeout("tcp", s.memcached, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err = c.Write([]byte("flush_all\r\n")); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || line != "OK\r\n" {
		t.Fatalf("memcached: %q, %v", line, err)
	}
}
