package cluster

import (
	"context"
	"fmt"

	"glimpse/cachestore/chunk"
	"glimpse/cluster/ring"
)

// Members is the cluster as one node sees it.
type Members interface {
	Self() ring.Node
	Ring() *ring.Ring
	// Watch calls fn, one call at a time, after each change. stop waits for a call
	// under way.
	Watch(fn func(old, now *ring.Ring)) (stop func())
}

// Level is which of its levels a node is asked to answer from.
type Level uint8

// A zone's owner asks the home owner, the home owner reads the origin.
const (
	Zone Level = iota + 1
	Home
)

// Ask is what one node asks another for.
type Ask struct {
	Object   chunk.Object
	Geometry chunk.Geometry // as the asker has it; another one is refused
	Level    Level
	// ResidentOnly asks for what is there, or on its way from outside already.
	ResidentOnly bool
	// Doubt says that the chunk came wrong from the node. It is a hint to look at its
	// own copy, with ResidentOnly.
	Doubt bool
	From  string // the asker's node id
	// Peer is the host:port of the asker's own peer listener, "" where it does not say.
	// Who has not heard of the asker yet can ask it back.
	Peer string
}

// Peers speaks to the other nodes.
type Peers interface {
	// OpenRange asks for n bytes from off, all of one extent. What is wrong from the
	// start is said by the call; a stall or a death later by the stream.
	OpenRange(ctx context.Context, at ring.Node, q Ask, off, n int64) (chunk.Stream, error)
	// Stat asks a steward for size and validator, which it pins.
	Stat(ctx context.Context, at ring.Node, o chunk.Object) (chunk.Object, error)
	// Drop has a node forget a cached record; it returns when that is done.
	Drop(ctx context.Context, at ring.Node, imageID string) error
}

// Rumor is a hint: it may be lost, come late and come twice. What is not known is
// ignored and passed on.
type Rumor struct {
	Kind string
	Body []byte // at most MaxRumor bytes
}

// MaxRumor keeps a rumour within one UDP packet, bytes.
const MaxRumor = 1000

// Rumors spreads hints to all nodes.
type Rumors interface {
	Spread(r Rumor) error
	Hear(fn func(Rumor)) (stop func())
}

// What a peer answers instead of bytes.
var (
	ErrCannot      = chunk.ErrUnresolved
	ErrNotResident = chunk.ErrNotResident
	// ErrBusy: what is asked for only if resident has to wait for a place.
	ErrBusy = fmt.Errorf("the peer is busy: %w", ErrNotResident)
	// ErrAway: no connection, a stall, or bytes that make no sense. Another peer may
	// be asked.
	ErrAway = fmt.Errorf("the peer does not answer: %w", chunk.ErrUnavailable)
	// ErrUnknown: the peer is of a version that does not know the question.
	ErrUnknown = fmt.Errorf("it does not know this question: %w", ErrAway)
)

// AskOther says that another node has it. Only an owner may answer so.
type AskOther struct{ ID string }

func (e *AskOther) Error() string { return "node " + e.ID + " has it" }
