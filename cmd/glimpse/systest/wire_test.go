package systest

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// wire is a way to a server that can be cut, or go dead so that nothing comes
// through and nobody is told.
type wire struct {
	ln net.Listener
	to string

	mu    sync.Mutex
	cut   bool
	dead  chan struct{} // not nil: nothing passes until it is closed
	conns map[net.Conn]bool
	cuts  int // connections that were cut, refused or held up
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	w := &wire{ln: ln, to: to, conns: map[net.Conn]bool{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { w.carry(c) })
		}
	})
	t.Cleanup(func() { ln.Close(); w.set(true); wg.Wait() })
	return w
}

// throughWire puts a wire before the server of a URL, and returns the URL by it.
func throughWire(t *testing.T, url string) (w *wire, by string) {
	t.Helper()
	at := strings.LastIndex(url, "@") + 1
	if at == 0 {
		at = strings.Index(url, "://") + 3
	}
	end := at + strings.Index(url[at:], "/")
	w = newWire(t, url[at:end])
	return w, url[:at] + w.ln.Addr().String() + url[end:]
}

func (w *wire) carry(c net.Conn) {
	defer c.Close()
	s, err := net.Dial("tcp", w.to)
	if err != nil || !w.hold(c, s) {
		return
	}
	defer s.Close()
	var wg sync.WaitGroup
	wg.Go(func() { io.Copy(gated{s, w}, c); s.Close() })
	io.Copy(gated{c, w}, s)
	c.Close()
	wg.Wait()
}

// gated passes bytes on while the wire is alive.
type gated struct {
	net.Conn
	w *wire
}

func (g gated) Write(p []byte) (int, error) {
	g.w.mu.Lock()
	dead := g.w.dead
	if dead != nil {
		g.w.cuts++
	}
	g.w.mu.Unlock()
	if dead != nil {
		<-dead
	}
	return g.Conn.Write(p)
}

// ReadFrom is hidden: the kernel's copying would not ask.
func (g gated) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{g}, r)
}

func (w *wire) hold(c, s net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		w.cuts++
		s.Close()
		return false
	}
	w.conns[c], w.conns[s] = true, true
	return true
}

// set cuts the wire, or mends it.
func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	if w.dead != nil {
		close(w.dead)
		w.dead = nil
	}
	if cut {
		for c := range w.conns {
			c.Close()
			w.cuts++
		}
		clear(w.conns)
	}
}

// count says how many connections met a fault since it was last asked.
func (w *wire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.cuts
	w.cuts = 0
	return n
}

// hang makes the wire dead, until set.
func (w *wire) hang() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead = make(chan struct{})
}
