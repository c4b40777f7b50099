package disk

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"

	"glimpse/cachestore/chunk"
)

const (
	tmpPrefix  = ".tmp-"
	keyFile    = "key"
	zerosFile  = "zeros"
	aboutFile  = "object"
	lockFile   = "lock"
	markerFile = "clean"
	// overhead is what a file takes beside its bytes and crcs, at most about: key
	// and footer. Costs are rounded up to pages, as file systems do.
	overhead = 256
	page     = 4 << 10
)

// hash is the SHA-256 of a key: the name of its folder.
type hash [32]byte

func hashOf(k chunk.Key) (h hash) {
	_, _ = hex.Decode(h[:], []byte(k.Dir())) // Dir is 64 hex digits
	return h
}

func (h hash) dir(root string) string {
	s := hex.EncodeToString(h[:])
	return filepath.Join(root, s[:2], s)
}

// fileName is "index-length-generation", 8 hex digits each.
func fileName(index uint32, length, gen uint32) string {
	return fmt.Sprintf("%08x-%08x-%08x", index, length, gen)
}

func parseFileName(s string) (index, length, gen uint32, ok bool) {
	if len(s) != 26 || s[8] != '-' || s[17] != '-' {
		return 0, 0, 0, false
	}
	a, okA := parseHex(s[:8])
	b, okB := parseHex(s[9:17])
	c, okC := parseHex(s[18:])
	return a, b, c, okA && okB && okC
}

// parseHex reads 8 hex digits as fileName writes them.
func parseHex(s string) (v uint32, ok bool) {
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			v = v<<4 | uint32(c-'0')
		case 'a' <= c && c <= 'f':
			v = v<<4 | uint32(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

func parseHash(s string) (h hash, ok bool) {
	if len(s) != 64 || strings.ToLower(s) != s {
		return h, false
	}
	_, err := hex.Decode(h[:], []byte(s))
	return h, err == nil
}

// cost is what a chunk of n bytes takes of the disk.
func cost(n int) int64 {
	c := int64(n) + int64(4*blocks(n)) + overhead
	return (c + page - 1) / page * page
}
