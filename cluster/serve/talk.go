package serve

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// talk is what a connection is at. net/http says nothing of one that it closes
// before there is a request, and a peer that opens one and needs it no more is none
// to speak of; so what counts is that something came, and no request.
type talk struct{ within atomic.Bool }

// says: something has come, of which the next request is made.
func (t *talk) says() { t.within.Store(true) }

type talkKey struct{}

// heard notes that a request is whole.
func heard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if t, ok := r.Context().Value(talkKey{}).(*talk); ok {
			t.within.Store(false)
		}
		next.ServeHTTP(w, r)
	})
}

// talks are those of all connections.
type talks struct{ all sync.Map }

// begin is the first that is done with a connection.
func (t *talks) begin(ctx context.Context, c net.Conn) context.Context {
	one := &talk{}
	t.all.Store(c, one)
	return context.WithValue(ctx, talkKey{}, one)
}

func (t *talks) of(c net.Conn) *talk {
	one, _ := t.all.Load(c)
	return one.(*talk)
}

// end forgets a connection, and says whether it ends within a request.
func (t *talks) end(c net.Conn) bool {
	one, _ := t.all.LoadAndDelete(c)
	return one.(*talk).within.Load()
}
