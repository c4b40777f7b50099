package main

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"glimpse/cmd/testenv"
)

// server is one that can be started, or it fails t.
type server struct {
	name  string
	start func(t *testenv.Standalone) []store
}

// store is a section of the configuration.
type store struct {
	id      string
	keys    string // with a line for each
	uploads bool   // it takes them
	tag     string // that the binary must be built with
}

var servers = []server{
	{"swift", swift},
	{"versitygw", versitygw},
	{"radosgw", radosgw},
	{"ceph", ceph},
	{"nginx", nginx},
}

func swift(t *testenv.Standalone) []store {
	s := testenv.Swift(t)
	return []store{{id: "swift", uploads: true, keys: swiftKeys(s.AuthURL, s.User, s.Key, true)}}
}

func swiftKeys(auth, user, key string, conditional bool) string {
	return fmt.Sprintf(`type: swift
auth_url: %s
auth_version: 1
user: %s
key: %s
container: glance
create_container_on_put: true
conditional_put: %t
`, auth, user, key, conditional)
}

func versitygw(t *testenv.Standalone) []store {
	s := testenv.Versitygw(t)
	return []store{{id: "s3", uploads: true, keys: s3Keys(s.URL, s.Access, s.Secret, "us-east-1")}}
}

func s3Keys(endpoint, access, secret, region string) string {
	return fmt.Sprintf(`type: s3
endpoint: %s
access_key: %s
secret_key: %s
region: %s
bucket: images
create_bucket: true
`, endpoint, access, secret, region)
}

// radosgw is one gateway and two stores, by each of the protocols that it speaks.
func radosgw(t *testenv.Standalone) []store {
	s := testenv.RGW(t)
	return []store{
		{id: "radosgw", uploads: true, keys: s3Keys(s.URL, s.AccessKey, s.SecretKey, "default")},
		{id: "radosgw-swift", uploads: true, keys: swiftKeys(s.SwiftAuth, s.SwiftUser, s.SwiftKey, false)},
	}
}

func ceph(t *testenv.Standalone) []store {
	c := testenv.Ceph(t)
	return []store{{id: "rbd", uploads: true, tag: "ceph", keys: fmt.Sprintf("type: rbd\nconf: %q\npool: %s\n", c.Conf, c.Pool)}}
}

// nginx serves a folder with one file to begin with.
func nginx(t *testenv.Standalone) []store {
	w := testenv.Nginx(t, "")
	if err := os.WriteFile(filepath.Join(w.Root, "first.img"), []byte(strings.Repeat("a file on a web server\n", 1<<18)), 0o644); err != nil {
		t.Fatal(err)
	}
	return []store{{id: "web", keys: fmt.Sprintf(`type: http
allowed_hosts: [127.0.0.1]
# Files in %[1]s are at %[2]s, as %[2]s/first.img is.
# One becomes an image without an upload, with ID that of an image that has no data:
# curl http://127.0.0.1:9292/v2/images/ID/locations -H 'Content-Type: application/json' -d '{"url": "%[2]s/first.img"}'
`, w.Root, w.URL)}}
}

// configuration is that of a node with the stores that were found.
func (d daemonCmd) configuration(found map[string][]store) (string, error) {
	var sections strings.Builder
	first := ""
	for _, s := range servers {
		for _, st := range found[s.name] {
			indent, head := "  ", ""
			switch {
			case st.tag != "" && !built(d.Binary, st.tag):
				indent, head = "  # ", fmt.Sprintf("  # For a node that is built with the tag %s:\n", st.tag)
			case st.uploads && first == "":
				first = st.id
			}
			fmt.Fprintf(&sections, "%s%s%s:\n", head, indent, st.id)
			for l := range strings.Lines(st.keys) {
				fmt.Fprintf(&sections, "%s  %s", indent, l)
			}
		}
	}
	if first == "" {
		return "", errors.New("no server that takes images could be started; make test-deps installs them all (Debian or Ubuntu, as root)")
	}
	return fmt.Sprintf(`# A node on the servers of this folder. X-Image-Meta-Store: ID chooses the store of an upload.
data_dir: %q
default_store: %s
stores:
%s`, filepath.Join(d.data(), "node"), first, sections.String()), nil
}

// built says whether a program was built with a tag.
func built(program, tag string) bool {
	info, err := buildinfo.ReadFile(program)
	return err == nil && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool {
		return s.Key == "-tags" && slices.Contains(strings.Split(s.Value, ","), tag)
	})
}
