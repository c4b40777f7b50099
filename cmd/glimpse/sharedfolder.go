package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"glimpse/backends/open"
	"glimpse/cmd/glimpse/config"
	"glimpse/registry"

	"github.com/google/uuid"
)

// markerName is a file in each folder that the nodes of a cluster share. It names
// the folder: the same to all, or it is not shared.
const markerName = ".glimpse-shared"

// checkShared refuses to start on folders that only pretend to be shared: one of
// another node's name alone, or the empty place where a file system is to be
// mounted. A node that takes such a folder for the cluster's would find images
// missing, and believe files deleted that are not.
func checkShared(ctx context.Context, c config.Config, s registry.Settings) error {
	if !c.Clustered() {
		return nil
	}
	for id, keys := range c.Stores {
		oc, err := open.Decode(id, keys, open.Dirs{Data: c.DataDir, Config: c.Beside()})
		if err != nil {
			return err
		}
		f, ok := oc.Driver.(*open.File)
		if !ok || !f.Shared || oc.ReadOnly && c.Node.Role == "client" { // which never reads it
			continue
		}
		for _, p := range f.Paths {
			if err := checkMarker(ctx, s, p.Path, oc.ReadOnly); err != nil {
				return fmt.Errorf("stores.%s: %w", id, err)
			}
		}
	}
	return nil
}

// checkMarker compares a folder's marker with the one in the registry. The first
// node to come makes both.
func checkMarker(ctx context.Context, s registry.Settings, folder string, readOnly bool) error {
	file := filepath.Join(folder, markerName)
	found, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && !readOnly {
		found, err = makeMarker(file)
	}
	if err != nil {
		return err
	}
	mark := strings.TrimSpace(string(found))
	want, err := s.Setting(ctx, fmt.Sprintf("folder %x", sha256.Sum256([]byte(folder))), mark)
	if err != nil {
		return err
	}
	if mark != want {
		return fmt.Errorf("%s is not the folder that the other nodes have under this name, although it is said to be shared: is it mounted? (%s says %.64s here, %s there)", folder, markerName, mark, want)
	}
	return nil
}

// makeMarker returns what is in the marker in the end: another node may be faster.
func makeMarker(file string) ([]byte, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(file), markerName+"-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(uuid.NewString() + "\n")
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(f.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(file)
}
