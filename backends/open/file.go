package open

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"glimpse/backends"
	"glimpse/backends/file"

	"go.yaml.in/yaml/v3"
)

// File holds the keys of type file.
type File struct {
	Path             string `yaml:"path"`
	Paths            []Path `yaml:"paths"`
	Shared           bool   `yaml:"shared"`
	FilePerm         Mode   `yaml:"file_perm"`
	ThinProvisioning bool   `yaml:"thin_provisioning"`
	MetadataFile     string `yaml:"metadata_file"`

	mounts []mount
}

// Path is one of several folders.
type Path struct {
	Path     string `yaml:"path"`
	Priority int    `yaml:"priority"`
}

// Mode is the permissions of new files, in octal digits with or without a 0
// before them, as Glance reads them; 0 or less leaves them to the umask.
type Mode fs.FileMode

// UnmarshalYAML reads the digits as they are written.
func (m *Mode) UnmarshalYAML(n *yaml.Node) error {
	v, err := strconv.ParseInt(strings.TrimPrefix(n.Value, "0o"), 8, 32)
	switch {
	case err != nil || v > 0o777:
		return fmt.Errorf("file_perm: %q is not a mode such as 0640", n.Value)
	case v > 0 && v&0o400 == 0:
		return fmt.Errorf("file_perm: with %q the node could not read its own files", n.Value)
	}
	*m = Mode(max(v, 0))
	return nil
}

// Resolve puts folders under the data folder, and reads the metadata file.
func (f *File) Resolve(d Dirs) error {
	if f.Path != "" && len(f.Paths) > 0 {
		return errors.New("path and paths: only one of them can be set")
	}
	if f.Path != "" {
		f.Paths = []Path{{Path: f.Path}}
	}
	seen := map[string]bool{}
	for i, p := range f.Paths {
		f.Paths[i].Path = filepath.Clean(Under(d.Data, p.Path))
		switch folder := f.Paths[i].Path; {
		case p.Path == "":
			return errors.New("paths: one has no path")
		case seen[folder]:
			return fmt.Errorf("paths: %s is there twice", folder)
		default:
			seen[folder] = true
		}
	}
	if f.MetadataFile == "" {
		return nil
	}
	var err error
	f.mounts, err = readMounts(Under(d.Config, f.MetadataFile), f.Paths)
	return err
}

// Open makes the store.
func (f *File) Open(context.Context, string, Common) (backends.Store, error) {
	c := file.Config{Perm: fs.FileMode(f.FilePerm), Thin: f.ThinProvisioning}
	for _, p := range f.Paths {
		c.Paths = append(c.Paths, file.Path{Path: p.Path, Priority: p.Priority})
	}
	return file.Open(c)
}

// Properties are Glance's of a file store.
func (f *File) Properties() map[string]any {
	p := map[string]any{"chunk_size": 65536, "thin_provisioning": f.ThinProvisioning}
	if len(f.Paths) > 0 {
		p["data_dir"] = f.Paths[0].Path
	}
	return p
}

// Owns tells the files in its folders.
func (f *File) Owns() func(backends.Locator) bool {
	var folders []string
	for _, p := range f.Paths {
		if abs, err := filepath.Abs(p.Path); err == nil {
			folders = append(folders, "://"+abs+"/")
		}
	}
	return func(at backends.Locator) bool {
		rest := strings.TrimPrefix(strings.TrimPrefix(at.Reveal(), "filesystem"), "file")
		return slices.ContainsFunc(folders, func(folder string) bool { return strings.HasPrefix(rest, folder) })
	}
}
