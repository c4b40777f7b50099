package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

type stopCmd struct{ folder }

// stopTime bounds the end of the servers; each is given a minute before it is
// killed.
const stopTime = 5 * time.Minute

// Run ends the daemon, if there is one, and removes what it held.
func (s stopCmd) Run(ctx context.Context, out io.Writer) error {
	f, err := os.OpenFile(s.pid(), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(out, "The servers are not running.")
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	pid, err := holder(f)
	if err != nil {
		return err
	}
	what := "The servers are not running."
	if pid != 0 {
		ctx, cancel := context.WithTimeout(ctx, stopTime)
		defer cancel()
		if err := end(ctx, f, pid); err != nil {
			return err
		}
		what = "The servers have ended."
	}
	if err := take(f); err != nil { // started again meanwhile
		return err
	}
	fmt.Fprintln(out, what)
	return s.clean(f)
}

// clean removes what a daemon leaves, by whoever has the lock. Servers whose daemon
// was killed are killed by the kernel, and may write until then.
func (d folder) clean(f *os.File) error {
	var err error
	for range 100 {
		if err = os.RemoveAll(d.data()); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if gone := os.Remove(d.config()); !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return errors.Join(err, f.Truncate(0))
}
