package source

import (
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"glimpse/cluster"
)

const (
	soonest   = 20 * time.Millisecond // where Config has no Late
	samples   = 64                    // first bytes of a node that are remembered
	mostPaced = 512                   // nodes and levels of which they are
	hedgeRoom = 8                     // hedges that may come in a bunch
	mostAids  = 32                    // stalled answers at once for which others are asked
)

// pace knows how soon owners give their first byte, and how many asks may be
// hedged: a share of all of them.
type pace struct {
	share   float64
	soonest time.Duration // no first byte is late before

	mu     sync.Mutex
	first  *simplelru.LRU[paced, *times]
	silent *simplelru.LRU[string, silence]
	credit float64 // hedges that may be made now
	counts Counts
	aids   int // under way
}

type paced struct {
	id    string
	level cluster.Level
}

// times are the latest waits for a first byte, in a circle.
type times struct {
	d [samples]time.Duration
	n int // of all time
}

// Counts are a router's counters since its start.
type Counts struct {
	Asked      int64 // of owners
	Hedged     int64 // of them, those of which others were asked as well, because the first byte was late
	HedgesWon  int64 // another node was first
	Stalled    int64 // answers that stalled in the middle, so that others were asked
	PassedOver int64 // another node went on in their place
	LateLooks  int64 // looks around that ended without having heard of all
	NotAsked   int64 // nodes that were left out of a look: they have not answered the last ones
	Denied     int64 // hedges that were not made: there were too many
	Wrong      int64 // chunks that a node gave, or a part of, and that had a wrong digest
}

func newPace(share float64) *pace {
	p := &pace{share: share, soonest: soonest, first: newLRU[paced, *times](mostPaced), silent: newLRU[string, silence](mostSilent)}
	if share > 0 {
		p.credit = hedgeRoom
	}
	return p
}

// Counts returns the counters as they are now.
func (r *Router) Counts() Counts {
	r.pace.mu.Lock()
	defer r.pace.mu.Unlock()
	return r.pace.counts
}

// ask counts an ask of an owner, and says after how long its first byte is late:
// when 95 of the last 100 came sooner.
func (p *pace) ask(id string, level cluster.Level) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.Asked++
	p.credit = min(p.credit+p.share, hedgeRoom)
	t, ok := p.first.Get(paced{id, level})
	if !ok {
		return p.soonest
	}
	d := t.d
	all := d[:min(t.n, samples)]
	slices.Sort(all)
	return max(p.soonest, all[len(all)*95/100])
}

// note remembers how long a first byte took, or at least took.
func (p *pace) note(id string, level cluster.Level, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := paced{id, level}
	t, ok := p.first.Get(k)
	if !ok {
		t = &times{}
		p.first.Add(k, t)
	}
	t.d[t.n%samples] = d
	t.n++
}

// may says whether others may be asked now; give ends that.
func (p *pace) may(late bool) (give func(), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if late {
		if p.credit < 1 {
			p.counts.Denied++
			return nil, false
		}
		p.credit--
		p.counts.Hedged++
		return func() {}, true
	}
	if p.aids >= mostAids {
		p.counts.Denied++
		return nil, false
	}
	p.aids++
	p.counts.Stalled++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.aids--
	}, true
}

func (p *pace) won(late bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if late {
		p.counts.HedgesWon++
	} else {
		p.counts.PassedOver++
	}
}

func (p *pace) lateLook() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.LateLooks++
}

func (p *pace) wrong(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.Wrong += int64(n)
}
