package source

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
)

// part gives bytes up to a border, and then says that there is no more.
func part(upTo int64, calls *int) func(context.Context, chunk.Object, int64, int64) (chunk.Stream, error) {
	return func(_ context.Context, _ chunk.Object, off, n int64) (chunk.Stream, error) {
		*calls++
		if off >= upTo {
			return nil, cluster.ErrNotResident
		}
		return &parted{off: off, end: off + n, upTo: upTo}, nil
	}
}

type parted struct{ off, end, upTo int64 }

func (p *parted) Next() (chunk.Piece, error) {
	switch p.off {
	case p.end:
		return chunk.Piece{}, io.EOF
	case p.upTo:
		return chunk.Piece{}, cluster.ErrNotResident
	}
	to := min(p.end, small.Off(small.Index(p.off)+1))
	piece := chunk.Piece{Index: small.Index(p.off), Off: p.off, Len: to - p.off, Data: make([]byte, to-p.off)}
	p.off = to
	return piece, nil
}

func (*parted) Close() error { return nil }

// Where one node had a part of a range, others may have the rest: they are asked
// again before it goes outward.
func TestWhatOneHasNoMoreOfAnotherMayHave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := settle(t, 1, members(1, "a")...)
		r := w.nodes["node-00"].r
		var looks, origins int
		upTo := small.Off(1)
		look := step{looks: true, open: func(ctx context.Context, o chunk.Object, off, n int64) (chunk.Stream, error) {
			st, err := part(upTo, &looks)(ctx, o, off, n)
			upTo += 2 * small.Chunk // so much more is there by then
			return st, err
		}}
		origin := step{open: part(1<<40, &origins)}
		o := chunk.Object{Key: "p:test", Size: 3 * small.Chunk}
		st, err := openRelay(t.Context(), r, cluster.Home, o, 0, -1, []step{look, origin})
		var n int64
		for err == nil {
			var p chunk.Piece
			p, err = st.Next()
			n += p.Len
		}
		if !errors.Is(err, io.EOF) || n != o.Size || looks != 2 || origins != 0 {
			t.Errorf("%d of %d bytes and %v; others were asked %d times, and the origin %d times", n, o.Size, err, looks, origins)
		}
		_ = st.Close()
		w.close()
	})
}

// trickle gives a little at a time.
type trickle struct{ off, end int64 }

func (s *trickle) Next() (chunk.Piece, error) {
	if s.off == s.end {
		return chunk.Piece{}, io.EOF
	}
	time.Sleep(slow + 10*time.Millisecond)
	p := chunk.Piece{Index: small.Index(s.off), Off: s.off, Len: 1 << 10, Data: make([]byte, 1<<10)}
	s.off += p.Len
	return p, nil
}

func (*trickle) Close() error { return nil }

// An owner that waits for a slow origin is not a reason to ask others at each piece.
func TestASlowOriginMakesNoChatter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(3, "a")
		w := settle(t, 1, nodes...)
		r := w.nodes[nodes[0].ID].r
		owner := step{at: nodes[1], level: cluster.Zone, open: func(_ context.Context, _ chunk.Object, off, n int64) (chunk.Stream, error) {
			return &trickle{off, off + n}, nil
		}}
		st, err := openRelay(t.Context(), r, 0, chunk.Object{Key: "p:test", Size: small.Chunk}, 0, -1, []step{owner})
		pieces := 0
		for ; err == nil; pieces++ {
			_, err = st.Next()
		}
		_ = st.Close()
		if c := r.Counts(); !errors.Is(err, io.EOF) || pieces < 60 || c.Hedged+c.Stalled == 0 || c.Hedged+c.Stalled > 4 {
			t.Errorf("others were asked %d times in %d pieces, %v", c.Hedged+c.Stalled, pieces, err)
		}
		w.close()
	})
}

// A client whose node reaches none of those who own an extent in its zone gets it
// all the same.
func TestAZoneWhoseOwnersAreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(6, "a")
		w := settle(t, imageSize, nodes...)
		owners := w.nodes[nodes[0].ID].Ring().Candidates("a", "p:test", 0, 1+candidates)
		for _, n := range owners {
			w.kill(n.ID)
		}
		for _, n := range nodes {
			if w.isDead(n.ID) {
				continue
			}
			if err := w.fetch(n.ID); err != nil {
				t.Errorf("node %s: %v", n.ID, err)
			}
		}
		w.once()
		w.close()
	})
}
