package web

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
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

var errRange = errors.New("http: the server sends another range than asked for")

// contentRange reads where a partial answer begins and how long the whole is, -1
// if the server does not say.
func contentRange(resp *http.Response) (first, size int64, err error) {
	span, ok := strings.CutPrefix(resp.Header.Get("Content-Range"), "bytes ")
	from, total, ok2 := strings.Cut(span, "/")
	from, _, ok3 := strings.Cut(from, "-")
	if !ok || !ok2 || !ok3 {
		return 0, 0, errRange
	}
	if first, err = strconv.ParseInt(from, 10, 64); err != nil || first < 0 {
		return 0, 0, errRange
	}
	if total == "*" {
		return first, -1, nil
	}
	if size, err = strconv.ParseInt(total, 10, 64); err != nil || size < 0 {
		return 0, 0, errRange
	}
	return first, size, nil
}
