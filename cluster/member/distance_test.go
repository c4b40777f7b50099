package member

import (
	"math"
	"testing"
	"time"

	"github.com/hashicorp/serf/coordinate"
	"pgregory.net/rapid"
)

// The probes of nodes on one machine place them near one another; who is gone is
// nowhere.
func TestProbesTellHowFarOthersAre(t *testing.T) {
	nodes := startAll(t, 3, nil)
	for _, n := range nodes {
		for _, other := range nodes {
			if n == other {
				continue
			}
			until(t, "a round trip to each", func() bool { _, ok := n.RTT(other.c.Self.ID); return ok })
			if rtt, _ := n.RTT(other.c.Self.ID); rtt <= 0 || rtt > time.Second {
				t.Errorf("on loopback %v", rtt)
			}
		}
	}
	if _, ok := nodes[0].RTT("nobody"); ok {
		t.Error("nobody is somewhere")
	}
	gone := nodes[2]
	gone.Close()
	until(t, "the dead one is forgotten", func() bool {
		_, ok := nodes[0].RTT(gone.c.Self.ID)
		nodes[0].far.mu.Lock()
		defer nodes[0].far.mu.Unlock()
		return !ok && len(nodes[0].far.places) == 1
	})
}

func TestPlaces(t *testing.T) {
	if b := encodePlace(coordinate.NewCoordinate(coordinate.DefaultConfig())); len(b) != placeBytes {
		t.Fatalf("the library has other dimensions: %d bytes", len(b))
	}
	rapid.Check(t, func(t *rapid.T) {
		c := coordinate.NewCoordinate(coordinate.DefaultConfig())
		number := rapid.Float64Range(-maxPlace, maxPlace)
		for i := range c.Vec {
			c.Vec[i] = number.Draw(t, "v")
		}
		c.Adjustment = number.Draw(t, "adjustment")
		b := encodePlace(c)
		got, ok := decodePlace(b)
		if !ok || len(b) != placeBytes {
			t.Fatalf("%v is not read", c)
		}
		for i := range c.Vec {
			if got.Vec[i] != float64(float32(c.Vec[i])) {
				t.Fatalf("%v is read as %v", c, got)
			}
		}
		if got.Adjustment != float64(float32(c.Adjustment)) || got.Height != float64(float32(c.Height)) {
			t.Fatalf("%v is read as %v", c, got)
		}
		for cut := range b {
			if _, ok := decodePlace(b[:cut]); ok {
				t.Fatalf("%d bytes are enough", cut)
			}
		}
		bad := rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 2 * maxPlace}).Draw(t, "bad")
		c.Vec[rapid.IntRange(0, placeDims-1).Draw(t, "at")] = bad
		if _, ok := decodePlace(encodePlace(c)); ok {
			t.Fatalf("%v is a place", bad)
		}
	})
}

func FuzzPlace(f *testing.F) {
	f.Add(encodePlace(coordinate.NewCoordinate(coordinate.DefaultConfig())))
	f.Fuzz(func(t *testing.T, b []byte) {
		far, err := newDistances()
		if err != nil {
			t.Fatal(err)
		}
		c, ok := decodePlace(b)
		if !ok {
			return
		}
		if _, err := far.client.Update("n", c, time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if d := far.client.DistanceTo(c); d < 0 {
			t.Errorf("%v is %v away", c, d)
		}
	})
}
