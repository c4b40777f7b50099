package cachestore

import "glimpse/cachestore/chunk"

// Resident says, without I/O, whether a chunk is here.
func (s *Store) Resident(o chunk.Object, index int) bool { return s.isResident(o, index) }
