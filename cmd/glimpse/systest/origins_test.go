package systest

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"glimpse/cmd/testenv"
)

// origin is a store as Glance and Glimpse are both told of it.
type origin struct {
	id, kind string
	glance   []string                           // the options of its group
	glimpse  []string                           // its keys
	in       func(*testing.T) []string          // the names of what lies in it
	pieces   func(t *testing.T, key string) int // what an image of several megabytes is cut into; nil: it is not
	token    bool                               // our keys have a random end
	tail     string                             // of a location, behind the key
	old      []form
	age      func(t *testing.T, key string) // makes of an object what it was when locations had their oldest form; nil: nothing
}

// form is another way to write the beginning of a location, which older or newer
// Glances have.
type form struct {
	from, to string // of what Glance writes now
	unread   bool   // by this Glance
	short    bool   // without the origin's tail
}

// origins is the table of stores. Both sides cut images of more than 5 MiB.
func origins(t *testing.T, folder string) []origin {
	cert, key, _ := certificate(t)
	t.Setenv("AWS_CA_BUNDLE", cert) // this Glance has no option for it
	plain, secure, swift := testenv.Versitygw(t), testenv.VersitygwTLS(t, cert, key), testenv.Swift(t)
	keys := plain.Access + ":" + plain.Secret + "@"
	login := overTLS(t, swift.AuthURL, cert, key)
	refs := filepath.Join(t.TempDir(), "refs.conf")
	must(t, os.WriteFile(refs, fmt.Appendf(nil, "[site]\nauth_version = 1\nauth_address = %s\nuser = %s\nkey = %s\n", swift.AuthURL, swift.User, swift.Key), 0o600))
	all := []origin{
		{
			id: "main", kind: "file", glance: []string{"filesystem_store_datadir=" + folder}, glimpse: []string{"path=" + folder},
			in:  files(folder),
			old: []form{{from: "file://", to: "filesystem://"}, {}},
		},
		{
			id: "one", kind: "s3", glance: glanceS3(plain, "one"), glimpse: append(ourS3(plain, "one"), "conditional_writes=on"),
			in: files(plain.Data + "/one"), pieces: parts(plain.Data + "/one"),
			old: []form{{from: keys, unread: true}, {from: "s3://" + keys, to: "s3+http://", unread: true}, {from: "s3://", to: "s3+http://"}, {}},
		},
		{
			id: "two", kind: "s3", glance: glanceS3(secure, "two"), glimpse: append(ourS3(secure, "two"), "cacert="+cert),
			in: files(secure.Data + "/two"), pieces: parts(secure.Data + "/two"), token: true,
			old: []form{{from: keys, unread: true}, {from: "s3+https://", to: "s3://", unread: true}, {}},
		},
		{
			id: "user", kind: "swift",
			glance: append(glanceSwift("user"), "swift_store_auth_version=1", "swift_store_auth_address="+login, "swift_store_user="+swift.User,
				"swift_store_key="+swift.Key, "swift_store_cacert="+cert),
			glimpse: append(ourSwift("user"), "auth_version=1", "auth_address="+login, "user="+swift.User, "key="+swift.Key, "cacert="+cert),
			in:      objects(swift, "user"), pieces: segments(swift, "user"),
			old: []form{
				{from: "swift+https://test%3Atester:", to: "swift://test:tester:"},
				{from: "swift+https://", to: "swift://"},
				{from: "swift+https://test%3Atester:testing@" + strings.TrimPrefix(login, "https://"), to: "swift+config://ref1"},
				{},
			},
		},
		{
			id: "refs", kind: "swift",
			glance:  append(glanceSwift("refs"), "swift_store_config_file="+refs, "default_swift_reference=site"),
			glimpse: append(ourSwift("refs"), "config_file="+refs, "default_swift_reference=site"),
			in:      objects(swift, "refs"), pieces: segments(swift, "refs"),
			old: []form{{from: "swift+config://site", to: "swift+http://test:tester:testing@" + strings.TrimPrefix(swift.AuthURL, "http://")}, {}},
		},
	}
	if testenv.HasCeph(t) {
		all = append(all, pool(t))
	}
	if os.Getenv("GLIMPSE_LONG") != "" {
		all = append(all, gateway(t)...)
	}
	return all
}

// pool is one of a Ceph cluster.
func pool(t *testing.T) origin {
	c := testenv.Ceph(t)
	const name = "beside"
	c.NewPool(t, name)
	return origin{
		id: "ceph", kind: "rbd",
		glance:  []string{"rbd_store_ceph_conf=" + c.Conf, "rbd_store_pool=" + name, "rbd_store_user=admin", "rbd_store_chunk_size=4"},
		glimpse: []string{"conf=" + c.Conf, "pool=" + name, "user=admin", "chunk_size=4MiB"},
		in:      func(t *testing.T) []string { return strings.Fields(c.RBD(t, "ls", name)) },
		pieces: func(t *testing.T, key string) int {
			t.Helper()
			var info struct{ Objects int }
			must(t, json.Unmarshal([]byte(c.RBD(t, "info", "--format", "json", name+"/"+key)), &info))
			return info.Objects
		},
		tail: "/snap",
		old:  []form{{from: "rbd://" + c.FSID + "/" + name + "/", to: "rbd://", short: true}, {}},
		age: func(t *testing.T, key string) {
			t.Helper()
			c.RBD(t, "snap", "unprotect", name+"/"+key+"@snap")
			c.RBD(t, "snap", "rm", "--no-progress", name+"/"+key+"@snap")
		},
	}
}

