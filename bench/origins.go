package main

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"glimpse/cmd/testenv"
)

// origin is a store's server with one image in it.
type origin struct {
	// binary is the node that can read it, where that is another than the rows'.
	binary string
	// behind limits the server to so many bytes a second, over all connections and on
	// each of them, 0 for no limit, and returns where it is then found.
	behind func(total, each int64) (place string)
	// sets are the keys of a node's store "origin", whose server is at place.
	sets func(place string) []string
	// location is the image's URL there, as a record holds it.
	location func(place string) string
	// tool is the command that a user would download with, and peer what it is called.
	tool func(place string) []string
	peer string
	// shared says that all streams of a node go over one connection, so that none
	// has a limit of its own.
	shared bool
}

// origins is the table of the store types that are measured.
var origins = []struct {
	kind string
	open func(l *lab, image string) (origin, error)
}{
	{"http", webOrigin},
	{"s3", s3Origin},
	{"swift", swiftOrigin},
	{"rbd", rbdOrigin},
}

// server puts the throttle before a server that is reached over TCP at addr.
func (l *lab) server(addr string) func(total, each int64) string {
	dial := func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "tcp", addr) }
	return func(total, each int64) string { return l.throttle("127.0.0.1:0", dial, total, each).addr }
}

// uploaded has a node upload the image to a store "origin" and returns its
// location, as Glance would have written it.
func (l *lab) uploaded(kind, image string, sets ...string) (string, error) {
	g := l.node("uploads to "+kind, append(sets, "default_store=origin")...)
	id := l.stored(g, image)
	g.stop()
	g.process = nil
	db, err := openRegistry("sqlite:" + filepath.Join(g.dir, "registry.db"))
	if err != nil {
		return "", err
	}
	defer db.Close()
	at, err := db.location(l.ctx, id)
	return at, errors.Join(err, os.RemoveAll(g.dir))
}

// webOrigin is nginx, beside curl.
func webOrigin(l *lab, image string) (origin, error) {
	u, err := url.Parse(l.nginx(image, "").static)
	if err != nil {
		return origin{}, err
	}
	at := func(addr string) string { return "http://" + addr + u.Path }
	return origin{
		behind: l.server(u.Host),
		sets: func(string) []string {
			return []string{"stores.origin.type=http", "stores.origin.allowed_hosts=[127.0.0.1]"}
		},
		location: at,
		peer:     "curl",
		tool: func(addr string) []string {
			return []string{"curl", "--silent", "--fail", "--output", "/dev/null", at(addr)}
		},
	}, nil
}

// s3Origin is versitygw, beside the SDK's transfer manager. The signature of a
// request holds the Host that its client asks, so the limit in between, which
// passes bytes on as they are, does not break it.
func s3Origin(l *lab, image string) (origin, error) {
	s := testenv.Versitygw(l)
	addr := strings.TrimPrefix(s.URL, "http://")
	sets := func(addr string) []string {
		return []string{
			"stores.origin.type=s3", "stores.origin.endpoint=http://" + addr, "stores.origin.bucket=images",
			"stores.origin.access_key=" + s.Access, "stores.origin.secret_key=" + s.Secret,
		}
	}
	at, err := l.uploaded("s3", image, append(sets(addr), "stores.origin.create_bucket=true")...)
	if err != nil {
		return origin{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return origin{}, err
	}
	l.say("versitygw --keep-alive posix; read in ranges by the SDK's transfer manager with its defaults: " + s3Defaults)
	key := at[strings.LastIndexByte(at, '/')+1:]
	return origin{
		behind: l.server(addr), sets: sets,
		location: func(to string) string { return strings.Replace(at, addr, to, 1) },
		peer:     "the SDK's ranged gets",
		tool: func(addr string) []string {
			return []string{self, s3Command, "http://" + addr, s.Access, s.Secret, "images", key}
		},
	}, nil
}

// swiftOrigin is OpenStack Swift, beside its client. The image is cut by 200 MiB,
// Glance's default: into fewer segments than those after which Swift gives only one
// a second.
func swiftOrigin(l *lab, image string) (origin, error) {
	testenv.Need(l, "swift")
	s := testenv.Swift(l)
	u, err := url.Parse(s.AuthURL)
	if err != nil {
		return origin{}, err
	}
	auth := func(addr string) string { return "http://" + addr + u.Path }
	sets := func(addr string) []string {
		return []string{
			"stores.origin.type=swift", "stores.origin.auth_url=" + auth(addr), "stores.origin.auth_version=1", "stores.origin.user=" + s.User, "stores.origin.key=" + s.Key,
		}
	}
	at, err := l.uploaded("swift", image, append(sets(u.Host), "stores.origin.create_container_on_put=true", "stores.origin.large_object_chunk_size=200MiB", "cache.memory.size=1GiB")...)
	if err != nil {
		return origin{}, err
	}
	l.say("Swift: one replica, one process of each server, tempauth; the image is a dynamic large object of segments of 200 MiB")
	key := at[strings.LastIndexByte(at, '/')+1:]
	return origin{
		behind: l.server(u.Host), sets: sets,
		location: func(to string) string { return strings.Replace(at, u.Host, to, 1) },
		peer:     "swift download",
		tool: func(addr string) []string {
			return []string{"swift", "-A", auth(addr), "-U", s.User, "-K", s.Key, "download", "glance", key, "--output", "/dev/null", "--ignore-mtime"}
		},
	}, nil
}
