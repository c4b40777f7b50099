package swift

import (
	"net/http"
	"sync"
	"testing"
)

// A server closes connections that the client takes for idle, as Swift does with one
// on which it refused a body: the next request goes over another, at once.
func TestAConnectionThatTheServerHasClosed(t *testing.T) {
	var mu sync.Mutex
	used, closed := map[string]bool{}, 0
	s, _ := evil(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		again := used[r.RemoteAddr]
		used[r.RemoteAddr] = true
		if again {
			closed++
		}
		mu.Unlock()
		if again {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusCreated)
	})
	s.c.Tries = 0
	p, err := s.at(t.Context(), "id")
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{http.MethodPut, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodPut} {
		c := call{method: method, container: p.container, object: "id"}
		if method == http.MethodPut {
			c.body = [][]byte{[]byte("some"), []byte("bytes")}
		}
		if _, err := s.again(t.Context(), p, c); err != nil {
			t.Errorf("%s: %v", method, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if closed == 0 {
		t.Error("no connection was used again")
	}
	t.Logf("%d connections were closed under a request", closed)
}
