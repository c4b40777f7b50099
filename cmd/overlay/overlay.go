// Package overlay changes texts of source files for one build, by go build's
// -overlay: the files themselves stay as they are, and the product needs no hooks.
package overlay

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Change is a text that is in a file once, and what is built in its place.
type Change struct {
	File     string // from the module's root
	Old, New string
}

// Write writes the changed files of the module at root into dir, and the
// description of them that -overlay reads, whose name it returns. A text that is
// not there, or more than once, is an error: the source has changed under it.
func Write(dir, root string, changes ...Change) (string, error) {
	texts := map[string]string{}
	for _, c := range changes {
		text, ok := texts[c.File]
		if !ok {
			b, err := os.ReadFile(filepath.Join(root, c.File))
			if err != nil {
				return "", err
			}
			text = string(b)
		}
		if n := strings.Count(text, c.Old); n != 1 {
			return "", fmt.Errorf("the text to change is %d times in %s: %q", n, c.File, c.Old)
		}
		texts[c.File] = strings.Replace(text, c.Old, c.New, 1)
	}
	replace := map[string]string{}
	for file, text := range texts {
		abs, err := filepath.Abs(filepath.Join(root, file))
		if err != nil {
			return "", err
		}
		replace[abs] = filepath.Join(dir, strings.ReplaceAll(file, "/", "-"))
		if err := os.WriteFile(replace[abs], []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "overlay.json")
	return name, os.WriteFile(name, b, 0o600)
}
