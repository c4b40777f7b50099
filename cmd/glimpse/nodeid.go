package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/google/uuid"
)

// nodeID returns the node's stable id, made at its first start and kept in
// data_dir.
func nodeID(dataDir string) (string, error) {
	if err := os.MkdirAll(dataDir, 0o750); err != nil {
		return "", fmt.Errorf("data_dir: %w", err)
	}
	file := filepath.Join(dataDir, "node-id")
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		id := uuid.NewString()
		return id, renameio.WriteFile(file, []byte(id+"\n"), 0o640)
	}
	if err != nil {
		return "", err
	}
	id, err := uuid.Parse(strings.TrimSpace(string(b)))
	if err != nil {
		return "", fmt.Errorf("%s: not a node id: %w", file, err)
	}
	return id.String(), nil
}
