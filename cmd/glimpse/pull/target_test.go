package pull

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"glimpse/cmd/glimpse/imageapi"
)

// What a link leads to is replaced, or made, and the link stays one.
func TestALinkIsFollowed(t *testing.T) {
	o := newOrigin(t, 3*chunkSize, 1)
	c, _ := o.config(o.serve(nil))
	for name, l := range map[string]struct{ at, to, file string }{
		"beside it":         {"link", "file", "file"},
		"elsewhere":         {"link", "far/file", "far/file"},
		"absolute":          {"link", "/far/file", "far/file"},
		"to a link":         {"link", "other", "file"},
		"to nothing":        {"link", "far/none", "far/none"},
		"through a folder":  {"short/link", "../file", "far/file"},
		"above a folder":    {"short/../file", "", "far/file"},
		"to above a folder": {"link", "short/../file", "far/file"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			in := func(name string) string { return dir + "/" + name } // not cleaned
			must(t, os.MkdirAll(in("far/deep"), 0o700))
			must(t, os.Symlink("far/deep", in("short")))
			must(t, os.Symlink("file", in("other")))
			for _, file := range []string{"file", "far/file"} {
				must(t, os.WriteFile(in(file), []byte("before"), 0o600))
			}
			if l.to != "" {
				to := l.to
				if filepath.IsAbs(to) {
					to = in(to[1:])
				}
				must(t, os.Symlink(to, in(l.at)))
			}
			interrupted(t, c, in(l.at))
			if _, err := os.Stat(in(l.file) + ".part"); err != nil {
				t.Errorf("what is under way does not lie beside the file: %v", err)
			}
			_, err := c.ToFile(t.Context(), in(l.at))
			must(t, err)
			o.check(in(l.file))
			if to, err := os.Readlink(in(l.at)); l.to != "" && (err != nil || !strings.HasSuffix(to, l.to)) {
				t.Errorf("the link is now %q, %v", to, err)
			}
			for _, file := range []string{"file", "far/file"} {
				if b, _ := os.ReadFile(in(file)); file != l.file && string(b) != "before" {
					t.Errorf("%s is now %d bytes", file, len(b))
				}
			}
		})
	}
}

// interrupted ends a pull when its first chunk is there.
func interrupted(t *testing.T, c Config, out string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.Streams, c.Progress = 1, func(int64) { cancel() }
	if _, err := c.ToFile(ctx, out); !errors.Is(err, context.Canceled) {
		t.Fatalf("the pull was not interrupted: %v", err)
	}
}

// What is no file is told of, and left as it is.
func TestWhatIsNoFile(t *testing.T) {
	o := newOrigin(t, chunkSize, 1)
	s := o.serve(nil)
	c, _ := o.config(s)
	dir := t.TempDir()
	open, err := os.Create(filepath.Join(dir, "open"))
	must(t, err)
	defer open.Close()
	for name, l := range map[string]struct {
		lay  func(at string) error
		want imageapi.Code
		said string
	}{
		"folder":         {func(at string) error { return os.Mkdir(at, 0o700) }, imageapi.Usage, "is a folder"},
		"pipe":           {func(at string) error { return syscall.Mkfifo(at, 0o600) }, imageapi.Usage, "is a pipe, which is not replaced by a file: glimpse pull IMAGE - >"},
		"to a device":    {func(at string) error { return os.Symlink("/dev/null", at) }, imageapi.Usage, "is a device"},
		"to a folder":    {func(at string) error { return os.Symlink(dir, at) }, imageapi.Usage, "is a folder"},
		"to what's open": {func(at string) error { return os.Symlink(fmt.Sprint("/proc/self/fd/", open.Fd()), at) }, imageapi.Usage, "- is the standard output"},
		"to itself":      {func(at string) error { return os.Symlink(at, at) }, 0, "too many levels"},
		"through itself": {func(at string) error { return os.Symlink(filepath.Base(at)+"/x", at) }, 0, "too many levels"},
	} {
		t.Run(name, func(t *testing.T) {
			at := filepath.Join(dir, name)
			must(t, l.lay(at))
			before, err := os.Lstat(at)
			must(t, err)
			_, err = c.ToFile(t.Context(), at)
			if err == nil || imageapi.CodeOf(err) != l.want || !strings.Contains(err.Error(), l.said) {
				t.Errorf("%v", err)
			}
			if after, err := os.Lstat(at); err != nil || after.Mode() != before.Mode() {
				t.Errorf("it is now %v, %v", after, err)
			}
			if left, _ := filepath.Glob(at + "?*"); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	if n := s.sent.Load(); n > 0 {
		t.Errorf("%d bytes were fetched for nothing", n)
	}
}

// Who might not read a file may not read the image that replaces it, nor what is
// there of it under way.
func TestAFileKeepsItsMode(t *testing.T) {
	o := newOrigin(t, 3*chunkSize, 1)
	c, _ := o.config(o.serve(nil))
	for _, mode := range []os.FileMode{0o600, 0o640, 0o444} {
		out := filepath.Join(t.TempDir(), "out")
		must(t, os.WriteFile(out, []byte("before"), mode))
		interrupted(t, c, out)
		if st, err := os.Stat(out + ".part"); err != nil || st.Mode().Perm() != mode|0o600 {
			t.Errorf("%v: under way it is %v, %v", mode, st.Mode(), err)
		}
		_, err := c.ToFile(t.Context(), out)
		must(t, err)
		o.check(out)
		if st, err := os.Stat(out); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%v: it is now %v, %v", mode, st.Mode(), err)
		}
	}
}
