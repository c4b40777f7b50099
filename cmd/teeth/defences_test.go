package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a defence would take away is in its file, once. That it is missed then,
// `make teeth` shows, which takes longer.
func TestDefencesAreThere(t *testing.T) {
	for _, d := range defences {
		b, err := os.ReadFile(filepath.Join("../..", d.file))
		if n := strings.Count(string(b), d.old); err != nil || n != 1 {
			t.Errorf("%s: the text to change is %d times in %s, %v", d.name, n, d.file, err)
		}
	}
}
