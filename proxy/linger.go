package proxy

import (
	"context"
	"net"
	"time"
)

// How long and how patiently the rest of a refused body is taken in, as nginx's
// lingering_time and lingering_timeout are by default.
const (
	lingerTime = 30 * time.Second
	lingerIdle = 5 * time.Second
)

// linger has what a client still sends of a refused body read and thrown away
// after the answer. Closed at once, the connection would be reset by what comes,
// and many clients, which read no answer before they have sent all, would never
// see why they were refused.
func (r *request) linger() {
	ctx := r.s.ctx
	r.http.Hijack(func(c net.Conn) {
		defer context.AfterFunc(ctx, func() { c.Close() })()
		takeIn(c)
	})
}

func takeIn(c net.Conn) {
	inner := c
	if u, ok := c.(interface{ UnsafeConn() net.Conn }); ok {
		inner = u.UnsafeConn()
	}
	if half, ok := inner.(interface{ CloseWrite() error }); ok && half.CloseWrite() != nil {
		return // the client has gone
	}
	buf := make([]byte, 64<<10)
	for end := time.Now().Add(lingerTime); time.Now().Before(end); {
		if c.SetReadDeadline(time.Now().Add(lingerIdle)) != nil {
			return
		}
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}

// unread says whether some of the body may still come.
func (r *request) unread(b *bodyReader) bool {
	if b != nil {
		return !b.ended
	}
	return r.http.RequestBodyStream() != nil
}
