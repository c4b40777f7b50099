package swift

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"glimpse/backends"
)

// The schemes of locators. swift is the old name of swift+https; swift+config
// names a reference in place of a server and its credentials.
const (
	schemeHTTP   = "swift+http"
	schemeHTTPS  = "swift+https"
	schemeOld    = "swift"
	schemeConfig = "swift+config"
)

var errLocator = errors.New("swift: not a locator of this store")

// location is a locator in its pieces.
type location struct {
	scheme    string
	user      string
	key       backends.Secret
	address   string // host and path of the login's URL, of the storage URL where there is no user, or a reference
	container string
	object    string
}

// parse reads a locator as Glance does.
func parse(at backends.Locator) (l location, err error) {
	text := at.Reveal()
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || strings.Contains(rest, "://") || strings.ContainsAny(rest, "?#") {
		return l, errLocator
	}
	switch l.scheme = scheme; scheme {
	case schemeHTTP, schemeHTTPS, schemeOld, schemeConfig:
	default:
		return l, errLocator
	}
	host, path, _ := strings.Cut(rest, "/")
	if cred, after, ok := strings.Cut(host, "@"); ok && scheme != schemeConfig {
		i := strings.LastIndex(cred, ":")
		if i < 0 {
			return l, errLocator
		}
		user, uerr := url.PathUnescape(cred[:i])
		key, kerr := url.PathUnescape(cred[i+1:])
		if uerr != nil || kerr != nil || user == "" || key == "" {
			return l, errLocator
		}
		l.user, l.key, host = user, backends.Secret(key), after
	}
	parts := strings.Split(strings.TrimLeft(path, "/"), "/")
	n := len(parts)
	if n < 2 || host == "" || strings.Contains(host, "@") || !named(parts[n-1]) || !named(parts[n-2]) {
		return l, errLocator
	}
	l.address = strings.Join(append([]string{host}, parts[:n-2]...), "/")
	l.object, l.container = parts[n-1], parts[n-2]
	return l, nil
}

// url is the address with the scheme of HTTP.
func (l location) url() string {
	if l.scheme == schemeHTTP {
		return "http://" + l.address
	}
	return "https://" + l.address
}

// place is where an object is, and who may come to it.
type place struct {
	account   *account
	storage   string          // "": the account's own
	token     backends.Secret // whose holder asks as long as it is good; "": the account does
	container string
	object    string
}

// find finds the account of a locator. Configured credentials go nowhere but to
// the server that they are configured for.
func (s *Store) find(at backends.Locator) (place, error) {
	l, err := parse(at)
	if err != nil {
		return place{}, err
	}
	p := place{container: l.container, object: l.object}
	switch {
	case l.scheme == schemeConfig:
		cred, ok := s.c.Accounts[l.address]
		if !ok {
			return place{}, errors.New("swift: the location's account reference is not configured")
		}
		p.account = s.account(cred)
	case l.user != "":
		cred, err := s.credentials(l)
		if err != nil {
			return place{}, err
		}
		p.account = s.account(cred)
	case !s.c.MultiTenant:
		return place{}, errors.New("swift: the location holds no user and key")
	case l.container != s.c.Container+"_"+l.object:
		return place{}, errLocator
	default:
		p.account, p.storage = s.own(), l.url()
	}
	return p, nil
}

// credentials are those that the locator brings; what it doesn't say is as
// configured for that server.
func (s *Store) credentials(l location) (Credentials, error) {
	cred, known := s.c.Accounts[s.c.Reference], false
	if trim(cred.AuthURL) == trim(l.url()) {
		known = true
	}
	for _, ref := range slices.Sorted(maps.Keys(s.c.Accounts)) {
		a := s.c.Accounts[ref]
		if trim(a.AuthURL) == trim(l.url()) && (!known || a.User == l.user && cred.User != l.user) {
			cred, known = a, true
		}
	}
	for _, u := range s.c.OtherAuthURLs {
		if !known && trim(u) == trim(l.url()) {
			cred.AuthURL, known = u, true
		}
	}
	if !known {
		return Credentials{}, errors.New("swift: the location is of another authentication server; other_auth_urls can list it")
	}
	cred.User, cred.Key, cred.AppID, cred.AppSecret = l.user, l.key, "", ""
	if err := cred.check(); err != nil {
		return Credentials{}, fmt.Errorf("swift: location: %w", err)
	}
	return cred, nil
}

// Owns tells the locations in the store's containers that its accounts lead to,
// whatever key is in them.
func (c Config) Owns(at backends.Locator) bool {
	l, err := parse(at)
	if err != nil || l.container != c.Container && !((c.Seed > 0 || c.MultiTenant) && strings.HasPrefix(l.container, c.Container+"_")) {
		return false
	}
	switch {
	case l.scheme == schemeConfig:
		_, ok := c.Accounts[l.address]
		return ok
	case l.user == "":
		return c.MultiTenant
	}
	for _, a := range c.Accounts {
		if trim(a.AuthURL) == trim(l.url()) {
			return true
		}
	}
	return false
}

func trim(u string) string { return strings.TrimRight(u, "/") }

// sameHost says whether two URLs lead to one server in the same way.
func sameHost(a, b string) bool {
	u, err := url.Parse(a)
	v, verr := url.Parse(b)
	return err == nil && verr == nil && u.User == nil && u.Scheme == v.Scheme && strings.EqualFold(u.Host, v.Host)
}

// locator is Glance's.
func (s *Store) locator(p place, key string) backends.Locator {
	if p.storage != "" {
		return backends.Locator("swift+" + p.storage + "/" + p.container + "/" + key)
	}
	container, own := p.container, s.c.Accounts[s.c.Reference]
	if s.c.HideCredentials {
		return backends.Locator(schemeConfig + "://" + s.c.Reference + "/" + container + "/" + key)
	}
	scheme := schemeHTTPS
	address, plain := strings.CutPrefix(own.AuthURL, "http://")
	if plain {
		scheme = schemeHTTP
	}
	address = strings.Trim(strings.TrimPrefix(address, "https://"), "/")
	return backends.Locator(scheme + "://" + quote(own.User) + ":" + quote(own.Key.Reveal()) + "@" + address + "/" + container + "/" + key)
}

// quote is Python's, but for the slash: Glance leaves it as it is, and then can't
// read the location that it has made.
func quote(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_.-~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// container is the one of a key: with a seed the key's first hex digits end its
// name, and the dashes between them.
func (s *Store) container(key string) string {
	if s.c.MultiTenant {
		return s.c.Container + "_" + key
	}
	if s.c.Seed == 0 {
		return s.c.Container
	}
	key = strings.ToLower(key)
	n := min(s.c.Seed, len(key))
	n = min(n+strings.Count(key[:n], "-"), len(key))
	return s.c.Container + "_" + key[:n]
}

// at is where a key of this store is.
func (s *Store) at(ctx context.Context, key string) (place, error) {
	p := place{account: s.own(), container: s.container(key), object: key}
	err := s.tenantsOwn(ctx, &p)
	return p, err
}
