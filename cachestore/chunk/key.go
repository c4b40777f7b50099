package chunk

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// A Key names bytes that never change. There are two kinds that are read. A content key,
// "c:<algo>:<hash>:<size>", is made only of a hash that Glimpse computed itself
// over these bytes; images with equal content share it. A private key,
// "p:<hmac>", belongs to one location of one image and can be reached through
// that image alone.
type Key string

// ContentKey names bytes whose hash (hex, sha256 or sha512) Glimpse itself has
// computed. A hash that a user or an old location claims must never come here.
// project is empty unless the cache is shared within a project only.
func ContentKey(algo, hash string, size int64, project string) Key {
	k := "c:" + algo + ":" + strings.ToLower(hash) + ":" + strconv.FormatInt(size, 10)
	if project != "" {
		k += ":" + project
	}
	return Key(k)
}

// PrivateKey names the bytes behind one location of one image, as the cluster
// secret's HMAC over all that identifies them. url must carry no userinfo.
func PrivateKey(secret []byte, imageID string, location int64, url string, size int64, validator string) Key {
	m := hmac.New(sha256.New, secret)
	for _, s := range []string{imageID, strconv.FormatInt(location, 10), url, strconv.FormatInt(size, 10), validator} {
		fmt.Fprintf(m, "%d:%s", len(s), s) // lengths first: no two lists of fields write the same bytes
	}
	return Key("p:" + hex.EncodeToString(m.Sum(nil)))
}

// UploadKey names the chunks of an upload under way. No reader has the name, and
// it means nothing to another process.
func UploadKey(token string) Key { return Key("u:" + token) }

// Upload says whether the key is the name of an upload.
func (k Key) Upload() bool { return strings.HasPrefix(string(k), "u:") }

// Content says whether the key names bytes by their hash.
func (k Key) Content() bool { return strings.HasPrefix(string(k), "c:") }

// Dir returns a name for the key that is safe as a file name: the hex of its
// SHA-256.
func (k Key) Dir() string {
	s := sha256.Sum256([]byte(k))
	return hex.EncodeToString(s[:])
}
