package proxy

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

func TestNodesAreToldOfByDistance(t *testing.T) {
	n := newNode(t, func(c *Config) {
		c.NodeID = "n0"
		c.Nodes = func() (Node, []Node) {
			return Node{ID: "n0", Zone: "a", API: "10.0.0.1:9292", State: "ready"}, []Node{
				{ID: "far", Zone: "b", API: "10.0.0.9:1", State: "ready", RTT: time.Millisecond},
				{ID: "unknown", Zone: "a", State: "ready"},
				{ID: "second", Zone: "a", State: "ready", RTT: 9 * time.Millisecond},
				{ID: "first", Zone: "a", State: "ready", RTT: 2500 * time.Microsecond, Edge: true},
			}
		}
	})
	if r := n.get("", "/glimpse/v1/nodes"); r.code != 401 {
		t.Errorf("nobody is told %d %s", r.code, r.body)
	}
	r := n.get(reader, "/glimpse/v1/nodes")
	var got struct {
		Self  struct{ ID, Zone, API string }
		Nodes []struct {
			ID   string
			Edge bool
			RTT  float64 `json:"rtt_ms"`
		}
	}
	if err := json.Unmarshal(r.body, &got); err != nil || r.code != 200 || got.Self.ID != "n0" || got.Self.API != "10.0.0.1:9292" {
		t.Fatalf("%d %s", r.code, r.body)
	}
	if len(got.Nodes) != 4 || got.Nodes[0].ID != "first" || got.Nodes[1].ID != "second" || got.Nodes[2].ID != "unknown" || got.Nodes[3].ID != "far" {
		t.Errorf("in the order %s", r.body)
	}
	if got.Nodes[0].RTT != 2.5 || !got.Nodes[0].Edge {
		t.Errorf("%s", r.body)
	}
	if r := n.get("", "/healthcheck"); r.header.Get("X-Glimpse-Node") != "n0" {
		t.Errorf("the health check names %q", r.header.Get("X-Glimpse-Node"))
	}
}

func TestNodesAreBounded(t *testing.T) {
	n := newNode(t, func(c *Config) {
		c.Nodes = func() (self Node, others []Node) {
			for i := range 1000 {
				others = append(others, Node{ID: fmt.Sprint(i), State: "ready"})
			}
			return Node{}, others
		}
	})
	if list := n.get(member, "/glimpse/v1/nodes").json(t)["nodes"].([]any); len(list) != maxNodes {
		t.Errorf("%d nodes", len(list))
	}
}
