package memstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"glimpse/registry"
)

// node is a row of the node table.
type node struct {
	registry.NodeRow
	beat time.Time
}

func (n node) live() bool { return time.Since(n.beat) < n.TTL }

// Beat stores the row as of now.
func (s *Store) Beat(ctx context.Context, n registry.NodeRow) error {
	if err := cmp.Or(ended(ctx), registry.StorableNode(n)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.nodes[n.ID]; ok {
		if err := registry.CheckBeat(old.Epoch, old.Peer, n); err != nil {
			return err
		}
	}
	n.Stores = slices.Clone(n.Stores)
	s.nodes[n.ID] = node{n, time.Now()}
	return nil
}

// Live returns the live rows.
func (s *Store) Live(ctx context.Context) ([]registry.NodeRow, error) {
	if err := ended(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []registry.NodeRow
	for _, n := range s.nodes {
		if n.live() {
			n.Stores = slices.Clone(n.Stores)
			all = append(all, n.NodeRow)
		}
	}
	slices.SortFunc(all, func(a, b registry.NodeRow) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// Leave removes the row.
func (s *Store) Leave(ctx context.Context, id string, epoch uint32) error {
	if err := ended(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, ok := s.nodes[id]; ok && n.Epoch <= epoch {
		delete(s.nodes, id)
	}
	return nil
}

// Purge removes the rows of nodes that are long gone.
func (s *Store) Purge(ctx context.Context, age time.Duration) (gone int, err error) {
	if err := ended(ctx); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, n := range s.nodes {
		if !n.live() && time.Since(n.beat) >= age {
			delete(s.nodes, id)
			gone++
		}
	}
	return gone, nil
}
