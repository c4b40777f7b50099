package identity

import (
	"container/list"
	"crypto/sha256"
	"time"
)

// subject is a question about a token; the token itself is not kept.
type subject struct {
	sum          [sha256.Size]byte
	allowExpired bool
}

func subjectOf(token string, allowExpired bool) subject {
	return subject{sha256.Sum256([]byte(token)), allowExpired}
}

// entry is one remembered answer.
type entry struct {
	of      subject
	verdict verdict
	read    time.Time // before the question was sent
}

// answers remembers a bounded number of them and forgets what was used longest
// ago. Not for several goroutines at once.
type answers struct {
	max  int
	by   map[subject]*list.Element // of entry
	used *list.List                // front: used last
}

func newAnswers(max int) *answers {
	return &answers{max: max, by: map[subject]*list.Element{}, used: list.New()}
}

func (a *answers) get(of subject) (entry, bool) {
	e, ok := a.by[of]
	if !ok {
		return entry{}, false
	}
	a.used.MoveToFront(e)
	return e.Value.(entry), true
}

func (a *answers) put(e entry) {
	a.drop(e.of)
	a.by[e.of] = a.used.PushFront(e)
	for len(a.by) > a.max {
		a.drop(a.used.Back().Value.(entry).of)
	}
}

func (a *answers) drop(of subject) {
	if e, ok := a.by[of]; ok {
		a.used.Remove(e)
		delete(a.by, of)
	}
}
