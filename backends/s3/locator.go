package s3

import (
	"errors"
	"net/url"
	"strings"

	"glimpse/backends"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

var (
	errLocator = errors.New("s3: not a locator of this store")
	errBucket  = errors.New("s3: a location without credentials, in another bucket than the store's")
)

// location is what Glance's URLs say:
//
//	s3://[access:secret@]host[:port][/path]/bucket/key
//
// with s3+https in place of s3 where the server speaks TLS. Nothing in them is
// escaped, and a secret may hold slashes.
type location struct {
	access, secret    string
	host, bucket, key string // host with its port and path
}

// parse reads a URL as Glance does. What it can't read or would misread is none.
func parse(text string) (l location, ok bool) {
	scheme, rest, _ := strings.Cut(text, "://")
	switch {
	case scheme != "s3" && scheme != "s3+http" && scheme != "s3+https":
		return l, false
	case strings.Contains(rest, "://"), strings.ContainsAny(rest, "?# \\"), strings.ContainsFunc(rest, control):
		return l, false
	}
	if creds, path, with := strings.Cut(rest, "@"); with {
		access, secret, two := strings.Cut(creds, ":")
		if !two || access == "" || secret == "" || strings.ContainsAny(secret, ":") {
			return l, false
		}
		l.access, l.secret, rest = access, secret, path
	}
	parts := strings.Split(strings.Trim(rest, "/"), "/")
	if len(parts) < 3 {
		return l, false
	}
	l.host = strings.Join(parts[:len(parts)-2], "/")
	l.bucket, l.key = parts[len(parts)-2], parts[len(parts)-1]
	return l, !strings.Contains(rest, "@") && isBucket(l.bucket) && l.key != "." && l.key != ".." && l.key != ""
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

// isBucket keeps what would change the path of a URL out of a bucket's name;
// which names there are is the server's to say.
func isBucket(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/:@?#%\\ ") && !strings.ContainsFunc(name, control)
}

// hostOf is an endpoint as it stands in locations: without its scheme.
func hostOf(u *url.URL) string { return strings.Trim(u.Host+u.Path, "/") }

// sameHost compares hosts as they stand in locations. The port that a scheme has
// anyway may be left out.
func sameHost(a, b string, https bool) bool {
	port := ":80"
	if https {
		port = ":443"
	}
	norm := func(h string) string {
		host, path, _ := strings.Cut(h, "/")
		return strings.TrimSuffix(strings.ToLower(host), port) + "/" + path
	}
	return norm(a) == norm(b)
}

// Owns tells the locations of the bucket, whatever credentials are in them.
func (c Config) Owns() func(backends.Locator) bool {
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil
	}
	host, https := hostOf(u), u.Scheme == "https"
	return func(at backends.Locator) bool {
		l, ok := parse(at.Reveal())
		return ok && l.bucket == c.Bucket && sameHost(l.host, host, https)
	}
}

// locator is where key lies, as Glance would write it.
func (s *Store) locator(key string) backends.Locator {
	scheme, creds := "s3", ""
	if s.https {
		scheme = "s3+https"
	}
	access, secret := s.c.AccessKey.Reveal(), s.c.SecretKey.Reveal()
	if readable(access) && readable(secret) {
		creds = access + ":" + secret + "@"
	}
	return backends.Locator(scheme + "://" + creds + s.host + "/" + s.c.Bucket + "/" + key)
}

// readable says that Glance reads a credential back as it was written.
func readable(cred string) bool {
	return !strings.ContainsAny(cred, ":@?#[] \\") && !strings.Contains(cred, "//") && strings.Trim(cred, "/") == cred && !strings.ContainsFunc(cred, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// object is what a location means to this store.
type object struct {
	bucket, key string
	client      *s3.Client // with the credentials that may open it
}

// resolve reads a location and decides whose credentials may open it. The
// request goes to the configured endpoint, whatever the location says.
func (s *Store) resolve(at backends.Locator) (object, error) {
	l, ok := parse(at.Reveal())
	if !ok || !sameHost(l.host, s.host, s.https) {
		return object{}, errLocator
	}
	o := object{bucket: l.bucket, key: l.key, client: s.client}
	switch {
	case l.access == "" && l.bucket != s.c.Bucket:
		return object{}, errBucket
	case l.access != "" && (l.access != s.c.AccessKey.Reveal() || l.secret != s.c.SecretKey.Reveal()):
		// A client of its own: the SDK's signer keeps keys by the name of the access
		// key alone, and would use the store's secret for who knows only that name.
		o.client = s.newClient(l.access, l.secret)
	}
	return o, nil
}
