package evict

import "hash/maphash"

const (
	// DefaultSmall is the small queue's share of the cost: the S3-FIFO paper's 10%.
	DefaultSmall = 0.1
	maxFreq      = 3  // two bits
	minGhosts    = 64 // remembered even by a nearly empty cache
)

// S3FIFO is the policy of the SOSP'23 paper, with costs.
type S3FIFO[K comparable] struct {
	seed        maphash.Seed
	share       float64
	a           arena[K]
	small, main queue
	ghost       ghost
}

var _ Policy[int] = (*S3FIFO[int])(nil)

// NewS3FIFO returns an empty policy whose small queue aims at a share of the
// cost. At share 0 every key goes to the main queue.
func NewS3FIFO[K comparable](share float64) *S3FIFO[K] {
	return &S3FIFO[K]{
		seed: maphash.MakeSeed(), share: share, a: newArena[K](),
		small: newQueue(), main: newQueue(), ghost: newGhost(),
	}
}

// Len implements Policy.
func (s *S3FIFO[K]) Len() int { return s.small.len + s.main.len }

// Cost implements Policy.
func (s *S3FIFO[K]) Cost() int64 { return s.small.cost + s.main.cost }

func (s *S3FIFO[K]) hash(k K) uint64 { return maphash.Comparable(s.seed, k) }

func (s *S3FIFO[K]) queueOf(i int32) *queue {
	if s.a.nodes[i].main {
		return &s.main
	}
	return &s.small
}

// Grow makes room for n more keys, before many are inserted.
func (s *S3FIFO[K]) Grow(n int) { s.a.grow(n) }

// Insert implements Policy.
func (s *S3FIFO[K]) Insert(k K, cost int64) {
	if i, ok := s.a.at[k]; ok {
		s.queueOf(i).cost += cost - s.a.nodes[i].cost
		s.a.nodes[i].cost = cost
		return
	}
	i, h := s.a.add(k, cost), s.hash(k)
	s.a.nodes[i].main = s.share == 0 || s.ghost.has(h)
	s.ghost.forget(h)
	push(&s.a, s.queueOf(i), i)
}

// Admit says whether a key that is not resident has earned a place in a cache
// that is full: when it was refused or evicted not long ago. A refused key is
// remembered.
func (s *S3FIFO[K]) Admit(k K) bool {
	if _, ok := s.a.at[k]; ok {
		return true
	}
	h := s.hash(k)
	if s.ghost.has(h) {
		return true
	}
	s.remember(h)
	return false
}

// remember keeps three ghosts for four keys of the main queue. The paper keeps as
// many as keys; a quarter less writes a fifth less to the disk for the same hits
// (bench/sim), half as many cost a point of hits where what is popular drifts.
func (s *S3FIFO[K]) remember(h uint64) { s.ghost.add(h, max(minGhosts, s.main.len*3/4)) }

// Touch implements Policy.
func (s *S3FIFO[K]) Touch(k K) {
	if i, ok := s.a.at[k]; ok {
		s.a.nodes[i].freq = min(s.a.nodes[i].freq+1, maxFreq)
	}
}

// Remove implements Policy.
func (s *S3FIFO[K]) Remove(k K) {
	if i, ok := s.a.at[k]; ok {
		unlink(&s.a, s.queueOf(i), i)
		s.a.drop(i)
	}
}

// Evict implements Policy. A key that may not go is passed over once a round.
func (s *S3FIFO[K]) Evict(may func(K) bool) (K, bool) {
	if s.small.len > 0 && float64(s.small.cost) > s.share*float64(s.Cost()) {
		if k, ok := s.evictSmall(may); ok {
			return k, true
		}
	}
	if k, ok := s.evictMain(may); ok {
		return k, true
	}
	if k, ok := s.evictSmall(may); ok {
		return k, true
	}
	return s.evictMain(may) // what evictSmall has promoted
}

func (s *S3FIFO[K]) evictSmall(may func(K) bool) (K, bool) {
	for range s.small.len {
		i := s.small.tail
		n := &s.a.nodes[i]
		unlink(&s.a, &s.small, i)
		switch {
		case n.freq > 1:
			n.freq, n.main = 0, true
			push(&s.a, &s.main, i)
		case may(n.key):
			k := n.key
			s.remember(s.hash(k))
			s.a.drop(i)
			return k, true
		default:
			push(&s.a, &s.small, i)
		}
	}
	var no K
	return no, false
}

// evictMain needs maxFreq rounds at most to wear every counter down, and one more.
func (s *S3FIFO[K]) evictMain(may func(K) bool) (K, bool) {
	for range s.main.len * (maxFreq + 1) {
		i := s.main.tail
		n := &s.a.nodes[i]
		unlink(&s.a, &s.main, i)
		switch {
		case n.freq > 0:
			n.freq--
			push(&s.a, &s.main, i)
		case may(n.key):
			k := n.key
			s.a.drop(i)
			return k, true
		default:
			push(&s.a, &s.main, i)
		}
	}
	var no K
	return no, false
}
