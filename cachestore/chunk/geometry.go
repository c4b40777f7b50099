package chunk

// Geometry says how an object is cut: into chunks, the unit of transfer,
// verification and residency, and extents, the unit of ownership. It is a
// constant of a cluster, kept in SQL; every node must agree on it.
type Geometry struct {
	Chunk  int64 // bytes in a chunk, a power of two
	Extent int   // chunks in an extent
}

// Default is 4 MiB chunks in extents of 16, 64 MiB: the chunk size on which
// registries and block stores have settled, and extents large enough to keep a
// connection between peers sequential.
var Default = Geometry{Chunk: 4 << 20, Extent: 16}

// Count returns how many chunks an object of size bytes has.
func (g Geometry) Count(size int64) int {
	if size <= 0 {
		return 0
	}
	return int((size + g.Chunk - 1) / g.Chunk)
}

// Index returns the chunk that holds the byte at off.
func (g Geometry) Index(off int64) int { return int(off / g.Chunk) }

// Off returns the offset of a chunk's first byte.
func (g Geometry) Off(index int) int64 { return int64(index) * g.Chunk }

// Len returns the bytes in a chunk of an object of size bytes: a full chunk, or
// less for the last one. It is 0 for a chunk past the end.
func (g Geometry) Len(index int, size int64) int64 {
	return max(0, min(g.Chunk, size-g.Off(index)))
}

// ExtentOf returns the extent that a chunk belongs to.
func (g Geometry) ExtentOf(index int) int { return index / g.Extent }
