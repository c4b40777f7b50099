// Package chunk holds the names and the geometry of image bytes: what an
// object is called, how it falls into chunks and extents, how the digests of
// its chunks are written down, and the two interfaces through which bytes
// travel between an origin, the levels of the cache and a client.
//
// It does no I/O and imports nothing but the standard library, so that the
// cache, the cluster and the metadata plane can all speak of the same bytes
// without knowing one another.
//
// What holds: bytes under a Key never change, so a cached chunk needs no
// invalidation. A Key never contains the range a client asked for.
package chunk
