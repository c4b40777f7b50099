package evict

// Policy orders keys by when they should leave. It is used by one goroutine at a
// time.
type Policy[K comparable] interface {
	Insert(k K, cost int64) // has become resident; for a known key only the cost changes
	Touch(k K)              // has been used; unknown keys are ignored
	Remove(k K)             // is gone for another reason than Evict; unknown keys are ignored
	// Evict offers keys in the order in which they should leave until may says
	// yes, forgets that one and returns it. It is false when none may go. may must
	// not call the policy.
	Evict(may func(K) bool) (K, bool)
	Len() int
	Cost() int64 // of all keys, in the caller's unit
}
