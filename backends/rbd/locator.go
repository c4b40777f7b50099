//go:build ceph

package rbd

import (
	"errors"
	"net/url"
	"strings"

	"glimpse/backends"
)

const (
	scheme = "rbd://"
	// snapshot is the name that Glance, Nova and Cinder expect.
	snapshot = "snap"
)

// place is what a locator names: rbd://fsid/pool/image/snapshot, or of the old
// form rbd://image, which is of the store's own pool and has no snapshot.
type place struct{ fsid, pool, image, snap string }

var errLocator = errors.New("rbd: not a locator of this store")

// parse reads both forms as glance_store does: of the old one nothing is
// unquoted.
func parse(at backends.Locator) (place, error) {
	rest, ok := strings.CutPrefix(at.Reveal(), scheme)
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 1 && len(parts) != 4 {
		return place{}, errLocator
	}
	for i, p := range parts {
		if p == "" || strings.Contains(p, "\x00") {
			return place{}, errLocator
		}
		if len(parts) == 1 {
			continue
		}
		text, err := url.PathUnescape(p)
		if err != nil || strings.Contains(text, "\x00") {
			return place{}, errLocator
		}
		parts[i] = text
	}
	if len(parts) == 1 {
		return place{image: parts[0]}, nil
	}
	return place{parts[0], parts[1], parts[2], parts[3]}, nil
}

// Owns tells the locations of the pool; those of another cluster that has a pool of
// the same name only where the conf says which cluster it is of.
func (c Config) Owns() func(backends.Locator) bool {
	fsid := ""
	if conn, err := configure(c, forAll); err == nil {
		if text, err := conn.GetConfigOption("fsid"); err == nil && strings.Trim(text, "0-") != "" {
			fsid = text
		}
	}
	return func(at backends.Locator) bool {
		p, err := parse(at)
		return err == nil && p.pool == c.Pool && (fsid == "" || p.fsid == fsid)
	}
}

func (p place) locator() backends.Locator {
	if p.snap == "" {
		return backends.Locator(scheme + p.image)
	}
	return backends.Locator(scheme + quote(p.fsid) + "/" + quote(p.pool) + "/" + quote(p.image) + "/" + quote(p.snap))
}

// quote leaves what Python's quote leaves: letters, digits and _.-~ .
func quote(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// uploadPrefix begins the names of images under way. Image names may hold @ and /
// nowhere, so neither may keys.
const uploadPrefix = "glimpse-upload-"

// saltSize is how many hex digits make the names of two writers differ.
const saltSize = 16

func uploadName(key, salt string) string { return uploadPrefix + key + "-" + salt }

// uploadKey returns the key that an image under way is for.
func uploadKey(name string) (string, bool) {
	rest, ok := strings.CutPrefix(name, uploadPrefix)
	end := len(rest) - saltSize - 1
	if !ok || end < 1 || rest[end] != '-' {
		return "", false
	}
	return rest[:end], true
}

func goodKey(key string) bool {
	return key != "" && len(key) <= 200 && !strings.ContainsAny(key, "/@\x00") && !strings.HasPrefix(key, uploadPrefix)
}
