package rumor

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"golang.org/x/time/rate"

	"glimpse/cluster"
)

const (
	// A node tells spreadRate rumours a second: a packet of gossip every 200 ms to
	// three nodes carries no more. Others hear twice that, since what was delayed
	// comes in a bunch.
	spreadRate, spreadBurst = 50, 200
	hearRate, hearBurst     = 100, 400
	allRate, allBurst       = 2000, 4000 // of all origins together
	newRate, newBurst       = 100, 1000  // from origins not heard of before

	maxQueued  = 1024 // messages to tell on
	maxWaiting = 1024 // rumours that listeners have not come to yet
	keepFor    = 2 * time.Minute
	transmits  = 4 // times the logarithm of the number of nodes
)

var errTooMany = errors.New("too many rumours at once")

// Stats counts rumours.
type Stats struct {
	Told     uint64 // of this node
	Heard    uint64 // of others, each once
	Repeated uint64
	Garbled  uint64 // messages that are no rumours
	TooMany  uint64 // dropped: an origin, or all of them, told too many
	Unheard  uint64 // dropped: listeners were too slow
}

// Rumors spreads hints by gossip.
type Rumors struct {
	queue     memberlist.TransmitLimitedQueue
	nodes     atomic.Int64
	own       *rate.Limiter
	all       *rate.Limiter
	fresh     *rate.Limiter
	listeners cluster.Listeners[cluster.Rumor]
	waiting   chan cluster.Rumor

	mu    sync.Mutex
	self  id // of the last rumour told
	heard *heard
	kept  []kept // to compare, oldest first: at most maxState bytes
	size  int
	stats Stats

	stop context.CancelFunc
	done chan struct{}
}

var _ cluster.Rumors = (*Rumors)(nil)

type kept struct {
	message []byte
	at      time.Time
}

// New makes Rumors that the gossip has to carry: Take, Give, State and Merge are
// for member.Config.Messages.
func New() *Rumors {
	r := &Rumors{
		own: rate.NewLimiter(spreadRate, spreadBurst), all: rate.NewLimiter(allRate, allBurst),
		fresh: rate.NewLimiter(newRate, newBurst), waiting: make(chan cluster.Rumor, maxWaiting),
		self: id{origin: rand.Uint64()}, heard: newHeard(), done: make(chan struct{}),
	}
	r.queue.RetransmitMult = transmits
	r.queue.NumNodes = func() int { return int(r.nodes.Load()) }
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	go r.tell(ctx)
	return r
}

// Close ends the listening.
func (r *Rumors) Close() {
	r.stop()
	<-r.done
}

func (r *Rumors) tell(ctx context.Context) {
	defer close(r.done)
	for {
		select {
		case x := <-r.waiting:
			r.listeners.Tell(x)
		case <-ctx.Done():
			return
		}
	}
}

// Spread tells all other nodes; this one does not hear it.
func (r *Rumors) Spread(x cluster.Rumor) error {
	if !r.own.Allow() {
		return errTooMany
	}
	r.mu.Lock()
	r.self.number++
	i := r.self
	r.mu.Unlock()
	b, err := encode(i, x)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.stats.Told++
	r.keep(b)
	r.mu.Unlock()
	r.pass(b)
	return nil
}

// Hear calls fn with each rumour of others, one call at a time.
func (r *Rumors) Hear(fn func(cluster.Rumor)) (stop func()) { return r.listeners.Add(fn) }

// Stats returns the counts up to now.
func (r *Rumors) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

// Take is given a message by the gossip.
func (r *Rumors) Take(b []byte) { r.take(b, true) }

func (r *Rumors) take(b []byte, keep bool) {
	b = bytes.Clone(b) // it is the gossip's
	i, x, err := decode(b)
	if err != nil {
		r.garbled()
		return
	}
	if !r.first(i, b, keep) {
		return
	}
	r.pass(b)
	if x.Kind == "" {
		return
	}
	select {
	case r.waiting <- x:
	default:
		r.mu.Lock()
		r.stats.Unheard++
		r.mu.Unlock()
	}
}

// first says whether the rumour is to be heard and told on, and counts it. One
// that came too fast is not noted: it may come again.
func (r *Rumors) first(i id, b []byte, keep bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, known := r.heard.find(i.origin)
	switch {
	case i.origin == r.self.origin:
		r.stats.Repeated++
		return false
	case known && o.has(i.number):
		r.stats.Repeated++
		return false
	case known && !o.budget.Allow(), !known && !r.fresh.Allow(), !r.all.Allow():
		r.stats.TooMany++
		return false
	case !known:
		o = r.heard.add(i.origin)
	}
	o.note(i.number)
	r.stats.Heard++
	if keep {
		r.keep(b)
	}
	return true
}

// keep is under r.mu. What came by comparing is not kept: it would never be old.
func (r *Rumors) keep(b []byte) {
	r.kept = append(r.kept, kept{b, time.Now()})
	r.size += 2 + len(b)
	for len(r.kept) > 0 && (r.size > maxState || time.Since(r.kept[0].at) > keepFor) {
		r.size -= 2 + len(r.kept[0].message)
		r.kept = r.kept[1:]
	}
}

// broadcast is a message in the queue.
type broadcast []byte

func (broadcast) Invalidates(memberlist.Broadcast) bool { return false }
func (b broadcast) Message() []byte                     { return b }
func (broadcast) Finished()                             {}
func (broadcast) UniqueBroadcast()                      {}

// pass tells on. Where the queue is full, that goes which was told most.
func (r *Rumors) pass(b []byte) {
	r.queue.QueueBroadcast(broadcast(b))
	r.queue.Prune(maxQueued)
}

// Give returns messages to be told on.
func (r *Rumors) Give(nodes, overhead, limit int) [][]byte {
	r.nodes.Store(int64(nodes))
	return r.queue.GetBroadcasts(overhead, limit)
}

// State returns what was heard lately.
func (r *Rumors) State() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := make([]byte, 0, r.size)
	for _, k := range r.kept {
		if time.Since(k.at) < keepFor {
			b = binary.BigEndian.AppendUint16(b, uint16(len(k.message)))
			b = append(b, k.message...)
		}
	}
	return b
}

// Merge hears what another node's State returned.
func (r *Rumors) Merge(b []byte) {
	if len(b) > maxState {
		r.garbled()
		return
	}
	for len(b) > 0 {
		if len(b) < 2 || 2+int(binary.BigEndian.Uint16(b)) > len(b) {
			r.garbled()
			return
		}
		end := 2 + int(binary.BigEndian.Uint16(b))
		r.take(b[2:end], false)
		b = b[end:]
	}
}

func (r *Rumors) garbled() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Garbled++
}
