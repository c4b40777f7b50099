package edge_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"glimpse/cluster/edge"
	"glimpse/cluster/ring"
	"glimpse/cluster/wire"
)

// babbler answers each list of nodes with something that is none.
type babbler struct{}

func (babbler) Members(context.Context, ring.Node, []byte) ([]byte, error) {
	return []byte(`{"edge": [{"id": ""}]}`), nil
}

func (babbler) Switch(context.Context, ring.Node, string, wire.Ask) (net.Conn, error) {
	return nil, errors.New("no")
}

// two is a gossip of two nodes.
type two struct{}

func (two) Self() ring.Node { return ring.Node{ID: "home-1", Zone: "a"} }

func (t two) Near() []ring.Node                           { return []ring.Node{t.Self(), {ID: "home-2", Name: "mad", Zone: "a"}} }
func (t two) Ring() *ring.Ring                            { return ring.New(t.Near(), nil) }
func (two) SetFar([]ring.Node)                            {}
func (two) Watch(func(old, now *ring.Ring)) (stop func()) { return func() {} }

// lines is a log that can be looked at.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// An answer that is no list of nodes changes nothing, is counted each time, and
// said once.
func TestAListThatMakesNoSenseIsCounted(t *testing.T) {
	log := &lines{}
	far := edge.New(edge.Config{Members: two{}, Peers: babbler{}, Log: slog.New(slog.NewTextHandler(log, nil))})
	t.Cleanup(far.Close)
	for i := range 3 { // news, of which the other node is told
		book := fmt.Sprintf(`{"edge": [{"id": "e", "zone": "x", "peer": "10.0.0.1:1", "edge": true, "weight": %d, "seq": %d}]}`, i, i+1)
		if _, err := far.Members("e", []byte(book)); err != nil {
			t.Fatal(err)
		}
		until(t, "it is counted", func() bool { return far.Garbled() == int64(i+1) })
	}
	far.Close() // what there is to say is said
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "node=mad") {
		t.Errorf("it says:\n%s", text)
	}
}
