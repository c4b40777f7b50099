package cluster

import "glimpse/cachestore/chunk"

// Hot is what a stream of an owner may also say: that several nodes want the
// extent, so that an asker does well to keep a copy.
type Hot interface{ Hot() bool }

// IsHot says whether the owner who answers says so.
func IsHot(st chunk.Stream) bool {
	h, ok := st.(Hot)
	return ok && h.Hot()
}

// HotStream says of an answer that its extent is hot.
type HotStream struct{ chunk.Stream }

// Hot is true.
func (HotStream) Hot() bool { return true }
