package file

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"glimpse/backends"
	"glimpse/backends/backendtest"

	"golang.org/x/sys/unix"
)

var caps = backends.Caps{Ranged: true, UnknownSize: true, Validators: true, NoReplace: true, Pending: true}

func path(t *testing.T, at backends.Locator) string {
	t.Helper()
	u, err := url.Parse(at.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return u.Path
}

func TestFolders(t *testing.T) {
	for name, make := range map[string]func(t *testing.T) Config{
		"one":  func(t *testing.T) Config { return Config{Paths: []Path{{Path: t.TempDir()}}} },
		"thin": func(t *testing.T) Config { return Config{Paths: []Path{{Path: t.TempDir()}}, Thin: true} },
		"two": func(t *testing.T) Config {
			return Config{Paths: []Path{{Path: t.TempDir(), Priority: 1}, {Path: t.TempDir(), Priority: 2}}, Perm: 0o600}
		},
	} {
		t.Run(name, func(t *testing.T) {
			backendtest.Run(t, func(t *testing.T) backends.Store { return open(t, make(t)) }, backendtest.Options{
				Caps: caps,
				Replace: func(t *testing.T, at backends.Locator, data []byte) {
					if err := os.WriteFile(path(t, at), data, 0o600); err != nil {
						t.Fatal(err)
					}
				},
			})
		})
	}
}

func open(t *testing.T, c Config) *Store {
	t.Helper()
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheLayoutIsGlances(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Paths: []Path{{Path: dir}}, Perm: 0o604})
	defer s.Close()
	at := backendtest.Put(t, s, "5f2e4a8c", []byte("x"), 1)
	if at.Reveal() != "file://"+dir+"/5f2e4a8c" {
		t.Errorf("at %s", at.Reveal())
	}
	st, err := os.Stat(filepath.Join(dir, "5f2e4a8c"))
	if err != nil || st.Mode().Perm() != 0o604 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	if _, err := s.Stat(t.Context(), backends.Locator("filesystem://"+dir+"/5f2e4a8c")); err != nil {
		t.Errorf("the old scheme: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%d entries besides the image, %v", len(entries)-1, err)
	}
}

func TestNothingOutsideTheFolderIsOpened(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	dir := t.TempDir()
	s := open(t, Config{Paths: []Path{{Path: dir}}})
	defer s.Close()
	for _, err := range []error{
		os.WriteFile(outside, []byte("x"), 0o600), os.Symlink(outside, filepath.Join(dir, "link")),
		os.Mkdir(filepath.Join(dir, "folder"), 0o700), syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, u := range []string{
		"file://" + outside, "file://" + dir + "/../" + filepath.Base(filepath.Dir(outside)) + "/secret", "file://" + dir + "/link",
		"file://" + dir + "/folder", "file://" + dir, "file://host" + dir + "/link", "http://x/y", ":", "file:" + outside,
	} {
		if _, err := s.Stat(t.Context(), backends.Locator(u)); err == nil {
			t.Errorf("%s: found", u)
		}
		if r, err := s.Open(t.Context(), backends.Locator(u), "", 0, -1); err == nil {
			r.Close()
			t.Errorf("%s: opened", u)
		}
		if err := s.Delete(t.Context(), backends.Locator(u)); err == nil && u != "file://"+dir+"/link" && u != "file://"+dir+"/folder" {
			t.Errorf("%s: deleted", u)
		}
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error("the file outside is gone")
	}
	for _, key := range []string{"", "../x", "a/b", ".hidden", "nul\x00"} {
		if _, err := s.Create(t.Context(), key, 0); err == nil {
			t.Errorf("key %q is taken", key)
		}
	}
}

func TestAThinFileHasHoles(t *testing.T) {
	s := open(t, Config{Paths: []Path{{Path: t.TempDir()}}, Thin: true})
	defer s.Close()
	at := backendtest.Put(t, s, "k", make([]byte, 8<<20), 8<<20)
	st, err := os.Stat(path(t, at))
	if err != nil {
		t.Fatal(err)
	}
	if st.Size() != 8<<20 || st.Sys().(*syscall.Stat_t).Blocks > 64 {
		t.Errorf("%d bytes in %d blocks", st.Size(), st.Sys().(*syscall.Stat_t).Blocks)
	}
}

// A small file system that is full, for real.
func TestAFullDiskSaysSoAndKeepsNothing(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root for a small file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, 0)
	s := open(t, Config{Paths: []Path{{Path: dir}}})
	defer s.Close()
	w, err := s.Create(t.Context(), "announced", 2<<20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(nil); !errors.Is(err, backends.ErrFull) {
		t.Errorf("an announced size that has no room: %v", err)
	}
	if err := w.Cancel(); err != nil {
		t.Error(err)
	}
	if w, err = s.Create(t.Context(), "unknown", -1); err != nil {
		t.Fatal(err)
	}
	full := 0
	for range 4 {
		if _, err = w.Write(make([]byte, 512<<10)); errors.Is(err, backends.ErrFull) {
			full++
		}
	}
	if full == 0 {
		t.Fatalf("no write found the disk full: %v", err)
	}
	if _, err := w.Commit(t.Context()); err == nil {
		t.Error("committed without all bytes")
	}
	if err := w.Cancel(); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%d entries left, %v", len(entries), err)
	}
}
