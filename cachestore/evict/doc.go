// Package evict decides what leaves a cache first. Its policies own no data, no
// lock and no clock: the caller holds a lock around every call, and says through
// the may function of Evict whether a victim can go.
//
// S3FIFO is the one in use. It keeps one-time visitors in a small queue, what
// was used again in a main queue, and the hashes of what left the small queue in
// a ghost queue, so that what comes back soon goes to the main queue at once.
// With a small share of 0 it is the main queue and the ghosts alone: that is
// the disk tier, whose small queue is the memory tier. LRU and FIFO are there to
// be compared with.
package evict
