package member

import (
	"context"
	"encoding/binary"
	"math"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/coordinate"
)

// distances are network coordinates (Vivaldi): each node has a place in a space in
// which the distance between two is about the round trip between them. The
// answer to each probe carries the place of who answers.
type distances struct {
	client *coordinate.Client
	mu     sync.Mutex
	places map[string]*coordinate.Coordinate // of the nodes that answered, by the name in the gossip
}

func newDistances() (*distances, error) {
	c, err := coordinate.NewClient(coordinate.DefaultConfig())
	return &distances{client: c, places: map[string]*coordinate.Coordinate{}}, err
}

// pings is what memberlist calls about its probes. Nothing here waits.
type pings Members

// AckPayload is this node's place.
func (p *pings) AckPayload() []byte { return encodePlace(p.far.client.GetCoordinate()) }

// NotifyPingComplete takes a measurement. What makes no sense counts for nothing.
func (p *pings) NotifyPingComplete(other *memberlist.Node, rtt time.Duration, payload []byte) {
	place, ok := decodePlace(payload)
	if !ok || p.ended.Load() {
		return
	}
	if _, err := p.far.client.Update(other.Name, place, rtt); err != nil {
		p.log.DebugContext(context.Background(), "a node's coordinate is not taken", "node", other.Name, "error", err)
		return
	}
	p.far.note(other.Name, place)
	p.mu.Lock()
	_, here := p.table[other.Name]
	p.mu.Unlock()
	if !here { // it left meanwhile
		p.far.forget(other.Name)
	}
}

func (d *distances) note(name string, place *coordinate.Coordinate) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.places[name] = place
}

func (d *distances) forget(name string) {
	d.client.ForgetNode(name)
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.places, name)
}

// RTT estimates the round trip to another node; false as long as none of its
// answers was heard.
func (m *Members) RTT(id string) (time.Duration, bool) {
	n, ok := m.Ring().Node(id)
	if !ok {
		return 0, false
	}
	m.far.mu.Lock()
	place, ok := m.far.places[nameOf(n)]
	m.far.mu.Unlock()
	if !ok {
		return 0, false
	}
	return m.far.client.DistanceTo(place), true
}

// A place as it travels: a version byte, then eleven float32, big-endian: the
// eight dimensions, the error, the adjustment and the height, seconds all but the
// error. Another version or length is no place.
const (
	placeVersion = 1
	placeBytes   = 1 + 4*(placeDims+3)
	placeDims    = 8
)

func encodePlace(c *coordinate.Coordinate) []byte {
	b := append(make([]byte, 0, placeBytes), placeVersion)
	for _, f := range c.Vec {
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(float32(f)))
	}
	for _, f := range []float64{c.Error, c.Adjustment, c.Height} {
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(float32(f)))
	}
	return b
}

// maxPlace bounds each number, seconds: a minute is beyond any network, and a sum of squares
// stays finite.
const maxPlace = 60

func decodePlace(b []byte) (*coordinate.Coordinate, bool) {
	if len(b) != placeBytes || b[0] != placeVersion {
		return nil, false
	}
	var v [placeDims + 3]float64
	for i := range v {
		v[i] = float64(math.Float32frombits(binary.BigEndian.Uint32(b[1+4*i:])))
		if !(math.Abs(v[i]) <= maxPlace) { // a NaN neither
			return nil, false
		}
	}
	c := &coordinate.Coordinate{Vec: v[:placeDims], Error: v[placeDims], Adjustment: v[placeDims+1], Height: v[placeDims+2]}
	return c, c.Error >= 0 && c.Height >= 0
}
