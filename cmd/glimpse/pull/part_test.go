package pull

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"glimpse/cmd/glimpse/imageapi"
)

// In a folder where others may write, no pull follows what they laid there.
func TestAPartFileIsAFile(t *testing.T) {
	o := newOrigin(t, 3*chunkSize, 1)
	c, _ := o.config(o.serve(nil))
	dir := t.TempDir()
	treasure := filepath.Join(dir, "treasure")
	must(t, os.WriteFile(treasure, []byte("gold"), 0o600))
	fresh := filepath.Join(dir, "fresh")
	for name, lay := range map[string]func(at string) error{
		"link": func(at string) error { return os.Symlink(treasure, at) },
		"lost": func(at string) error { return os.Symlink(fresh, at) },
		"pipe": func(at string) error { return syscall.Mkfifo(at, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(dir, name)
			must(t, lay(out+".part"))
			if _, err := c.ToFile(t.Context(), out); err == nil || name == "pipe" && imageapi.CodeOf(err) != imageapi.Usage {
				t.Errorf("it is pulled to what is no file: %v", err)
			}
			if _, err := os.Stat(fresh); err == nil {
				t.Error("another file was made")
			}
			if b, err := os.ReadFile(treasure); err != nil || string(b) != "gold" {
				t.Errorf("the other file is now %d bytes, %v", len(b), err)
			}
		})
	}
}

// A pull that opened the part file of another one that was just about to finish
// holds the finished file.
func TestAFinishedFileIsNotTruncated(t *testing.T) {
	out := filepath.Join(t.TempDir(), "image")
	must(t, os.WriteFile(out+".part", []byte("whole"), 0o600))
	f, err := os.OpenFile(out+".part", os.O_RDWR, 0)
	must(t, err)
	p := &part{f: f, name: out}
	defer p.close()
	must(t, p.still())
	must(t, os.Rename(out+".part", out))
	if err := p.still(); err == nil {
		t.Error("nothing there, and it may be written")
	}
	must(t, os.WriteFile(out+".part", nil, 0o600))
	if err := p.still(); err == nil || imageapi.CodeOf(err) != 0 {
		t.Errorf("another one there: %v", err)
	}
}
