package source

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"

	"glimpse/cachestore/chunk"
	"glimpse/cluster/ring"
)

// spoil flips a bit at the end of a chunk in a node's memory, where its owner does
// not look again before it gives it out.
func (w *world) spoil(id string, index int) {
	w.t.Helper()
	n := small.Len(index, int64(len(w.data)))
	ok, err := w.nodes[id].store.Peek(w.t.Context(), w.named(), index, func(b []byte) error {
		b[n-1] ^= 4
		return nil
	})
	if !ok || err != nil {
		w.t.Fatalf("node %s has no chunk %d: %v", id, index, err)
	}
}

// An owner has a chunk that has gone bad in its memory. Who asks gets the right
// bytes all the same, the origin gives at most that chunk once more, and the owner
// has put its copy aside.
func TestABadCopyIsReplaced(t *testing.T) {
	reader := ring.Node{ID: "reader", Zone: "a", Role: ring.Client, State: ring.Ready}
	for name, nodes := range map[string][]ring.Node{
		"1 node": members(1, "a"), "3 nodes": members(3, "a"), "8 nodes in 2 zones": members(8, "a", "b"), "its zone has one node": members(2, "a", "b"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const index = 6
				w := settle(t, imageSize, append(nodes, reader)...)
				if failed := w.storm(len(nodes), ids(nodes)...); failed > 0 {
					t.Fatalf("%d clients failed", failed)
				}
				w.once()
				owner, _ := w.nodes["reader"].Ring().Owner("a", "p:test", small.ExtentOf(index))
				w.spoil(owner.ID, index)
				for range 2 {
					if err := w.fetch("reader"); err != nil {
						t.Error(err)
					}
					w.nodes["reader"].store.Drop("p:test")
				}
				if more := w.read - int64(len(w.data)); more > small.Chunk {
					t.Errorf("the origin gave %d bytes more for a chunk of %d", more, small.Chunk)
				}
				if n := w.nodes["reader"].r.Counts().Wrong; n != 1 {
					t.Errorf("%d chunks were counted", n)
				}
				if n := w.nodes[owner.ID].store.Stats().VerifyFailures["memory"]; n != 1 {
					t.Errorf("the owner found %d bad chunks in its memory", n)
				}
				w.close()
			})
		})
	}
}

// A node whose every answer has a wrong bit, with whatever digest the chunk has, is
// passed over: others give what it owns.
func TestALiarIsReplaced(t *testing.T) {
	for name, nodes := range map[string][]ring.Node{"3 nodes": members(3, "a"), "8 nodes in 2 zones": members(8, "a", "b")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := settle(t, imageSize, nodes...)
				if failed := w.storm(len(nodes), ids(nodes)...); failed > 0 {
					t.Fatalf("%d clients failed", failed)
				}
				w.once()
				liar := nodes[2]
				w.lies = map[string]func(chunk.Piece) chunk.Piece{liar.ID: func(p chunk.Piece) chunk.Piece {
					if last := p.Off + p.Len; last == min(small.Off(p.Index+1), int64(len(w.data))) {
						p.Data = bytes.Clone(p.Data)
						p.Data[p.Len-1] ^= 4
					}
					return p
				}}
				for _, n := range nodes {
					if n.ID == liar.ID {
						continue
					}
					w.nodes[n.ID].store.Drop("p:test")
				}
				held := int64(0) // by the liar alone
				for i := range small.Count(imageSize) {
					if w.nodes[liar.ID].store.Resident(w.object(), i) {
						held += small.Len(i, imageSize)
					}
				}
				wrong, before := int64(0), w.read
				for _, n := range nodes {
					if n.ID != liar.ID {
						if err := w.fetch(n.ID); err != nil {
							t.Errorf("node %s: %v", n.ID, err)
						}
						wrong += w.nodes[n.ID].r.Counts().Wrong
					}
				}
				if held == 0 || wrong == 0 {
					t.Error("nobody was lied to: the test shows nothing")
				}
				if more := w.read - before; more > int64(len(w.data)) {
					t.Errorf("the origin gave %d bytes more", more)
				}
				w.close()
			})
		})
	}
}

// Where nobody has right bytes, the response is cut.
func TestOnlyLiars(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := ring.Node{ID: "reader", Zone: "a", Role: ring.Client, State: ring.Ready}
		nodes := members(2, "a")
		w := settle(t, imageSize, append(nodes, reader)...)
		if failed := w.storm(len(nodes), ids(nodes)...); failed > 0 {
			t.Fatalf("%d clients failed", failed)
		}
		lie := func(p chunk.Piece) chunk.Piece {
			p.Data = bytes.Clone(p.Data)
			p.Data[p.Len-1] ^= 4
			return p
		}
		w.lies = map[string]func(chunk.Piece) chunk.Piece{nodes[0].ID: lie, nodes[1].ID: lie}
		if err := w.fetch("reader"); !errors.Is(err, chunk.ErrCorrupt) {
			t.Errorf("%v", err)
		}
		w.once()
		w.close()
	})
}
