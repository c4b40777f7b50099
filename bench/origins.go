package main

import (
	"net/url"
)

// origin is a store's server with one image in it.
type origin struct {
	addr string // host:port of the server
	// sets are the keys of a node's store "origin", whose server is at addr.
	sets func(addr string) []string
	// location is the image's URL there, as a record holds it.
	location func(addr string) string
	// tool is the command that a user would download with.
	tool func(addr string) []string
}

// origins is the table of the store types that are measured.
var origins = []struct {
	kind string
	open func(l *lab, image string) (origin, error)
}{
	{"http", webOrigin},
}

// webOrigin is nginx, beside curl.
func webOrigin(l *lab, image string) (origin, error) {
	u, err := url.Parse(l.nginx(image, "").static)
	if err != nil {
		return origin{}, err
	}
	at := func(addr string) string { return "http://" + addr + u.Path }
	return origin{
		addr: u.Host,
		sets: func(string) []string {
			return []string{"stores.origin.type=http", "stores.origin.allowed_hosts=[127.0.0.1]"}
		},
		location: at,
		tool: func(addr string) []string {
			return []string{"curl", "--silent", "--fail", "--output", "/dev/null", at(addr)}
		},
	}, nil
}
