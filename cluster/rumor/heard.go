package rumor

import (
	"container/list"

	"golang.org/x/time/rate"
)

const (
	maxOrigins = 4096
	window     = 512 // numbers of an origin below its highest that are told apart
)

// heard remembers which rumours have come, in bounded space: for each origin the
// highest number, and which of those shortly below it. A number below the window
// counts as heard: what is told late is lost, and nothing echoes for ever.
type heard struct {
	origins map[uint64]*list.Element // of *origin
	used    *list.List               // front: heard of last
}

type origin struct {
	id     uint64
	high   uint64
	bits   [window / 64]uint64 // bit n%window: n was heard
	budget *rate.Limiter
}

func newHeard() *heard { return &heard{origins: map[uint64]*list.Element{}, used: list.New()} }

func (h *heard) find(who uint64) (*origin, bool) {
	e, ok := h.origins[who]
	if !ok {
		return nil, false
	}
	h.used.MoveToFront(e)
	return e.Value.(*origin), true
}

// add forgets the origin that was silent longest where there are too many.
func (h *heard) add(who uint64) *origin {
	if len(h.origins) >= maxOrigins {
		delete(h.origins, h.used.Remove(h.used.Back()).(*origin).id)
	}
	o := &origin{id: who, budget: rate.NewLimiter(hearRate, hearBurst)}
	o.budget.Allow() // for the one that it is made for
	h.origins[who] = h.used.PushFront(o)
	return o
}

func (o *origin) has(n uint64) bool {
	switch {
	case n > o.high:
		return false
	case o.high-n >= window:
		return true
	}
	return o.bits[n%window/64]&(1<<(n%64)) != 0
}

func (o *origin) note(n uint64) {
	if n > o.high {
		if n-o.high >= window {
			o.bits = [window / 64]uint64{}
		} else {
			for i := o.high + 1; i < n; i++ {
				o.bits[i%window/64] &^= 1 << (i % 64)
			}
		}
		o.high = n
	}
	o.bits[n%window/64] |= 1 << (n % 64)
}
