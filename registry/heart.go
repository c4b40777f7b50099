package registry

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"glimpse/registry/image"
)

// How a node keeps its row live. The row outlives what the node itself believes
// by the lease and by what the clocks of a database's servers may differ.
const (
	beatEvery = 3 * time.Second
	beatTime  = 5 * time.Second  // for one beat
	believed  = 15 * time.Second // after the beginning of its last beat a node counts its row as live
	clockSkew = 5 * time.Second
)

// Heart keeps the row of one node live.
type Heart struct {
	nodes Nodes
	row   func() NodeRow
	log   *slog.Logger
	soon  chan struct{}

	mu   sync.Mutex
	last time.Time // when the last beat that was stored began
	left bool
}

// NewHeart makes the heart of a node; Run makes it beat. row describes the node
// as it is at the moment, with the same id, epoch and lease each time; the TTL is
// the heart's.
func NewHeart(nodes Nodes, row func() NodeRow, log *slog.Logger) *Heart {
	return &Heart{nodes: nodes, row: row, log: log, soon: make(chan struct{}, 1)}
}

// Run beats until ctx ends; then the node leaves.
func (h *Heart) Run(ctx context.Context) {
	for last := ""; ; {
		last = h.beat(ctx, last)
		if !h.wait(ctx) {
			break
		}
	}
	h.leave(ctx)
}

// Soon has the row stored without waiting for the next beat, since the node has
// changed.
func (h *Heart) Soon() {
	select {
	case h.soon <- struct{}{}:
	default:
	}
}

// Live says whether the node's row is sure to be seen by whoever writes: it is
// stored, and will be live for longer than any lease that begins now.
func (h *Heart) Live() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.left && !h.last.IsZero() && time.Since(h.last) < believed
}

// beat returns the text of the error, "" for none; last is what it returned
// before.
func (h *Heart) beat(ctx context.Context, last string) string {
	n := h.row()
	n.TTL = believed + clockSkew + n.Lease
	begun := time.Now()
	err := h.store(ctx, n)
	switch {
	case err == nil:
		h.believe(begun)
		if last != "" {
			h.log.InfoContext(ctx, "the node table has this node again")
		}
		return ""
	case image.KindOf(err) == image.Conflict:
		h.believe(time.Time{}) // the row is another's
	}
	if err.Error() != last && ctx.Err() == nil {
		h.log.WarnContext(ctx, "the node table does not take this node, which caches no records without it", "error", err)
	}
	return err.Error()
}

func (h *Heart) store(ctx context.Context, n NodeRow) error {
	ctx, cancel := context.WithTimeout(ctx, beatTime)
	defer cancel()
	return h.nodes.Beat(ctx, n)
}

func (h *Heart) believe(last time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = last
}

// wait returns false when ctx ended.
func (h *Heart) wait(ctx context.Context) bool {
	t := time.NewTimer(jitter(beatEvery-beatEvery/4, beatEvery))
	defer t.Stop()
	select {
	case <-t.C:
	case <-h.soon:
	case <-ctx.Done():
		return false
	}
	return ctx.Err() == nil
}

// leave ends the caching first, then removes the row.
func (h *Heart) leave(ctx context.Context) {
	h.mu.Lock()
	h.left = true
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beatTime)
	defer cancel()
	n := h.row()
	if err := h.nodes.Leave(ctx, n.ID, n.Epoch); err != nil {
		h.log.WarnContext(ctx, "the node table still has this node: others wait for it until its row lapses", "error", err)
	}
}
