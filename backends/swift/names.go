package swift

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
)

// An upload has a name of its own, so that two towards one key never touch each
// other's segments, and Glance's uploads, <key>-00001, are never taken for ours:
//
//	<key>-g<upload>-00001    a segment
//	<key>-g<upload>.upload   is there from the first write until the commit
const (
	uploadMark = "-g"
	markerEnd  = ".upload"
	uploadLen  = 16
	digits     = 5
)

func newUpload() string {
	var b [uploadLen / 2]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// upload is one, by its names.
type upload struct{ key, id string }

func (u upload) prefix() string       { return u.key + uploadMark + u.id + "-" }
func (u upload) marker() string       { return u.key + uploadMark + u.id + markerEnd }
func (u upload) segment(n int) string { return fmt.Sprintf("%s%0*d", u.prefix(), digits, n) }

// uploadOf reads the name of a segment or a marker.
func uploadOf(name string) (u upload, marker, ok bool) {
	rest, marker := strings.CutSuffix(name, markerEnd)
	if !marker {
		n := len(name) - digits - 1
		if n < 0 || name[n] != '-' || !number(name[n+1:]) {
			return u, false, false
		}
		rest = name[:n]
	}
	i := len(rest) - uploadLen - len(uploadMark)
	if i <= 0 || rest[i:i+len(uploadMark)] != uploadMark {
		return u, false, false
	}
	u = upload{rest[:i], rest[i+len(uploadMark):]}
	if _, err := hex.DecodeString(u.id); err != nil {
		return u, false, false
	}
	return u, marker, true
}

func number(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
