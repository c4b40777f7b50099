package ops

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"

	"glimpse/cachestore/chunk"
	"glimpse/registry"
	"glimpse/registry/image"
)

// contentKey names bytes by a hash that this service computed. Where the cache
// is not shared, or within a project only, the key holds who may reach it: the
// rest of it still names the manifest.
func (s *Service) contentKey(m image.Image, l image.Location, c registry.Content, validator string) chunk.Key {
	owner := ""
	switch s.cfg.Share {
	case "project":
		owner = "project-"
		if m.Owner != nil {
			owner += *m.Owner
		}
	case "off":
		owner = string(s.privateKey(m, l, c.Size, validator))
	}
	return chunk.ContentKey(c.Algo, c.Hash, c.Size, owner)
}

// manifestKey is where the manifest of a content key is filed; "" for a private
// key, which has none.
func manifestKey(k chunk.Key) string {
	if !k.Content() {
		return ""
	}
	parts := strings.SplitN(string(k), ":", 5)
	return strings.Join(parts[:min(len(parts), 4)], ":")
}

func (s *Service) privateKey(m image.Image, l image.Location, size int64, validator string) chunk.Key {
	return chunk.PrivateKey(s.cfg.Secret, m.ID, l.ID, withoutUserinfo(l.URL.Reveal()), size, validator)
}

// withoutUserinfo strips what may be a password. A text that is no URL is
// replaced by its digest.
func withoutUserinfo(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		sum := sha256.Sum256([]byte(raw))
		return hex.EncodeToString(sum[:])
	}
	u.User = nil
	return u.String()
}
