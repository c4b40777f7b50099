package disk

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"glimpse/cachestore/chunk"
	"glimpse/cachestore/vfs"
)

const (
	keyHead   = "glimpse key 1"
	maxKeys   = 64 // names of one object
	maxKeyLog = 128 << 10
)

// encodeKeys writes the keys of a folder, its own first, then its aliases.
func encodeKeys(keys []chunk.Key) []byte {
	var b strings.Builder
	b.WriteString(keyHead + "\n")
	for _, k := range keys {
		b.WriteString(strconv.Quote(string(k)) + "\n")
	}
	return fmt.Appendf([]byte(b.String()), "%08x\n", castagnoli([]byte(b.String())))
}

func parseKeys(b []byte) ([]chunk.Key, error) {
	bad := fmt.Errorf("key file: %w", chunk.ErrCorrupt)
	if len(b) < 9 || fmt.Sprintf("%08x\n", castagnoli(b[:len(b)-9])) != string(b[len(b)-9:]) {
		return nil, bad
	}
	lines := strings.Split(strings.TrimSuffix(string(b[:len(b)-9]), "\n"), "\n")
	if lines[0] != keyHead || len(lines) < 2 || len(lines) > maxKeys+1 {
		return nil, bad
	}
	var keys []chunk.Key
	for _, l := range lines[1:] {
		s, err := strconv.Unquote(l)
		if err != nil {
			return nil, bad
		}
		keys = append(keys, chunk.Key(s))
	}
	return keys, nil
}

func readKeys(fs vfs.FS, dir string) ([]chunk.Key, error) {
	b, err := vfs.ReadFile(fs, filepath.Join(dir, keyFile), maxKeyLog)
	if err != nil {
		return nil, err
	}
	return parseKeys(b)
}

// aliased says whether dir, the folder of key, may hold chunks whose trailer
// says other.
func aliased(fs vfs.FS, dir string, key, other chunk.Key) bool {
	keys, err := readKeys(fs, dir)
	return err == nil && len(keys) > 0 && keys[0] == key && slices.Contains(keys, other)
}

// writeKeys replaces the key file; with sync it is durable when this returns.
func (t *Tier) writeKeys(dir string, keys []chunk.Key, sync bool) error {
	tmp := filepath.Join(dir, t.tmpName())
	f, err := t.fs.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(encodeKeys(keys))
	if err == nil && sync {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = t.fs.Rename(tmp, filepath.Join(dir, keyFile))
	}
	if err != nil {
		_ = t.fs.Remove(tmp)
		return err
	}
	if sync {
		return t.fs.SyncDir(dir)
	}
	return nil
}

// errNames: a folder's key file is full.
var errNames = fmt.Errorf("an object has more than %d names", maxKeys)

// addAlias makes it durable that key's folder may hold chunks of other, and of
// all that other's own folder could hold.
func (t *Tier) addAlias(key, other chunk.Key) error {
	dir := hashOf(key).dir(t.root)
	keys, err := readKeys(t.fs, dir)
	if err != nil || len(keys) == 0 || keys[0] != key {
		keys = []chunk.Key{key}
	}
	olds, err := readKeys(t.fs, hashOf(other).dir(t.root))
	if err != nil {
		olds = nil
	}
	for _, k := range append([]chunk.Key{other}, olds...) {
		if !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	if len(keys) > maxKeys {
		return errNames
	}
	return t.writeKeys(dir, keys, true)
}
