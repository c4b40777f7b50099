package open

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"glimpse/backends"
	"glimpse/backends/file"
)

// File holds the keys of type file.
type File struct {
	Path             string `yaml:"path"`
	Paths            []Path `yaml:"paths"`
	Shared           bool   `yaml:"shared"`
	FilePerm         uint32 `yaml:"file_perm"`
	ThinProvisioning bool   `yaml:"thin_provisioning"`
	MetadataFile     string `yaml:"metadata_file"`
}

// Path is one of several folders.
type Path struct {
	Path     string `yaml:"path"`
	Priority int    `yaml:"priority"`
}

// Resolve puts folders under the data folder.
func (f *File) Resolve(d Dirs) error {
	if f.MetadataFile != "" {
		return errors.New("metadata_file: this version does not read it")
	}
	if f.Path != "" {
		f.Paths = append([]Path{{Path: f.Path}}, f.Paths...)
	}
	for i, p := range f.Paths {
		f.Paths[i].Path = Under(d.Data, p.Path)
	}
	return nil
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

// Prefixes begin the location URLs of its folders.
func (f *File) Prefixes() (list []string) {
	for _, p := range f.Paths {
		if abs, err := filepath.Abs(p.Path); err == nil {
			list = append(list, "file://"+abs+"/")
		}
	}
	return list
}
