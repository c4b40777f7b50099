package peers

import (
	"context"
	"crypto/tls"
	"net"
)

// shake makes a connection one of TLS. It closes conn unless it is the node that
// was dialled.
func (at *peer) shake(ctx context.Context, conn net.Conn) (net.Conn, error) {
	c := tls.Client(conn, at.p.cfg.Identity.Client(at.id))
	if err := c.HandshakeContext(ctx); err != nil {
		conn.Close()
		if ctx.Err() != nil {
			return nil, nowhere{err}
		}
		return nil, refusal{err}
	}
	return c, nil
}
