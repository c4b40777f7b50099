package clustertest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
	"glimpse/cluster/serve"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheTwinPasses(t *testing.T) {
	Peers(t, func(_ *testing.T, l serve.Local) (cluster.Peers, ring.Node) {
		n := NewNet(Geometry)
		n.Join(Other, l)
		return n.Peers(Self), ring.Node{ID: Other}
	})
}

// Faults take the time that they take on the real plane, in virtual time.
func TestFaults(t *testing.T) {
	b := NewBytes(Geometry, size)
	for name, c := range map[string]struct {
		f     Faults
		later bool // it begins after the first piece
		bytes int64
		took  time.Duration
		err   error
	}{
		"none":            {bytes: 1 << 20},
		"down":            {f: Faults{Down: true}, err: cluster.ErrAway},
		"silent":          {f: Faults{Silent: true}, took: Stall, err: cluster.ErrAway},
		"delay":           {f: Faults{Delay: time.Minute}, took: time.Minute, bytes: 1 << 20},
		"cut":             {f: Faults{CutAfter: 300000}, bytes: 300000, err: cluster.ErrAway},
		"flip":            {f: Faults{Flip: true}, err: cluster.ErrAway},
		"down half-way":   {f: Faults{Down: true}, later: true, bytes: 256 << 10, err: cluster.ErrAway},
		"silent half-way": {f: Faults{Silent: true}, later: true, bytes: 256 << 10, took: Stall, err: cluster.ErrAway},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := NewNet(Geometry)
				never := make(chan struct{})
				n.Join(Other, &Local{Open: b.Open})
				began := time.Now()
				if c.later {
					n.Join(Other, waiting(b, never))
				} else {
					n.Fault(Self, Other, c.f)
				}
				st, err := n.Peers(Self).OpenRange(t.Context(), ring.Node{ID: Other}, askFor(size), 2<<20, 1<<20)
				var got int64
				if err == nil {
					if c.later {
						p, _ := st.Next()
						got = p.Len
						n.Fault(Self, Other, c.f)
						_, err = st.Next()
						st.Close()
					} else {
						got, err = Read(st, b, 2<<20)
					}
				}
				if !errors.Is(err, c.err) || got != c.bytes || time.Since(began) != c.took {
					t.Errorf("%d bytes, %v, after %v", got, err, time.Since(began))
				}
				if sent := n.Sent(Other, Self); !c.later && sent != c.bytes {
					t.Errorf("%d bytes are counted", sent)
				}
			})
		})
	}
}

func TestADeadNodeBreaksItsAnswersOff(t *testing.T) {
	b := NewBytes(Geometry, size)
	n := NewNet(Geometry)
	n.Join(Other, waiting(b, make(chan struct{})))
	st, err := n.Peers(Self).OpenRange(t.Context(), ring.Node{ID: Other}, askFor(size), 2<<20, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := st.Next(); err != nil {
		t.Fatal(err)
	}
	go n.Kill(Other)
	if _, err := st.Next(); !errors.Is(err, cluster.ErrAway) {
		t.Error(err)
	}
	if err := n.Peers(Self).Drop(t.Context(), ring.Node{ID: Other}, "x"); !errors.Is(err, cluster.ErrAway) {
		t.Error(err)
	}
	if _, err := n.Peers(Self).Stat(t.Context(), ring.Node{ID: "nobody"}, chunk.Object{}); !errors.Is(err, cluster.ErrAway) {
		t.Error(err)
	}
}

// waiting serves one piece and then waits.
func waiting(b *Bytes, until <-chan struct{}) *Local {
	return &Local{Open: func(ctx context.Context, _ cluster.Ask, off, n int64) (chunk.Stream, error) {
		steps := b.Steps(off, n)
		steps[1].Wait = until
		return NewScript(ctx, steps...), nil
	}}
}

func TestTheTwinPassesHandovers(t *testing.T) {
	Handovers(t, func(_ *testing.T, h serve.Handover) (Handover, ring.Node) {
		n := NewNet(Geometry)
		l := &Local{Forget: func(context.Context, string) error { return nil }}
		n.Join(Other, l)
		if h != nil {
			n.Join(Other, struct {
				*Local
				serve.Handover
			}{l, h})
		}
		return n.Handover(Self), ring.Node{ID: Other}
	})
}
