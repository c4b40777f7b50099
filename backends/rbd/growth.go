//go:build ceph

package rbd

import "math/bits"

// order is the logarithm of the size of objects; as in Glance a size between two
// powers of two is taken for the smaller one.
func (c Config) order() uint64 { return uint64(bits.Len64(uint64(c.ChunkSize)) - 1) }

// The growth of an image whose size is not known, as in Glance: by its chunk
// size first, then by twice as much each time.
const maxGrowth = 8 << 30

// growth returns the size that an image grows to so that it holds need bytes, and
// by how much to grow the next time.
func growth(size, step, need int64) (grown, next int64) {
	for size < need {
		size += step
		step = min(2*step, maxGrowth)
	}
	return size, step
}
