package sqlstore

import (
	"context"
	"net"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unheard is how long what was sent to the server may go without an
// acknowledgement by its kernel, be it the first packet of a connection. A network
// that swallows packets is noticed then, and not when a slow query would be given
// up: that may take longer. A packet that is lost is sent three times until then.
const unheard = 2500 * time.Millisecond

// dial connects to a server.
func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Control: func(network, _ string, c syscall.RawConn) error {
		if !strings.HasPrefix(network, "tcp") {
			return nil
		}
		var err error
		if e := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unheard/time.Millisecond))
		}); e != nil {
			return e
		}
		return err
	}}
	return d.DialContext(ctx, network, addr)
}
