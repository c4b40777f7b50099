package open

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"glimpse/backends"
)

// mount is what Glance's filesystem_store_metadata_file says of one mount point:
// whoever has the same one may read an image's file there.
type mount map[string]string

// maxMounts bounds the file.
const maxMounts = 1 << 20

// readMounts reads the metadata file: one object with the keys id and mountpoint,
// or a list of them. Glance takes a file that leaves a folder out, and gives what
// lies there no metadata; here that is an error at the start.
func readMounts(name string, folders []Path) ([]mount, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("metadata_file: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxMounts))
	if err != nil {
		return nil, fmt.Errorf("metadata_file: %w", err)
	}
	var list []mount
	if err := json.Unmarshal(b, &list); err != nil {
		var one mount
		if json.Unmarshal(b, &one) != nil {
			return nil, fmt.Errorf("metadata_file %s: not an object of texts, or a list of them: %w", name, err)
		}
		list = []mount{one}
	}
	for _, m := range list {
		if m["id"] == "" || m["mountpoint"] == "" {
			return nil, fmt.Errorf("metadata_file %s: id or mountpoint is missing", name)
		}
	}
	for _, p := range folders {
		if at(list, p.Path) == nil {
			return nil, fmt.Errorf("metadata_file %s: no mountpoint in it holds %s", name, p.Path)
		}
	}
	return list, nil
}

// at returns the first mount that a path lies in, as Glance does, but by whole
// names: /mnt/a does not hold /mnt/ab.
func at(list []mount, path string) mount {
	i := slices.IndexFunc(list, func(m mount) bool {
		rel, err := filepath.Rel(m["mountpoint"], path)
		return err == nil && filepath.IsLocal(rel)
	})
	if i < 0 {
		return nil
	}
	return list[i]
}

// Metadata is what the metadata file says of the place of a file.
func (f *File) Metadata(l backends.Locator) map[string]string {
	u, err := url.Parse(l.Reveal())
	if err != nil {
		return nil
	}
	return maps.Clone(at(f.mounts, u.Path))
}
