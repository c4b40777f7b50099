package sqlstore

import (
	"net"
	"testing"

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
		if err != nil || ms != 5000 {
			t.Errorf("%d ms, %v", ms, err)
		}
	}); e != nil {
		t.Fatal(e)
	}
}
