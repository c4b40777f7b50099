package serve

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"glimpse/cluster/wire"
)

// members exchanges lists of nodes.
func (s *Server) members(w http.ResponseWriter, r *http.Request) {
	a, ok := s.askOf(w, r, wire.MaxAsk+wire.MaxBook)
	if !ok || !s.place(w, r, s.calls) {
		return
	}
	defer s.calls.give()
	b, err := s.cfg.Far.Members(a.From, a.Book)
	if err != nil {
		s.refuse(w, r, http.StatusBadRequest, err)
		return
	}
	s.roll(w)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b) // who has gone needs no answer
}

// link makes of a connection one on which its asker is asked.
func (s *Server) link(w http.ResponseWriter, r *http.Request) {
	a, ok := s.ask(w, r)
	if !ok || !s.place(w, r, s.links) {
		return
	}
	defer s.links.give()
	s.switchTo(w, func(c net.Conn) { s.cfg.Far.Link(a.From, c) })
}

// via makes of a connection one that leads to a node with a link to this one.
func (s *Server) via(w http.ResponseWriter, r *http.Request) {
	a, ok := s.ask(w, r)
	if !ok || !s.place(w, r, s.ways) {
		return
	}
	defer s.ways.give()
	to, err := s.cfg.Far.Open(a.Through)
	if err != nil {
		s.refuse(w, r, http.StatusNotFound, errors.New("that node has no link here"))
		return
	}
	s.switchTo(w, func(c net.Conn) { splice(c, to) })
	to.Close()
}

// switchTo takes the connection of a request and gives it to fn. It is closed when fn returns, and by Shutdown.
func (s *Server) switchTo(w http.ResponseWriter, fn func(net.Conn)) {
	s.taken.Add(1)
	defer s.taken.Done()
	rc := http.NewResponseController(w)
	c, rw, err := rc.Hijack()
	if err != nil {
		http.Error(w, "it can't be switched", http.StatusInternalServerError)
		return
	}
	defer c.Close()
	defer context.AfterFunc(s.base, func() { c.Close() })()
	_ = c.SetDeadline(time.Now().Add(handshake))
	_, err = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: glimpse\r\n\r\n")
	if err = errors.Join(err, rw.Flush(), c.SetDeadline(time.Time{})); err != nil {
		return
	}
	fn(&hijacked{c, rw.Reader})
}

// hijacked is a connection of which some may have been read.
type hijacked struct {
	net.Conn
	r io.Reader
}

func (h *hijacked) Read(b []byte) (int, error) { return h.r.Read(b) }

// splice joins two connections until one of them ends.
func splice(a, b net.Conn) {
	var both sync.WaitGroup
	for _, c := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			_, _ = io.Copy(c[0], c[1])
			a.Close()
			b.Close()
		})
	}
	both.Wait()
}

// inbox is a listener of connections that came another way.
type inbox struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newInbox() *inbox { return &inbox{conns: make(chan net.Conn), done: make(chan struct{})} }

func (i *inbox) Accept() (net.Conn, error) {
	select {
	case c := <-i.conns:
		return c, nil
	case <-i.done:
		return nil, net.ErrClosed
	}
}

func (i *inbox) Close() error {
	i.once.Do(func() { close(i.done) })
	return nil
}

// Addr says that there is no address.
func (i *inbox) Addr() net.Addr { return &net.UnixAddr{Name: "link", Net: "link"} }

// Take serves a connection that another node did not open itself.
func (s *Server) Take(c net.Conn) {
	select {
	case s.inbox.conns <- c:
	case <-s.inbox.done:
		c.Close()
	}
}

func (s *Server) serveInbox() {
	if s.cfg.Identity != nil {
		_ = s.http.ServeTLS(s.inbox, "", "") // it ends with the server
		return
	}
	_ = s.http.Serve(s.inbox)
}
