package testenv

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// SwiftServer is a real OpenStack Swift with one replica; all share what is behind
// their proxies. It knows its user
// test:tester (key testing) by auth v1, or it asks a Keystone, where its user is
// swift (swiftpw) in project service.
type SwiftServer struct {
	AuthURL string // of v1, or of Keystone with /v3
	User    string // account:user or project:user
	Key     string

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
	Need(t, "swift-proxy-server", "swift-account-server", "swift-container-server", "swift-object-server", "memcached", "unshare", "mount")
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

// swiftNodes are the servers behind the proxies, one of each kind, and the
// memcached.
type swiftNodes struct {
	dir       string
	memcached int // port
}

var startSwiftNodes = sync.OnceValues(newSwiftNodes)

func newSwiftNodes() (*swiftNodes, error) {
	dir, err := os.MkdirTemp("", "glimpse-swift-")
	if err != nil {
		return nil, err
	}
	AtExit(func() { _ = os.RemoveAll(dir) })
	n := &swiftNodes{dir: dir}
	if n.memcached, err = freePort(); err != nil {
		return nil, err
	}
	err = os.MkdirAll(filepath.Join(dir, "node/d1"), 0o755)
	if err := errors.Join(err, n.write("swift.conf", []byte(swiftConf))); err != nil {
		return nil, err
	}
	_, err = n.launch("memcached", "memcached", "-u", "root", "-l", "127.0.0.1", "-p", fmt.Sprint(n.memcached), "-m", "32")
	if err != nil {
		return nil, err
	}
	var wait []func() error
	for _, kind := range []string{"account", "container", "object"} {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		r, err := ring(port)
		err = errors.Join(err, n.write(kind+".ring.gz", r), n.write(kind+"-server.conf", fmt.Appendf(nil, swiftNode, kind, port, dir)))
		if err != nil {
			return nil, err
		}
		w, err := n.serve(kind, kind+"-server.conf", port)
		if err != nil {
			return nil, err
		}
		wait = append(wait, w)
	}
	for _, w := range wait {
		err = errors.Join(err, w())
	}
	return n, err
}

func (n *swiftNodes) write(name string, text []byte) error {
	if err := os.MkdirAll(filepath.Join(n.dir, "etc"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(n.dir, "etc", name), text, 0o600)
}

// ring is the file that swift-ring-builder makes of one device, which takes
// seconds of Python.
func ring(port int) ([]byte, error) {
	const power = 6
	about, err := json.Marshal(object{
		"devs": []object{{
			"id": 0, "region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "replication_ip": "127.0.0.1", "replication_port": port,
			"device": "d1", "weight": 1.0, "meta": "",
		}},
		"part_shift": 32 - power, "replica_count": 1,
	})
	if err != nil {
		return nil, err
	}
	b := binary.BigEndian.AppendUint16([]byte("R1NG"), 1)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(about))), about...)
	b = append(b, make([]byte, 2<<power)...) // device 0 has every partition
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		return nil, err
	}
	err = z.Close()
	return out.Bytes(), err
}

func (n *swiftNodes) launch(name, bin string, args ...string) (*process, error) {
	p, err := launch(filepath.Join(n.dir, name+".log"), nil, bin, args...)
	if err == nil {
		AtExit(func() { p.end(syscall.SIGTERM) })
	}
	return p, err
}

// serve gives a server a mount namespace with its own /etc/swift, whose name Swift
// has built in. The function returned waits until it answers.
func (n *swiftNodes) serve(kind, conf string, port int) (wait func() error, err error) {
	p, err := n.launch(conf, "unshare", "-m", "--propagation", "private", "sh", "-c",
		"mount --bind "+n.dir+"/etc /etc/swift && exec swift-"+kind+"-server /etc/swift/"+conf)
	return func() error { return p.answers(fmt.Sprintf("http://127.0.0.1:%d/healthcheck", port), time.Minute) }, err
}

// newSwift starts a proxy.
func newSwift(k *KeystoneServer) (*SwiftServer, error) {
	n, err := startSwiftNodes()
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &SwiftServer{proxy: fmt.Sprintf("127.0.0.1:%d", port), memcached: fmt.Sprintf("127.0.0.1:%d", n.memcached), User: "test:tester", Key: "testing"}
	s.AuthURL = "http://" + s.proxy + "/auth/v1.0"
	known, keystone, conf := "tempauth", "", "proxy-tempauth.conf"
	if k != nil {
		known, keystone, conf = "authtoken keystoneauth", strings.TrimSuffix(k.URL, "/v3"), "proxy-keystone.conf"
		s.AuthURL, s.User, s.Key = k.URL, "service:swift", "swiftpw"
		if err := k.addSwift("http://" + s.proxy + "/v1/AUTH_%(project_id)s"); err != nil {
			return nil, err
		}
	}
	if err := n.write(conf, fmt.Appendf(nil, swiftProxy, port, known, n.memcached, keystone)); err != nil {
		return nil, err
	}
	wait, err := n.serve("proxy", conf, port)
	if err == nil {
		err = wait()
	}
	if err != nil || k != nil {
		return s, err
	}
	return s, s.login() // until memcached holds its tokens
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