// gateway is Ceph's, by both of its protocols.
func gateway(t *testing.T) []origin {
	g := testenv.RGW(t)
	s3 := &testenv.S3Server{URL: g.URL, Access: g.AccessKey, Secret: g.SecretKey}
	swift := &testenv.SwiftServer{AuthURL: g.SwiftAuth, User: g.SwiftUser, Key: g.SwiftKey}
	return []origin{
		{
			id: "gate", kind: "s3", glance: glanceS3(s3, "three"), glimpse: append(ourS3(s3, "three"), "region=default"),
			in: objects(swift, "three"), token: true,
			old: []form{{from: s3.Access + ":" + s3.Secret + "@", unread: true}, {}},
		},
		{
			id: "port", kind: "swift",
			glance:  append(glanceSwift("port"), "swift_store_auth_version=1", "swift_store_auth_address="+swift.AuthURL, "swift_store_user="+swift.User, "swift_store_key="+swift.Key),
			glimpse: append(ourSwift("port"), "auth_version=1", "auth_address="+swift.AuthURL, "user="+swift.User, "key="+swift.Key, "conditional_put=false"),
			in:      objects(swift, "port"), pieces: segments(swift, "port"), token: true,
			old: []form{{from: "img%3Aswift:", to: "img:swift:"}, {}},
		},
	}
}

func glanceS3(s *testenv.S3Server, bucket string) []string {
	return []string{
		"s3_store_host=" + s.URL, "s3_store_access_key=" + s.Access, "s3_store_secret_key=" + s.Secret, "s3_store_bucket=" + bucket,
		"s3_store_create_bucket_on_put=true", "s3_store_bucket_url_format=path", "s3_store_large_object_size=5", "s3_store_large_object_chunk_size=5",
	}
}

func ourS3(s *testenv.S3Server, bucket string) []string {
	return []string{"endpoint=" + s.URL, "access_key=" + s.Access, "secret_key=" + s.Secret, "bucket=" + bucket, "create_bucket=true", "part_size=8MiB"}
}

func glanceSwift(container string) []string {
	return []string{
		"swift_store_container=" + container, "swift_store_create_container_on_put=true",
		"swift_store_large_object_size=5", "swift_store_large_object_chunk_size=2",
	}
}

func ourSwift(container string) []string {
	return []string{"container=" + container, "create_container_on_put=true", "large_object_size=5", "large_object_chunk_size=4MiB"}
}

// overTLS leads to a login, and to nothing else: what is given there is the plain
// address of the storage.
func overTLS(t *testing.T, login, cert, key string) string {
	to, err := url.Parse(login)
	must(t, err)
	pair, err := tls.LoadX509KeyPair(cert, key)
	must(t, err)
	srv := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: to.Scheme, Host: to.Host})
	}})
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.URL + to.Path
}

// files lists a folder, with what lies deeper in it.
func files(folder string) func(*testing.T) []string {
	return func(t *testing.T) (names []string) {
		t.Helper()
		must(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				names = append(names, path)
			}
			return err
		}))
		return names
	}
}

// parts tells by the ETag that versitygw keeps with an object's file.
func parts(bucket string) func(*testing.T, string) int {
	return func(t *testing.T, key string) (n int) {
		t.Helper()
		etag := make([]byte, 100)
		k, err := syscall.Getxattr(filepath.Join(bucket, key), "user.etag", etag)
		must(t, err)
		if _, after, ok := strings.Cut(string(etag[:k]), "-"); ok {
			_, err = fmt.Sscan(strings.Trim(after, `"`), &n)
			must(t, err)
		}
		return n
	}
}

// objects lists a container.
func objects(s *testenv.SwiftServer, container string) func(*testing.T) []string {
	return func(t *testing.T) []string { return listing(t, s, container, "") }
}

func segments(s *testenv.SwiftServer, container string) func(*testing.T, string) int {
	return func(t *testing.T, key string) int { return len(listing(t, s, container, key+"-")) }
}

func listing(t *testing.T, s *testenv.SwiftServer, container, prefix string) []string {
	t.Helper()
	login := api{t: t}.do("GET", s.AuthURL, nil, "X-Auth-User", s.User, "X-Auth-Key", s.Key)
	login.Body.Close()
	in := api{t: t, base: login.Header.Get("X-Storage-Url"), token: login.Header.Get("X-Auth-Token")}
	code, body := in.text("GET", "/"+container+"?prefix="+prefix, "")
	if code/100 != 2 {
		t.Fatalf("listing: %d %s", code, body)
	}
	return strings.Fields(body)
}
