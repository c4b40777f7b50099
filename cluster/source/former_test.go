package source

import (
	"testing"
	"testing/synctest"

	"glimpse/cachestore/chunk"
)

// An object that was read under one name and then hashed is not read again under
// its new one, whose owners are others.
func TestHashingMovesNoBytesOutOfTheOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(24, "a", "b")
		w := settle(t, imageSize, nodes...)
		defer w.close()
		if w.storm(2, ids(nodes)[:2]...) > 0 {
			t.Fatal("the first storm failed")
		}
		w.former = "p:test"
		if w.storm(4, ids(nodes)[20:]...) > 0 {
			t.Fatal("the second storm failed")
		}
		w.once()
	})
}

func (w *world) named() chunk.Object {
	o := w.object()
	if w.former != "" {
		o.Former, o.Key = w.former, "c:sha512:test:1"
	}
	return o
}
