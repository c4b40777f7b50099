package file

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"glimpse/backends"
	"glimpse/backends/backendtest"

	"golang.org/x/sys/unix"
)

// mounted is a small file system, for real.
func mounted(t *testing.T, flags uintptr) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root for a small file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", flags, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// takes says in which of the folders of a store an object of so many bytes lands.
func takes(t *testing.T, s *Store, key string, size int64) string {
	t.Helper()
	return filepath.Dir(path(t, backendtest.Put(t, s, key, []byte("x"), size)))
}

func TestTheFolderWithRoomAndPriorityTakesTheFile(t *testing.T) {
	low, high := t.TempDir(), t.TempDir()
	s := open(t, Config{Paths: []Path{{Path: low, Priority: 1}, {Path: high, Priority: 2}}})
	defer s.Close()
	if dir := takes(t, s, "k", 1); dir != high {
		t.Errorf("in %s", dir)
	}
}

func TestAmongEqualsTheOneWithTheMostRoomTakesTheFile(t *testing.T) {
	small, large := mounted(t, 0), t.TempDir()
	s := open(t, Config{Paths: []Path{{Path: small}, {Path: large}}})
	defer s.Close()
	if dir := takes(t, s, "k", 1); dir != large {
		t.Errorf("in %s", dir)
	}
}

func TestTheNextFolderTakesWhatOneCannot(t *testing.T) {
	for name, c := range map[string]struct {
		flags uintptr
		spoil func(dir string) error
	}{
		"full": {0, func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 1<<20), 0o600)
		}},
		"read-only": {unix.MS_RDONLY, func(string) error { return nil }},
		"gone":      {0, func(dir string) error { return unix.Unmount(dir, unix.MNT_DETACH) }},
	} {
		t.Run(name, func(t *testing.T) {
			first, next := mounted(t, c.flags), t.TempDir()
			s := open(t, Config{Paths: []Path{{Path: first, Priority: 2}, {Path: next, Priority: 1}}})
			defer s.Close()
			if err := c.spoil(first); err != nil {
				t.Fatal(err)
			}
			for key, size := range map[string]int64{"known": 1, "unknown": -1} {
				if dir := takes(t, s, key, size); dir != next {
					t.Errorf("%s size: in %s", key, dir)
				}
			}
		})
	}
}

// What has not enough room is passed over before a byte is written.
func TestAFileThatDoesNotFitGoesToTheNextFolder(t *testing.T) {
	first, next := mounted(t, 0), t.TempDir()
	s := open(t, Config{Paths: []Path{{Path: first, Priority: 2}, {Path: next, Priority: 1}}})
	defer s.Close()
	for key, c := range map[string]struct {
		size int64
		want string
	}{"fits": {100 << 10, first}, "does not": {2 << 20, next}} {
		w, err := s.Create(t.Context(), key, c.size)
		if err != nil {
			t.Fatal(err)
		}
		if dir := filepath.Dir(path(t, w.Locator())); dir != c.want {
			t.Errorf("%s: in %s", key, dir)
		}
		if err := w.Cancel(); err != nil {
			t.Error(err)
		}
	}
}

func TestAReadOnlyFolderSaysSo(t *testing.T) {
	s := open(t, Config{Paths: []Path{{Path: mounted(t, unix.MS_RDONLY)}}})
	defer s.Close()
	w, err := s.Create(t.Context(), "k", 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("x")); !errors.Is(err, unix.EROFS) || !errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if err := w.Cancel(); err != nil {
		t.Error(err)
	}
}

// A file is missing only where its folder is there: else it may come back, and
// nobody is told that the image has no data.
func TestNothingIsMissingFromAFolderThatIsGone(t *testing.T) {
	for name, c := range map[string]struct {
		make func(*testing.T) string
		take func(dir string) error
	}{
		"removed":   {func(t *testing.T) string { return filepath.Join(t.TempDir(), "images") }, os.RemoveAll},
		"unmounted": {func(t *testing.T) string { return mounted(t, 0) }, func(dir string) error { return unix.Unmount(dir, unix.MNT_DETACH) }},
		"replaced": {func(t *testing.T) string { return filepath.Join(t.TempDir(), "images") }, func(dir string) error {
			return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o750), os.Mkdir(dir+"2", 0o750))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := c.make(t)
			s := open(t, Config{Paths: []Path{{Path: dir}}})
			defer s.Close()
			at := s.dirs[0].locator("missing")
			if _, err := s.Stat(t.Context(), at); !errors.Is(err, backends.ErrNotFound) {
				t.Fatalf("while it is there: %v", err)
			}
			if err := c.take(dir); err != nil {
				t.Fatal(err)
			}
			_, serr := s.Stat(t.Context(), at)
			_, oerr := s.Open(t.Context(), at, "", 0, -1)
			for op, err := range map[string]error{"stat": serr, "open": oerr, "delete": s.Delete(t.Context(), at)} {
				if !errors.Is(err, backends.ErrUnavailable) || errors.Is(err, backends.ErrNotFound) {
					t.Errorf("%s: %v", op, err)
				}
			}
		})
	}
}
