package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// A lock of fcntl(2) on the pid file belongs to the daemon for as long as it lives.
// The kernel names its holder, so the number that stands in the file is for people
// only, and one that another process has by now does no harm.

// take takes the lock, or says who has it.
func take(f *os.File) error {
	l := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	err := syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &l)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) {
		pid, _ := holder(f) // for the message alone
		return fmt.Errorf("the servers in %s run already (process %d); stop them first", filepath.Dir(f.Name()), pid)
	}
	return err
}

// holder returns the process that has the lock, 0 where none has.
func holder(f *os.File) (int, error) {
	l := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, &l); err != nil {
		return 0, err
	}
	switch {
	case l.Type == syscall.F_UNLCK:
		return 0, nil
	case l.Pid <= 0:
		return 0, errors.New("the servers run in another container; stop them there")
	}
	return int(l.Pid), nil
}

// end has the process that holds the lock end, and waits until it has let go.
func end(ctx context.Context, f *os.File, pid int) error {
	p, err := os.FindProcess(pid) // a handle on the process, which its number is not
	if err != nil {
		return err
	}
	defer func() { _ = p.Release() }() // nothing was asked that could fail
	if now, err := holder(f); err != nil || now != pid {
		return err
	}
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	for {
		if now, err := holder(f); err != nil || now != pid {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("process %d was told to end, and has not yet: %w", pid, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
