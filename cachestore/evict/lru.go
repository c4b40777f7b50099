package evict

// Order is LRU, or FIFO when a touch does not count.
type Order[K comparable] struct {
	a     arena[K]
	q     queue
	touch bool
}

var _ Policy[int] = (*Order[int])(nil)

// NewLRU returns a policy under which the longest unused key leaves first.
func NewLRU[K comparable]() *Order[K] {
	return &Order[K]{a: newArena[K](), q: newQueue(), touch: true}
}

// NewFIFO returns a policy under which the oldest key leaves first.
func NewFIFO[K comparable]() *Order[K] { return &Order[K]{a: newArena[K](), q: newQueue()} }

// Len implements Policy.
func (o *Order[K]) Len() int { return o.q.len }

// Cost implements Policy.
func (o *Order[K]) Cost() int64 { return o.q.cost }

// Insert implements Policy.
func (o *Order[K]) Insert(k K, cost int64) {
	if i, ok := o.a.at[k]; ok {
		o.q.cost += cost - o.a.nodes[i].cost
		o.a.nodes[i].cost = cost
		return
	}
	push(&o.a, &o.q, o.a.add(k, cost))
}

// Touch implements Policy.
func (o *Order[K]) Touch(k K) {
	if i, ok := o.a.at[k]; ok && o.touch {
		unlink(&o.a, &o.q, i)
		push(&o.a, &o.q, i)
	}
}

// Remove implements Policy.
func (o *Order[K]) Remove(k K) {
	if i, ok := o.a.at[k]; ok {
		unlink(&o.a, &o.q, i)
		o.a.drop(i)
	}
}

// Evict implements Policy.
func (o *Order[K]) Evict(may func(K) bool) (K, bool) {
	for i := o.q.tail; i != none; i = o.a.nodes[i].prev {
		if k := o.a.nodes[i].key; may(k) {
			unlink(&o.a, &o.q, i)
			o.a.drop(i)
			return k, true
		}
	}
	var no K
	return no, false
}
