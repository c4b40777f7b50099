package pull

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"glimpse/cmd/glimpse/imageapi"

	"golang.org/x/sys/unix"
)

// maxLinks is as many links as Linux follows.
const maxLinks = 40

// target returns the file that a name leads to, which may not be there yet: what a
// link points to is replaced, not the link. mode is that of the file that is there;
// 0: none.
func target(name string) (file string, mode fs.FileMode, err error) {
	switch st, err := os.Stat(name); { // the system may forbid to follow a link
	case err == nil && !st.Mode().IsRegular():
		return "", 0, noFile(name, st.Mode())
	case err == nil:
		mode = st.Mode().Perm()
	case !errors.Is(err, fs.ErrNotExist):
		return "", 0, err
	}
	for range maxLinks {
		to, err := os.Readlink(name)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, fs.ErrNotExist) { // it is no link, or not there
			return name, mode, nil
		}
		if err != nil {
			return "", 0, err
		}
		if open, err := descriptor(name); err != nil || open {
			return "", 0, errors.Join(err, imageapi.Errorf(imageapi.Usage, "%s is what a process has open, and no file's name; - is the standard output", name))
		}
		if !filepath.IsAbs(to) {
			to = folder(name) + to // not cleaned: .. behind a link is elsewhere
		}
		name = to
	}
	return "", 0, fmt.Errorf("%s: %w", name, unix.ELOOP)
}

// noFile tells of what can't be replaced by a file.
func noFile(name string, mode fs.FileMode) error {
	kind := "no file"
	switch {
	case mode.IsDir():
		return imageapi.Errorf(imageapi.Usage, "%s is a folder", name)
	case mode&fs.ModeCharDevice != 0:
		kind = "a device"
	case mode&fs.ModeDevice != 0:
		kind = "a block device"
	case mode&fs.ModeNamedPipe != 0:
		kind = "a pipe"
	}
	return imageapi.Errorf(imageapi.Usage, "%s is %s, which is not replaced by a file: glimpse pull IMAGE - >%s writes to it", name, kind, name)
}

// descriptor says whether a link is one of those of /proc, whose text need not be the
// name of what it leads to.
func descriptor(link string) (bool, error) {
	var st unix.Statfs_t
	err := unix.Statfs(folder(link), &st)
	return st.Type == unix.PROC_SUPER_MAGIC, err
}

// folder is where a name lies, with a slash at its end.
func folder(name string) string {
	dir, _ := filepath.Split(name)
	if dir == "" {
		return "./"
	}
	return dir
}
