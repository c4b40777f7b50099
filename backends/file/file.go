package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"glimpse/backends"
)

// Config says where the files lie and how they are made.
type Config struct {
	Paths []Path      // at least one
	Perm  fs.FileMode // of new files; 0 leaves it to the umask
	Thin  bool        // leave holes for blocks of zeros
}

// Path is one folder; the highest priority with room takes new files, the most
// free space among equals.
type Path struct {
	Path     string
	Priority int
}

// Store is a store on folders.
type Store struct {
	dirs []*dir // by priority, highest first
	perm fs.FileMode
	thin bool
}

type dir struct {
	path     string // absolute, as in locators
	priority int
	root     *os.Root // opens nothing outside, through symbolic links neither
}

var _ backends.Store = (*Store)(nil)

// Open makes missing folders and opens them all.
func Open(c Config) (*Store, error) {
	if len(c.Paths) == 0 {
		return nil, errors.New("file: no folder")
	}
	s := &Store{perm: c.Perm, thin: c.Thin}
	for _, p := range c.Paths {
		d, err := openDir(p)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.dirs = append(s.dirs, d)
	}
	slices.SortStableFunc(s.dirs, func(a, b *dir) int { return b.priority - a.priority })
	return s, nil
}

func openDir(p Path) (*dir, error) {
	path, err := filepath.Abs(p.Path)
	if err != nil {
		return nil, fmt.Errorf("file: %w", err)
	}
	if err := os.MkdirAll(path, 0o750); err != nil {
		return nil, fmt.Errorf("file: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("file: %w", err)
	}
	return &dir{path: path, priority: p.Priority, root: root}, nil
}

// Close gives the folders back.
func (s *Store) Close() error {
	var errs []error
	for _, d := range s.dirs {
		errs = append(errs, d.root.Close())
	}
	return errors.Join(errs...)
}

// Caps are a folder's.
func (s *Store) Caps() backends.Caps {
	return backends.Caps{Ranged: true, UnknownSize: true, Validators: true, NoReplace: true, Pending: true}
}

func (d *dir) locator(key string) backends.Locator {
	return backends.Locator((&url.URL{Scheme: "file", Path: filepath.Join(d.path, key)}).String())
}

// find returns the folder and the name within it that a locator means.
func (s *Store) find(at backends.Locator) (*dir, string, error) {
	u, err := url.Parse(at.Reveal())
	if err != nil || u.Scheme != "file" && u.Scheme != "filesystem" || u.Host != "" && u.Host != "localhost" {
		return nil, "", errors.New("file: not a locator of this store")
	}
	path := filepath.Clean(u.Path)
	for _, d := range s.dirs {
		if rel, err := filepath.Rel(d.path, path); err == nil && filepath.IsLocal(rel) && rel != "." {
			return d, rel, nil
		}
	}
	return nil, "", fmt.Errorf("file: outside the store's folders: %w", backends.ErrNotFound)
}

// Stat takes the size and a validator of modification time, size and inode.
func (s *Store) Stat(_ context.Context, at backends.Locator) (backends.Info, error) {
	d, name, err := s.find(at)
	if err != nil {
		return backends.Info{}, err
	}
	st, err := d.root.Stat(name)
	if err != nil {
		return backends.Info{}, d.translate(err)
	}
	if !st.Mode().IsRegular() {
		return backends.Info{}, fmt.Errorf("file: not a regular file: %w", backends.ErrNotFound)
	}
	return backends.Info{Size: st.Size(), Validator: validator(st)}, nil
}

// validator names one version of a file: an overwrite changes the time or the
// size, a replacement the inode.
func validator(st fs.FileInfo) string {
	var ino uint64
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		ino = sys.Ino
	}
	return fmt.Sprintf("%d-%d-%d", st.ModTime().UnixNano(), st.Size(), ino)
}

// Delete removes the file and syncs its folder.
func (s *Store) Delete(_ context.Context, at backends.Locator) error {
	d, name, err := s.find(at)
	if err != nil {
		return err
	}
	if err := d.root.Remove(name); err != nil {
		return d.translate(err)
	}
	return d.sync()
}

// sync makes the folder's entries durable.
func (d *dir) sync() error {
	f, err := d.root.Open(".")
	if err != nil {
		return translate(err)
	}
	defer f.Close()
	return translate(f.Sync())
}

// Pending lists the files to be that have a temporary, with the time of its last
// write.
func (s *Store) Pending(ctx context.Context, fn func(backends.Locator, time.Time) error) error {
	for _, d := range s.dirs {
		entries, err := fs.ReadDir(d.root.FS(), ".")
		if err != nil {
			return translate(err)
		}
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				return err
			}
			key, ok := keyOf(e.Name())
			if !ok {
				continue
			}
			st, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // committed or cancelled meanwhile
			}
			if err != nil {
				return translate(err)
			}
			if err := fn(d.locator(key), st.ModTime()); err != nil {
				return err
			}
		}
	}
	return nil
}

// Abort removes the temporaries of a file to be: without its temporary a writer
// has nothing to link.
func (s *Store) Abort(ctx context.Context, at backends.Locator) error {
	d, key, err := s.find(at)
	if err != nil {
		return err
	}
	entries, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return translate(err)
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if k, ok := keyOf(e.Name()); !ok || k != key {
			continue
		}
		if err := d.root.Remove(e.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return translate(err)
		}
	}
	return nil
}

// there says whether the folder's path still leads to the folder that was opened:
// not so when a mount has gone, or another has come.
func (d *dir) there() bool {
	opened, err := d.root.Stat(".")
	if err != nil {
		return false
	}
	now, err := os.Stat(d.path)
	return err == nil && os.SameFile(opened, now)
}

// translate is that for errors about a name: it can be missed only where the
// folder is there.
func (d *dir) translate(err error) error {
	if errors.Is(err, fs.ErrNotExist) && !d.there() {
		return fmt.Errorf("file: the folder is gone: %w", backends.ErrUnavailable)
	}
	return translate(err)
}

// translate gives an error of the file system the sentinel that callers test.
// Paths are left out: they are part of locators.
func translate(err error) error {
	var pe *fs.PathError
	var le *os.LinkError
	cause := err
	switch {
	case errors.As(err, &pe):
		cause = pe.Err
	case errors.As(err, &le):
		cause = le.Err
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("file: %w", backends.ErrNotFound)
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("file: %w", backends.ErrExists)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("file: %w: %w", backends.ErrFull, cause)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return fmt.Errorf("file: %w: %w", backends.ErrUnavailable, cause)
}
