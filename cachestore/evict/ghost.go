package evict

// ghost remembers the hashes of keys that left, the oldest forgotten first. A
// hash of 64 bits is enough: a false memory only keeps a chunk that had not
// earned it.
type ghost struct {
	ring []uint64
	seq  map[uint64]uint64 // hash to the number of its latest entry
	from uint64            // number of the oldest entry in the ring
}

func newGhost() ghost { return ghost{seq: map[uint64]uint64{}} }

// add remembers h and forgets the oldest beyond limit.
func (g *ghost) add(h uint64, limit int) {
	g.seq[h] = g.from + uint64(len(g.ring))
	g.ring = append(g.ring, h)
	for len(g.ring) > max(limit, 1) {
		if old := g.ring[0]; g.seq[old] == g.from {
			delete(g.seq, old)
		}
		g.ring = g.ring[1:]
		g.from++
	}
}

func (g *ghost) has(h uint64) bool {
	_, ok := g.seq[h]
	return ok
}

func (g *ghost) forget(h uint64) { delete(g.seq, h) }
