package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A connection to a server that has vanished is given up in seconds.
func TestAServerThatVanishesIsNoticed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if e := raw.Control(func(fd uintptr) {
		ms, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
		if err != nil || ms != 2500 {
			t.Errorf("%d ms, %v", ms, err)
		}
	}); e != nil {
		t.Fatal(e)
	}
}

// So is the attempt to connect to one that is not heard of.
func TestAServerThatIsNotHeardOfIsLeft(t *testing.T) {
	addr := blackHole(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	begun := time.Now()
	c, err := dial(ctx, "tcp", addr)
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, syscall.ETIMEDOUT) || ctx.Err() != nil {
		t.Errorf("%v", err)
	}
	t.Logf("after %s: %v", time.Since(begun), err)
}

// blackHole is an address whose kernel drops what comes: of a server that accepts
// nothing, when as many wait as may.
func blackHole(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprint("127.0.0.1:", at.(*unix.SockaddrInet4).Port)
	for range 8 { // until one is not taken
		c, err := net.DialTimeout("tcp", addr, 100*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("all are taken")
	return ""
}
