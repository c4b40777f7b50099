package overlay

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A module of one program, and what is built of it.
func TestWhatIsBuiltIsChanged(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":    "module m\n",
		"main.go":   "package main\n\nimport \"m/x\"\n\nfunc main() { println(x.A, x.B) }\n",
		"x/main.go": "package x\n\nconst (\n\tA = 1\n\tB = 2\n)\n",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	desc, err := Write(t.TempDir(), root,
		Change{"x/main.go", "A = 1", "A = 7"}, Change{"x/main.go", "B = 2", "B = 8"}, Change{"main.go", "println(", "println(9, "})
	if err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{"1 2\n": {"run", "."}, "9 7 8\n": {"run", "-overlay=" + desc, "."}} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != want {
			t.Errorf("%v: %v, %q; want %q", args, err, out, want)
		}
	}
	for old, want := range map[string]string{"C = 3": "0 times", "=": "2 times", "A = 1": "0 times"} {
		if _, err := Write(t.TempDir(), root, Change{"x/main.go", "A = 1", "A = 7"}, Change{"x/main.go", old, ""}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", old, err)
		}
	}
}
