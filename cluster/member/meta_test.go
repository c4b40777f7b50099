package member

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"glimpse/cluster/ring"
)

var gossipIP = netip.MustParseAddr("192.0.2.7")

func drawNode(t *rapid.T) ring.Node {
	address := rapid.SampledFrom([]string{"10.0.0.1:9293", "[2001:db8::7]:9293", "n1.example:1", "[fd00::1]:65535", "192.0.2.7:80"})
	return ring.Node{
		ID:     uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Filter(func(b []byte) bool { return b[0] > 0 }).Draw(t, "id")).String(),
		Name:   rapid.StringMatching(`[a-zäöü]{0,8}`).Draw(t, "name"),
		Zone:   rapid.StringMatching(`[a-z0-9-]{0,20}`).Draw(t, "zone"),
		Weight: rapid.Int64().Draw(t, "weight"),
		Peer:   address.Draw(t, "peer"), API: rapid.OneOf(address, rapid.Just("")).Draw(t, "api"),
		Epoch: rapid.Uint32().Draw(t, "epoch"), State: ring.State(rapid.IntRange(0, 2).Draw(t, "state")),
		Role: ring.Role(rapid.IntRange(0, 1).Draw(t, "role")), Edge: rapid.Bool().Draw(t, "edge"),
	}
}

func TestMetaRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawNode(t)
		b, err := encodeMeta(n)
		if err != nil || len(b) > MaxMeta {
			t.Fatal(len(b), err)
		}
		got, err := decodeMeta(b, gossipIP)
		if err != nil || got != n {
			t.Fatalf("%+v is read as %+v, %v", n, got, err)
		}
		for cut := range b {
			if _, err := decodeMeta(b[:cut], gossipIP); err == nil {
				t.Fatalf("%d of %d bytes are enough", cut, len(b))
			}
		}
		if _, err := decodeMeta(append(bytes.Clone(b), 1), gossipIP); err == nil {
			t.Fatal("a byte more than version 1 has")
		}
		// A later version has more to tell, and knows more states.
		later := append(bytes.Clone(b), 1, 2, 3)
		if len(later) > MaxMeta {
			return
		}
		later[0] = 2
		later[29] |= stateBits | 0x40
		n.State = ring.Draining
		if got, err := decodeMeta(later, gossipIP); err != nil || got != n {
			t.Fatalf("of a later version %+v, %v", got, err)
		}
	})
}

// Of one that is in a state of its own, or only says more, the rest is read.
func TestANodeOfALaterVersion(t *testing.T) {
	n := ring.Node{ID: uuid.NewString(), Name: "n", Zone: "z", Weight: 7, Peer: "10.0.0.1:9293", Epoch: 3, State: ring.Ready}
	b, err := encodeMeta(n)
	if err != nil {
		t.Fatal(err)
	}
	b[0] = metaVersion + 1
	if got, err := decodeMeta(append(b, 1, 2, 3), gossipIP); err != nil || got != n {
		t.Errorf("%+v, %v", got, err)
	}
	b[29] |= stateBits | 0x40
	n.State = ring.Draining
	if got, err := decodeMeta(b, gossipIP); err != nil || got != n {
		t.Errorf("in a state of its own: %+v, %v", got, err)
	}
}

func TestMetaBounds(t *testing.T) {
	n := ring.Node{ID: uuid.NewString(), Zone: "z", Peer: ":9293", API: "[2001:db8::7]:9292", Name: strings.Repeat("ä", 80)}
	b, err := encodeMeta(n)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeMeta(b, gossipIP)
	if err != nil || got.Peer != "192.0.2.7:9293" || got.Name == "" || !strings.HasPrefix(n.Name, got.Name) {
		t.Errorf("%+v, %v", got, err)
	}
	for what, change := range map[string]func(*ring.Node){
		"no UUID":   func(n *ring.Node) { n.ID = "n1" },
		"long zone": func(n *ring.Node) { n.Zone = strings.Repeat("z", 100) },
		"no port":   func(n *ring.Node) { n.Peer = "10.0.0.1" },
		"port name": func(n *ring.Node) { n.Peer = "10.0.0.1:http" },
		"long host": func(n *ring.Node) { n.Peer = strings.Repeat("h", 300) + ":1" },
	} {
		m := n
		change(&m)
		if _, err := encodeMeta(m); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

func FuzzMeta(f *testing.F) {
	b, _ := encodeMeta(ring.Node{ID: uuid.NewString(), Zone: "z", Peer: ":9293", API: "host:1", Name: "n"})
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := decodeMeta(b, gossipIP)
		if err != nil || len(b) == 0 || b[0] != metaVersion {
			return
		}
		again, err := encodeMeta(n)
		if err != nil {
			return // addresses written out are longer than a port alone
		}
		if m, err := decodeMeta(again, gossipIP); err != nil || m.ID != n.ID || m.Peer != n.Peer {
			t.Errorf("%+v, then %+v, %v", n, m, err)
		}
	})
}
