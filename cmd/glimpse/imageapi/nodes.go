package imageapi

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Node is where an image can be had.
type Node struct {
	Base string // URL with no slash at its end
	Near bool   // in the zone of this machine
	RTT  time.Duration
}

const (
	maxMeasured    = 16
	measureTimeout = 2 * time.Second
)

// Nodes returns the nodes that the endpoint tells of, the endpoint itself among
// them, those in the zone first, the nearest of them by measured round trips
// first. zone is this machine's; "": that of the node that answers. A server that
// is no Glimpse, or alone, gives the endpoint alone.
func (s *Session) Nodes(ctx context.Context, zone string) ([]Node, error) {
	t, err := s.topology(ctx)
	if err != nil {
		return nil, err
	}
	if zone == "" {
		zone = t.Self.Zone
	}
	list := []probed{{Node: Node{Base: s.Endpoint, Near: t.Self.Zone == zone}}}
	for _, n := range t.Nodes {
		if base := s.baseOf(n.API); base != "" && n.ID != "" && n.ID != t.Self.ID {
			list = append(list, probed{Node{Base: base, Near: n.Zone == zone}, n.ID})
		}
	}
	slices.SortStableFunc(list[1:], func(a, b probed) int { return nearFirst(a.Node, b.Node) })
	list = list[:min(len(list), maxMeasured)]
	if len(list) > 1 {
		s.measure(ctx, list)
		if list[0].RTT == 0 {
			list[0].RTT = measureTimeout // it answers, if not this
		}
	}
	var nodes []Node
	for i, n := range list {
		if i == 0 || n.RTT > 0 {
			nodes = append(nodes, n.Node)
		}
	}
	slices.SortStableFunc(nodes, func(a, b Node) int { return cmp.Or(nearFirst(a, b), cmp.Compare(a.RTT, b.RTT)) })
	return nodes, ctx.Err()
}

func nearFirst(a, b Node) int {
	switch {
	case a.Near == b.Near:
		return 0
	case a.Near:
		return -1
	}
	return 1
}

type topology struct {
	Self  nodeDoc
	Nodes []nodeDoc
}

type nodeDoc struct{ ID, Zone, API string }

// topology asks the endpoint which nodes there are; none where it does not know.
func (s *Session) topology(ctx context.Context) (t topology, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	resp, err := s.do(ctx, request{method: "GET", base: s.Endpoint, path: "/glimpse/v1/nodes"})
	if err != nil {
		return t, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") || json.Unmarshal(b, &t) != nil {
		return topology{}, nil
	}
	return t, nil
}

// baseOf is the URL of a node's API, which is told as host:port; "": it can't be
// reached from here. It has the endpoint's scheme, so that a token that is used by
// https never goes out in the clear.
func (s *Session) baseOf(api string) string {
	host, port, err := net.SplitHostPort(api)
	if err != nil || host == "" || port == "" {
		return ""
	}
	e, err := url.Parse(s.Endpoint)
	if err != nil || loopback(host) && !loopback(e.Hostname()) {
		return ""
	}
	return e.Scheme + "://" + net.JoinHostPort(host, port)
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && (ip.Unmap().IsLoopback() || ip.Unmap().IsUnspecified())
}

// probed is a node, and the id that it must name itself by; "": any.
type probed struct {
	Node
	id string
}

// measure asks each of the nodes for its health, without a token. Who does not
// answer, or names itself otherwise, keeps no round trip.
func (s *Session) measure(ctx context.Context, list []probed) {
	ctx, cancel := context.WithTimeout(ctx, measureTimeout)
	defer cancel()
	var all sync.WaitGroup
	for i := range list {
		all.Go(func() {
			n := &list[i]
			for range 3 { // the first makes the connection
				start := time.Now()
				if !s.healthy(ctx, *n) {
					n.RTT = 0
					return
				}
				if took := time.Since(start); n.RTT == 0 || took < n.RTT {
					n.RTT = took
				}
			}
		})
	}
	all.Wait()
}

func (s *Session) healthy(ctx context.Context, n probed) bool {
	resp, err := s.once(ctx, request{method: "GET", base: n.Base, path: "/healthcheck"}, "")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 4<<10))
	return err == nil && resp.StatusCode == http.StatusOK && (n.id == "" || resp.Header.Get("X-Glimpse-Node") == n.id)
}
