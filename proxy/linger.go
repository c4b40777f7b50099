package proxy

import (
	"bytes"
	"context"
	"io"
	"net"
	"time"

	"glimpse/registry/image"

	"github.com/valyala/fasthttp"
)

// How long and how patiently the rest of a refused body is taken in, as nginx's
// lingering_time and lingering_timeout are by default.
const (
	lingerTime = 30 * time.Second
	lingerIdle = 5 * time.Second
)

// bulk is private for requests with a large body.
func (s *Server) bulk(route string, fn handle) fasthttp.RequestHandler {
	return s.public(route, func(r *request) error {
		err := r.identify()
		if err == nil {
			err = fn(r)
		}
		r.lingers = err != nil && r.unread(err)
		return err
	})
}

// unread says whether the client may still be sending its body.
func (r *request) unread(err error) bool {
	if r.incoming != nil {
		return !r.incoming.ended && !r.incoming.broken && image.KindOf(err) != image.Timeout
	}
	return r.http.RequestBodyStream() != nil
}

// linger sends the answer and then reads what the client still sends of a refused
// body. Closed at once, the connection would be reset by what comes, and many
// clients, which read no answer before they have sent all, would never see why
// they were refused.
func (r *request) linger() {
	resp := &r.http.Response
	text := bytes.Clone(resp.Body())
	resp.SetConnectionClose()
	resp.ImmediateHeaderFlush = true
	resp.SetBodyStream(&lastWords{ctx: r.s.ctx, conn: r.http.Conn(), text: text}, len(text))
}

// lastWords is the body of an answer after which its connection is given up.
type lastWords struct {
	ctx  context.Context
	conn net.Conn
	text []byte
}

// SupportsBodyWriteTo tells fasthttp to call WriteTo.
func (w *lastWords) SupportsBodyWriteTo() bool { return true }

// WriteTo writes past fasthttp's buffer, which is empty: the header was flushed.
func (w *lastWords) WriteTo(io.Writer) (int64, error) {
	n, err := w.conn.Write(w.text)
	if half, ok := w.conn.(interface{ CloseWrite() error }); err == nil && ok && half.CloseWrite() == nil {
		defer context.AfterFunc(w.ctx, func() { _ = w.conn.SetReadDeadline(time.Unix(1, 0)) })()
		w.takeIn()
	}
	return int64(n), err
}

func (w *lastWords) takeIn() {
	buf := make([]byte, 64<<10)
	for end := time.Now().Add(lingerTime); time.Now().Before(end) && w.ctx.Err() == nil; {
		if w.conn.SetReadDeadline(time.Now().Add(lingerIdle)) != nil {
			return
		}
		if _, err := w.conn.Read(buf); err != nil {
			return
		}
	}
}

func (w *lastWords) Read(p []byte) (int, error) {
	if len(w.text) == 0 {
		return 0, io.EOF
	}
	n := copy(p, w.text)
	w.text = w.text[n:]
	return n, nil
}

func (w *lastWords) Close() error { return nil }
