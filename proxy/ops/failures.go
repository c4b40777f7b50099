package ops

import (
	"sync"
	"time"
)

const (
	// failedFor is how long a location that has failed is tried after the others.
	failedFor  = 10 * time.Second
	failedMost = 10_000
)

// failures remembers the locations that have failed just now, by row id, so that not
// every chunk of an image begins with the same vain try.
type failures struct {
	mu struct {
		sync.Mutex
		until map[int64]time.Time
	}
}

// note says that a location has failed, and returns whether that is news.
func (f *failures) note(location int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if f.mu.until == nil || len(f.mu.until) >= failedMost {
		f.mu.until = map[int64]time.Time{} // each is found out again by one try
	}
	news := !now.Before(f.mu.until[location])
	f.mu.until[location] = now.Add(failedFor)
	return news
}

// is says whether a location has failed just now.
func (f *failures) is(location int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Now().Before(f.mu.until[location])
}
