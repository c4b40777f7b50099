package edge

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"glimpse/cluster/ring"
)

const (
	lostAfter = 45 * time.Second // an edge node of which nothing new is heard
	maxNodes  = 2048             // of a book, which fits wire.MaxBook
	maxVia    = 8
	maxID     = 64
	maxText   = 255
)

// record is what is known of an edge node.
type record struct {
	node ring.Node
	via  []string // who holds its links
	seq  uint64   // counts what it has told: the latest counts
	made time.Time
}

// entry is a node on its way.
type entry struct {
	ID     string     `json:"id"`
	Name   string     `json:"name,omitempty"`
	Zone   string     `json:"zone"`
	Weight int64      `json:"weight"`
	Peer   string     `json:"peer"`
	API    string     `json:"api,omitempty"`
	Epoch  uint32     `json:"epoch"`
	State  ring.State `json:"state"`
	Role   ring.Role  `json:"role,omitempty"`
	Edge   bool       `json:"edge,omitempty"`
	Via    []string   `json:"via,omitempty"`
	Seq    uint64     `json:"seq,omitempty"`
	AgeMS  int64      `json:"age_ms,omitempty"`
}

// book is what nodes tell one another: the nodes of the teller's own gossip where
// the other side has none of it, and edge nodes.
type book struct {
	Core []entry `json:"core,omitempty"`
	Edge []entry `json:"edge,omitempty"`
}

func entryOf(n ring.Node) entry {
	return entry{ID: n.ID, Name: n.Name, Zone: n.Zone, Weight: n.Weight, Peer: n.Peer, API: n.API, Epoch: n.Epoch, State: n.State, Role: n.Role, Edge: n.Edge}
}

func (r record) entry(now time.Time) entry {
	e := entryOf(r.node)
	e.Via, e.Seq, e.AgeMS = r.via, r.seq, now.Sub(r.made).Milliseconds()
	return e
}

func (e entry) node() ring.Node {
	return ring.Node{ID: e.ID, Name: e.Name, Zone: e.Zone, Weight: e.Weight, Peer: e.Peer, API: e.API, Epoch: e.Epoch, State: e.State, Role: e.Role, Edge: e.Edge}
}

func (e entry) record(now time.Time) record {
	age := time.Duration(min(max(e.AgeMS, 0), lostAfter.Milliseconds()+1)) * time.Millisecond
	return record{node: e.node(), via: e.Via, seq: e.Seq, made: now.Add(-age)}
}

var errBook = errors.New("a list of nodes that makes no sense")

// decode reads a book and checks it. A state or role of a later version makes a
// node that owns nothing.
func decode(b []byte) (book, error) {
	var k book
	if err := json.Unmarshal(b, &k); err != nil {
		return k, errBook
	}
	if len(k.Core)+len(k.Edge) > maxNodes {
		return k, errBook
	}
	for _, list := range [][]entry{k.Core, k.Edge} {
		for i := range list {
			e := &list[i]
			long := slices.ContainsFunc([]string{e.Name, e.Zone, e.Peer, e.API}, func(s string) bool { return len(s) > maxText })
			if e.ID == "" || len(e.ID) > maxID || long || len(e.Via) > maxVia || e.Weight < 0 {
				return k, errBook
			}
			if e.State > ring.Draining || e.Role > ring.Client {
				e.State, e.Role = ring.Draining, ring.Member
			}
		}
	}
	return k, nil
}

// merge takes news of edge nodes, and returns those that say more than that the
// node is still there.
func merge(known map[string]record, list []entry, now time.Time) (news []record) {
	for _, e := range list {
		r := e.record(now)
		if !r.node.Edge || now.Sub(r.made) > lostAfter {
			continue
		}
		old, ok := known[e.ID]
		switch {
		case ok && old.seq >= r.seq, !ok && len(known) >= maxNodes:
			continue
		case !ok || old.node != r.node || !slices.Equal(old.via, r.via):
			news = append(news, r)
		}
		known[e.ID] = r
	}
	return news
}

// expire forgets the edge nodes that were not heard of.
func expire(known map[string]record, now time.Time) (gone bool) {
	for id, r := range known {
		if now.Sub(r.made) > lostAfter {
			delete(known, id)
			gone = true
		}
	}
	return gone
}

// union is the nodes of several lists, of two descriptions of one the later.
func union(lists ...[]ring.Node) []ring.Node {
	best := map[string]ring.Node{}
	for _, list := range lists {
		for _, n := range list {
			if old, ok := best[n.ID]; !ok || cmp.Or(cmp.Compare(n.Epoch, old.Epoch), cmp.Compare(n.State, old.State)) > 0 {
				best[n.ID] = n
			}
		}
	}
	all := make([]ring.Node, 0, len(best))
	for _, n := range best {
		all = append(all, n)
	}
	return all
}
