package ring

import (
	"math"
	"slices"

	"github.com/zeebo/xxh3"

	"glimpse/cachestore/chunk"
)

// owner is a node that extents are shared out to.
type owner struct {
	index  int // in Ring.nodes
	seed   uint64
	weight float64 // above 0
}

// group is nodes among which there is one owner per extent, by id.
type group []owner

// newGroup takes members by their index. Where all weights are 0 they are equal,
// else a weight of 0 owns nothing.
func newGroup(nodes []Node, members []int) group {
	weighted := slices.ContainsFunc(members, func(i int) bool { return nodes[i].Weight > 0 })
	var g group
	for _, i := range members {
		w := 1.0
		if weighted {
			w = float64(nodes[i].Weight)
		}
		if w > 0 {
			g = append(g, owner{i, xxh3.HashString(nodes[i].ID), w})
		}
	}
	return g
}

// hash names an extent.
func hash(key chunk.Key, extent int) uint64 { return xxh3.HashStringSeed(string(key), uint64(extent)) }

// draw is a number in (0, 1), as evenly spread as the hash of extent and node.
func (o owner) draw(extent uint64) float64 {
	return float64((float64(mix(extent^o.seed)>>12) + 0.5) * 0x1p-52) // exact
}

// score is -w/ln(u): the chance of the highest one is then as the weight.
func (o owner) score(u float64) float64 { return o.weight / -ln(u) }

// below says, mostly, that the score can't be above best: -ln(u) is at least
// 1-u. Of many nodes few are left to take the logarithm for.
func (o owner) below(best, u float64) bool { return o.weight <= best*(1-u) }

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// ln is the natural logarithm of u in (0, 1), by the usual reduction to
// 2^k * (1+f). It stands here because math.Log is assembly on some processors,
// and compilers may fuse a product and a sum where no conversion is written:
// either can change the last bit, and so an owner.
func ln(u float64) float64 {
	const (
		ln2Hi = 6.93147180369123816490e-01
		ln2Lo = 1.90821492927058770002e-10
		l1    = 6.666666666666735130e-01
		l2    = 3.999999999940941908e-01
		l3    = 2.857142874366239149e-01
		l4    = 2.222219843214978396e-01
		l5    = 1.818357216161805012e-01
		l6    = 1.531383769920937332e-01
		l7    = 1.479819860511658591e-01
	)
	f, exp := math.Frexp(u) // exact
	if f < math.Sqrt2/2 {
		f *= 2
		exp--
	}
	f--
	k := float64(exp)
	s := f / (2 + f)
	s2 := float64(s * s)
	s4 := float64(s2 * s2)
	t1 := float64(s2 * (l1 + float64(s4*(l3+float64(s4*(l5+float64(s4*l7)))))))
	t2 := float64(s4 * (l2 + float64(s4*(l4+float64(s4*l6)))))
	r := t1 + t2
	hfsq := float64(float64(0.5*f) * f)
	return float64(k*ln2Hi) - ((hfsq - (float64(s*(hfsq+r)) + float64(k*ln2Lo))) - f)
}

// first returns the index of the owner, -1 for none. Of equal scores the smaller
// id counts.
func (g group) first(extent uint64) int {
	best, at := 0.0, -1
	for i := range g {
		u := g[i].draw(extent)
		if g[i].below(best, u) {
			continue
		}
		if s := g[i].score(u); s > best {
			best, at = s, g[i].index
		}
	}
	return at
}

type scored struct {
	score float64
	index int
}

// top appends the n highest scores to best, the highest first.
func (g group) top(extent uint64, n int, best []scored) []scored {
	for i := range g {
		u := g[i].draw(extent)
		if len(best) == n && (n == 0 || g[i].below(best[n-1].score, u)) {
			continue
		}
		s, at := g[i].score(u), len(best)
		for at > 0 && s > best[at-1].score {
			at--
		}
		if at >= n {
			continue
		}
		if len(best) == n {
			best = best[:n-1]
		}
		best = slices.Insert(best, at, scored{s, g[i].index})
	}
	return best
}
