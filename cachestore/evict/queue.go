package evict

import (
	"maps"
	"slices"
)

// none is the end of a list.
const none = -1

// node is an element of a queue. Nodes live in one slice and point to one
// another by number: a million of them are nothing to the garbage collector.
type node[K comparable] struct {
	key        K
	cost       int64
	next, prev int32
	freq       uint8
	main       bool
}

// arena holds the nodes and finds them by key.
type arena[K comparable] struct {
	nodes []node[K]
	free  []int32
	at    map[K]int32
}

func newArena[K comparable]() arena[K] { return arena[K]{at: map[K]int32{}} }

// grow makes room for n more nodes. It costs a copy of those that are there.
func (a *arena[K]) grow(n int) {
	at := make(map[K]int32, len(a.at)+n)
	maps.Copy(at, a.at)
	a.at, a.nodes = at, slices.Grow(a.nodes, n)
}

func (a *arena[K]) add(k K, cost int64) int32 {
	n := node[K]{key: k, cost: cost, next: none, prev: none}
	var i int32
	if last := len(a.free) - 1; last >= 0 {
		i, a.free = a.free[last], a.free[:last]
		a.nodes[i] = n
	} else {
		i = int32(len(a.nodes))
		a.nodes = append(a.nodes, n)
	}
	a.at[k] = i
	return i
}

func (a *arena[K]) drop(i int32) {
	delete(a.at, a.nodes[i].key)
	a.nodes[i] = node[K]{}
	a.free = append(a.free, i)
}

// queue is a list of nodes: in at the head, out at the tail.
type queue struct {
	head, tail int32
	len        int
	cost       int64
}

func newQueue() queue { return queue{head: none, tail: none} }

func push[K comparable](a *arena[K], q *queue, i int32) {
	n := &a.nodes[i]
	n.prev, n.next = none, q.head
	if q.head != none {
		a.nodes[q.head].prev = i
	} else {
		q.tail = i
	}
	q.head = i
	q.len++
	q.cost += n.cost
}

func unlink[K comparable](a *arena[K], q *queue, i int32) {
	n := &a.nodes[i]
	if n.prev != none {
		a.nodes[n.prev].next = n.next
	} else {
		q.head = n.next
	}
	if n.next != none {
		a.nodes[n.next].prev = n.prev
	} else {
		q.tail = n.prev
	}
	q.len--
	q.cost -= n.cost
}
