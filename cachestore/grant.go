package cachestore

// refusal says why a want can't be met now.
type refusal uint8

const (
	granted refusal = iota
	noQuota         // the class has all it may have
	noDisk          // half of the slabs wait for the disk already
	noSpace         // too few slabs are free
)

// refusal must be called with the lock held.
func (p *pool) refusal(w want) refusal {
	switch {
	case w.class == classUpload && p.held[classUpload]+w.n > p.uploadQuota():
		return noQuota
	case w.dirty && !p.diskDown && p.dirty+w.n > p.dirtyMax:
		return noDisk
	case p.availableLocked()-w.n < p.reserve(w.class):
		return noSpace
	}
	return granted
}

// grantLocked serves the queue in order. One who can't be served holds up those
// behind him who want the same thing. Who lacks space holds up everybody who has
// no more claim to space than he: a level nearer to the origin may pass, but only
// into the room that is reserved for it, so that what others give back adds up
// for the one who was first.
func (p *pool) grantLocked() {
	if p.closed || len(p.queue) == 0 {
		return
	}
	var stuck struct {
		quota, disk bool
		space       int // the largest reserve of one who lacks space; -1: none
	}
	stuck.space = -1
	rest := p.queue[:0]
	for _, q := range p.queue {
		why := p.refusal(q.want)
		switch {
		case why != granted:
		case stuck.quota && q.class == classUpload:
			why = noQuota
		case stuck.disk && q.dirty:
			why = noDisk
		case stuck.space >= 0 && !p.mayPass(q.want, stuck.space):
			why = noSpace
		}
		if why == granted {
			if q.slabs = p.popLocked(q.want); q.slabs != nil {
				q.credit = p.creditLocked(q.want)
				p.waiting.Add(-1)
				close(q.ready)
				continue
			}
			why = noSpace
		}
		switch why {
		case noQuota:
			stuck.quota = true
		case noDisk:
			stuck.disk = true
		default:
			stuck.space = max(stuck.space, p.reserve(q.class))
		}
		rest = append(rest, q)
	}
	clear(p.queue[len(rest):])
	p.queue = rest
}

// mayPass says whether w may overtake one who lacks space and has to leave
// reserve slabs free.
func (p *pool) mayPass(w want, reserve int) bool {
	if p.reserve(w.class) >= reserve {
		return false
	}
	working := w.n
	for c := classHome; c < classClient; c++ {
		if p.reserve(c) < reserve {
			working += p.held[c]
		}
	}
	return working <= reserve
}
