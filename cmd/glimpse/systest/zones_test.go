package systest

import (
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// wan is the WAN of these tests: 80 ms there and back, 1 % loss, 50 Mbit/s.
var wan = testenv.Link{Delay: 40 * time.Millisecond, Loss: 0.01, Rate: 50e6 / 8}

// Two zones over a WAN: a storm in both takes one copy out of the origin, and
// over the WAN each zone gets the image once at most.
func TestAWANCarriesAnImageOncePerZone(t *testing.T) {
	z := testenv.NewZones(t, "", "home", "far")
	home, far := z.Site(0), z.Site(1)
	var nodes []*testenv.Node
	for i, at := range []*testenv.Site{home, home, far, far} {
		nodes = append(nodes, z.Member(t, at, string(rune('a'+i)), ""))
	}
	together(t, nodes...)
	w := onWeb(t, nodes[0], z.Web, 24<<20+777)
	z.Set(wan)
	in, out := far.Carried()
	begun := time.Now()
	for _, err := range w.storm(16, nodes...) {
		t.Error(err)
	}
	took := time.Since(begun)
	in2, out2 := far.Carried()
	t.Logf("%.1f s; the origin gave %.4f copies; %.3f copies went into the far zone, %.3f out of it; %d packets lost",
		took.Seconds(), w.given(), float64(in2-in)/float64(len(w.data)), float64(out2-out)/float64(len(w.data)), z.Lost.Load())
}
