package source

import (
	"time"

	"glimpse/cluster/ring"
)

const (
	silences   = 3               // looks in a row that a node has not answered in time, after which it is passed over
	passFor    = 5 * time.Second // how long it is
	mostSilent = 512             // nodes of which that is known
)

// silence is of a node that has not answered the last looks. It is a matter of looks
// alone: a node that owns an extent is asked for it all the same.
type silence struct {
	looks int       // that were not at the same time
	last  time.Time // when the last of them ended
	until time.Time // it is passed over
}

// answering leaves out who is passed over, but not the one that is sure to have what
// is wanted. When its time is over one look tries such a node again, and no other one
// for as long as before unless it answers.
func (p *pace) answering(nodes []ring.Node, sure string) (rest []ring.Node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range nodes {
		s, ok := p.silent.Get(n.ID)
		if ok && s.looks >= silences && n.ID != sure {
			if time.Now().Before(s.until) {
				p.counts.NotAsked++
				continue
			}
			s.until = time.Now().Add(passFor)
			p.silent.Add(n.ID, s)
		}
		rest = append(rest, n)
	}
	return rest
}

// heard notes that a node has answered, whatever it said.
func (p *pace) heard(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent.Remove(id)
}

// unheard notes that a node has not answered a look in time, which began then. Many
// that go on at once say no more than one of them.
func (p *pace) unheard(id string, began time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, _ := p.silent.Get(id)
	if began.Before(s.last) {
		return
	}
	s.looks++
	s.last = time.Now()
	s.until = s.last.Add(passFor)
	p.silent.Add(id, s)
}
