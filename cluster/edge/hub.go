package edge

import (
	"net"

	"github.com/hashicorp/yamux"
)

// Link takes over a connection on which an edge node is to be reached. It returns
// when that has ended.
func (f *Far) Link(from string, c net.Conn) {
	s, err := yamux.Client(c, mux())
	if err != nil {
		c.Close()
		return
	}
	defer s.Close()
	f.mu.Lock()
	old := f.inward[from]
	if f.closed {
		f.mu.Unlock()
		return
	}
	f.inward[from] = s
	f.mu.Unlock()
	if old != nil {
		old.Close()
	}
	select {
	case <-s.CloseChan():
	case <-f.base.Done():
	}
	f.mu.Lock()
	if f.inward[from] == s {
		delete(f.inward, from)
	}
	f.mu.Unlock()
}

// Open opens a stream to an edge node whose link this node holds.
func (f *Far) Open(id string) (net.Conn, error) {
	f.mu.Lock()
	s := f.inward[id]
	f.mu.Unlock()
	if s == nil {
		return nil, errNoLink
	}
	return s.OpenStream()
}
