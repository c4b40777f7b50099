package web

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"glimpse/backends/httpread"
)

// version is what a server says of the object behind a URL.
type version struct {
	size     int64  // -1: unknown
	etag     string // strong
	modified string
}

func versionOf(resp *http.Response, size int64) version {
	v := version{size: size, modified: resp.Header.Get("Last-Modified")}
	if e := resp.Header.Get("ETag"); strings.HasPrefix(e, `"`) {
		v.etag = e
	}
	return v
}

// maxTag is how long an ETag may be to be kept as it is.
const maxTag = 128

// String is the validator: the ETag, else the modification time, with the size.
// "" where the server gives neither.
func (v version) String() string {
	tag, kind := v.etag, "e"
	if tag == "" {
		tag, kind = v.modified, "m"
	}
	if tag == "" {
		return ""
	}
	if len(tag) > maxTag {
		sum := sha256.Sum256([]byte(tag))
		tag, kind = hex.EncodeToString(sum[:]), "h"
	}
	return kind + strconv.FormatInt(v.size, 10) + " " + tag
}

// condition makes a server refuse a request for another version.
func condition(validator string) (header, value string) {
	kind, tag, ok := strings.Cut(validator, " ")
	switch {
	case ok && kind[0] == 'e':
		return "If-Match", tag
	case ok && kind[0] == 'm':
		return "If-Unmodified-Since", tag
	}
	return "", ""
}

var errRange = fmt.Errorf("http: %w", httpread.ErrRange)

func contentRange(resp *http.Response) (first, size int64, err error) {
	if first, size, err = httpread.ContentRange(resp.Header.Get("Content-Range")); err != nil {
		err = errRange
	}
	return first, size, err
}
