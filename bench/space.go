package main

import (
	"context"
	"fmt"
	"net"
	"runtime"

	"golang.org/x/sys/unix"
)

// space is a network namespace with a loopback of its own. A server that is started
// in it can be had here by the very address that it tells its clients, and all they
// send one another passes what stands before it.
type space struct{ calls chan func() }

// newSpace makes one, which needs root. It stays until end is called, and so does
// the thread that is in it: servers die with the thread that has started them.
func newSpace() (*space, error) {
	s := &space{make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: the thread is of no use to others and ends with the goroutine
		err := enter()
		ready <- err
		if err != nil {
			return
		}
		for fn := range s.calls {
			fn()
		}
	}()
	return s, <-ready
}

// enter puts the thread into a namespace of its own and sets its loopback up.
func enter() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("a network namespace, which needs root: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

// do runs fn in the space; goroutines that fn starts are not in it. What fn throws
// is thrown here.
func (s *space) do(fn func()) {
	thrown := make(chan any)
	s.calls <- func() {
		defer func() { thrown <- recover() }()
		fn()
	}
	if p := <-thrown; p != nil {
		panic(p)
	}
}

// dial connects to a server in the space.
func (s *space) dial(ctx context.Context, addr string) (conn net.Conn, err error) {
	s.do(func() { conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", addr) })
	return conn, err
}

func (s *space) end() { close(s.calls) }
