package testenv

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
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

// KeystoneServer is a real Keystone with a few users: admin (password secret) in
// project admin; demo, reader (demopw) in project demo; alt (altpw) in project
// alt; and the service users glance (glancepw) and swift (swiftpw).
type KeystoneServer struct {
	URL string // with /v3

	dir   string
	port  int
	p     *process
	token string
	image string // service id of the Image service
}

var startKeystone = sync.OnceValues(newKeystone)

// Keystone returns the process's one Keystone.
func Keystone(t testing.TB) *KeystoneServer {
	t.Helper()
	Need(t, "keystone-manage", "uwsgi_python3", "sqlite3")
	k, err := startKeystone()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const keystoneConf = `[DEFAULT]
log_dir = %[1]s/logs
[database]
connection = sqlite:///%[1]s/keystone.db
[fernet_tokens]
key_repository = %[1]s/fernet-keys
[fernet_receipts]
key_repository = %[1]s/fernet-keys
[credential]
key_repository = %[1]s/credential-keys
[identity]
password_hash_rounds = 4
[token]
provider = fernet
expiration = 86400
[catalog]
caching = false
[cache]
enabled = true
backend = dogpile.cache.memory
`

// keystoneManage runs keystone-manage twice with what takes it seconds to load:
// CONFIG URL.
const keystoneManage = `
import os, sys
from keystone.cmd import manage
conf, url = sys.argv[1:]
for command in (["db_sync"], ["bootstrap", "--bootstrap-password", "secret", "--bootstrap-username", "admin", "--bootstrap-project-name", "admin",
        "--bootstrap-role-name", "admin", "--bootstrap-service-name", "keystone", "--bootstrap-region-id", "RegionOne",
        "--bootstrap-public-url", url, "--bootstrap-internal-url", url, "--bootstrap-admin-url", url]):
    pid = os.fork()
    if pid == 0:
        sys.argv = ["keystone-manage", "--config-file", conf] + command
        sys.exit(manage.main())
    if os.waitpid(pid, 0)[1] != 0:
        sys.exit(1)
`

func newKeystone() (*KeystoneServer, error) {
	dir, err := os.MkdirTemp("", "glimpse-keystone-")
	if err != nil {
		return nil, err
	}
	AtExit(func() { _ = os.RemoveAll(dir) })
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	k := &KeystoneServer{dir: dir, port: port, URL: fmt.Sprintf("http://127.0.0.1:%d/v3", port)}
	if err := k.prepare(); err != nil {
		return nil, err
	}
	// The server takes seconds to load, and asks for nothing before its first
	// request.
	if err := k.launch(); err != nil {
		return nil, err
	}
	AtExit(k.Stop)
	if err := k.bootstrap(); err != nil {
		return nil, err
	}
	if err := k.p.answers(k.URL, time.Minute); err != nil {
		return nil, err
	}
	return k, k.seed()
}

func (k *KeystoneServer) conf() string { return filepath.Join(k.dir, "keystone.conf") }

// prepare writes the files.
func (k *KeystoneServer) prepare() error {
	if err := os.MkdirAll(filepath.Join(k.dir, "logs"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(k.conf(), fmt.Appendf(nil, keystoneConf, k.dir), 0o600); err != nil {
		return err
	}
	for _, repository := range []string{"fernet-keys", "credential-keys"} {
		if err := keys(filepath.Join(k.dir, repository)); err != nil {
			return err
		}
	}
	return nil
}

// bootstrap makes the database.
func (k *KeystoneServer) bootstrap() error {
	for _, args := range [][]string{
		{"/usr/bin/python3", "-c", keystoneManage, k.conf(), k.URL},
		// Without it writes that come through uwsgi find the database locked.
		{"sqlite3", filepath.Join(k.dir, "keystone.db"), "PRAGMA journal_mode=WAL"},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("keystone: %w: %s", err, out)
		}
	}
	return nil
}

// keys makes what fernet_setup and credential_setup would, in seconds of Python
// each: the key that is used, 1, and the one that comes next.
func keys(folder string) error {
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	for _, name := range []string{"0", "1"} {
		var key [32]byte
		_, _ = rand.Read(key[:]) // never fails
		if err := os.WriteFile(filepath.Join(folder, name), []byte(base64.URLEncoding.EncodeToString(key[:])), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Start starts the server again after Stop.
func (k *KeystoneServer) Start() error {
	if err := k.launch(); err != nil {
		return err
	}
	return k.p.answers(k.URL, time.Minute)
}

func (k *KeystoneServer) launch() (err error) {
	k.p, err = launch(filepath.Join(k.dir, "log"), []string{"OS_KEYSTONE_CONFIG_FILES=" + k.conf()}, "uwsgi_python3",
		"--http-socket", fmt.Sprintf("127.0.0.1:%d", k.port), "--wsgi-file", "/usr/bin/keystone-wsgi-public", "--master", "--processes", "1", "--threads", "4",
		"--enable-threads", "--die-on-term", "--no-orphans", "--buffer-size", "65535", "--rem-header", "Content-Length")
	return err
}

// Stop ends the server; tokens stay good for when it is started again.
func (k *KeystoneServer) Stop() {
	if k.p != nil {
		k.p.end(syscall.SIGTERM)
		k.p = nil
	}
}

// Env is what the clients are told of a user.
func (k *KeystoneServer) Env(user, password, project string) []string {
	return []string{
		"OS_AUTH_URL=" + k.URL, "OS_IDENTITY_API_VERSION=3", "OS_USER_DOMAIN_ID=default", "OS_PROJECT_DOMAIN_ID=default", "OS_REGION_NAME=RegionOne",
		"OS_USERNAME=" + user, "OS_PASSWORD=" + password, "OS_PROJECT_NAME=" + project,
	}
}

// Token logs a user in.
func (k *KeystoneServer) Token(t testing.TB, user, password, project string) string {
	t.Helper()
	token, err := k.login(user, password, project)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Revoke makes a token invalid.
func (k *KeystoneServer) Revoke(t testing.TB, token string) {
	t.Helper()
	r, err := http.NewRequest("DELETE", k.URL+"/auth/tokens", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"X-Auth-Token": {token}, "X-Subject-Token": {token}}
	client := &http.Client{Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Fatal("revoke:", resp.Status)
	}
}

type object = map[string]any

func (k *KeystoneServer) login(user, password, project string) (string, error) {
	domain := object{"id": "default"}
	h, _, err := k.call("POST", "/auth/tokens", object{"auth": object{
		"identity": object{"methods": []string{"password"}, "password": object{"user": object{"name": user, "domain": domain, "password": password}}},
		"scope":    object{"project": object{"name": project, "domain": domain}},
	}})
	return h.Get("X-Subject-Token"), err
}

func (k *KeystoneServer) call(method, path string, in any) (http.Header, object, error) {
	return k.callAs(k.token, method, path, in)
}

// callAs is call by the holder of a token.
func (k *KeystoneServer) callAs(token, method, path string, in any) (http.Header, object, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, nil, err
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequest(method, k.URL+path, body)
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Auth-Token", token)
	client := &http.Client{Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode/100 != 2 {
		return resp.Header, nil, fmt.Errorf("keystone: %s %s: %s: %s", method, path, resp.Status, b)
	}
	var out object
	if len(b) > 0 {
		err = json.Unmarshal(b, &out)
	}
	return resp.Header, out, err
}

// make creates one thing and returns its id.
func (k *KeystoneServer) make(collection, kind string, body object) (string, error) {
	_, out, err := k.call("POST", "/"+collection, object{kind: body})
	if err != nil {
		return "", err
	}
	return out[kind].(object)["id"].(string), nil
}

func (k *KeystoneServer) seed() (err error) {
	if k.token, err = k.login("admin", "secret", "admin"); err != nil {
		return err
	}
	roles := map[string]string{}
	_, out, err := k.call("GET", "/roles", nil)
	if err != nil {
		return err
	}
	for _, r := range out["roles"].([]any) {
		roles[r.(object)["name"].(string)] = r.(object)["id"].(string)
	}
	if roles["service"] == "" {
		if roles["service"], err = k.make("roles", "role", object{"name": "service"}); err != nil {
			return err
		}
	}
	for project, users := range map[string][][3]string{ // name, password, role
		"service": {{"glance", "glancepw", "service"}, {"swift", "swiftpw", "admin"}},
		"demo":    {{"demo", "demopw", "member"}, {"reader", "demopw", "reader"}},
		"alt":     {{"alt", "altpw", "member"}},
	} {
		pid, err := k.make("projects", "project", object{"name": project, "domain_id": "default"})
		if err != nil {
			return err
		}
		for _, u := range users {
			uid, err := k.make("users", "user", object{"name": u[0], "password": u[1], "domain_id": "default"})
			if err != nil {
				return err
			}
			grants := []string{u[2]}
			if u[0] == "glance" {
				grants = append(grants, "admin")
			}
			for _, role := range grants {
				if _, _, err := k.call("PUT", "/projects/"+pid+"/users/"+uid+"/roles/"+roles[role], nil); err != nil {
					return err
				}
			}
		}
	}
	k.image, err = k.make("services", "service", object{"name": "glance", "type": "image"})
	return err
}

// SetImageEndpoint enters an Image service in the catalog until the test ends, in
// the region RegionOne.
func (k *KeystoneServer) SetImageEndpoint(t testing.TB, url string) {
	t.Helper()
	k.SetImageEndpointIn(t, "RegionOne", url)
}

// SetImageEndpointIn is SetImageEndpoint for a region, which is made where it is
// not there.
func (k *KeystoneServer) SetImageEndpointIn(t testing.TB, region, url string) {
	t.Helper()
	if _, _, err := k.call("PUT", "/regions/"+region, object{"region": object{"id": region}}); err != nil && !strings.Contains(err.Error(), "409") {
		t.Fatal(err)
	}
	for _, i := range []string{"public", "internal", "admin"} {
		id, err := k.make("endpoints", "endpoint", object{"service_id": k.image, "interface": i, "region_id": region, "url": url})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if _, _, err := k.call("DELETE", "/endpoints/"+id, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// addSwift enters an object store in the catalog.
func (k *KeystoneServer) addSwift(url string) error {
	id, err := k.make("services", "service", object{"name": "swift", "type": "object-store"})
	for _, i := range []string{"public", "internal", "admin"} {
		if err == nil {
			_, err = k.make("endpoints", "endpoint", object{"service_id": id, "interface": i, "region_id": "RegionOne", "url": url})
		}
	}
	return err
}

// ApplicationCredential makes one of a user and returns its id and secret.
func (k *KeystoneServer) ApplicationCredential(t testing.TB, user, password, project string) (id, secret string) {
	t.Helper()
	token := k.Token(t, user, password, project)
	_, out, err := k.call("GET", "/users?name="+user, nil)
	if err != nil {
		t.Fatal(err)
	}
	uid := out["users"].([]any)[0].(object)["id"].(string)
	_, out, err = k.callAs(token, "POST", "/users/"+uid+"/application_credentials", object{"application_credential": object{"name": "glimpse-" + rand.Text()}})
	if err != nil {
		t.Fatal(err)
	}
	c := out["application_credential"].(object)
	return c["id"].(string), c["secret"].(string)
}
