package evict

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func policies() map[string]Policy[int] {
	return map[string]Policy[int]{
		"s3fifo": NewS3FIFO[int](DefaultSmall), "main only": NewS3FIFO[int](0), "lru": NewLRU[int](), "fifo": NewFIFO[int](),
	}
}

// Whatever is done to a policy, it knows just the keys that were put in and not
// taken out, and what they cost; and it never gives out another.
func TestTheBooksAreRight(t *testing.T) {
	for name := range policies() {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				p, want := policies()[name], map[int]int64{}
				for range rapid.IntRange(1, 200).Draw(t, "steps") {
					k := rapid.IntRange(0, 20).Draw(t, "key")
					switch rapid.IntRange(0, 4).Draw(t, "what") {
					case 0, 1:
						cost := rapid.Int64Range(0, 100).Draw(t, "cost")
						p.Insert(k, cost)
						want[k] = cost
					case 2:
						p.Touch(k)
					case 3:
						p.Remove(k)
						delete(want, k)
					case 4:
						pinned := rapid.IntRange(0, 20).Draw(t, "pinned")
						got, ok := p.Evict(func(k int) bool { return k != pinned })
						_, there := want[got]
						switch {
						case ok && (!there || got == pinned):
							t.Fatalf("%d is given out", got)
						case !ok && len(want) > 1:
							t.Fatalf("nothing of %d is given out", len(want))
						case ok:
							delete(want, got)
						}
					}
					var cost int64
					for _, c := range want {
						cost += c
					}
					if p.Len() != len(want) || p.Cost() != cost {
						t.Fatalf("%d keys of %d, want %d of %d", p.Len(), p.Cost(), len(want), cost)
					}
				}
			})
		})
	}
}

// The only key that may go has been read often, and is promoted on the way.
func TestAPromotedKeyMayGoAtOnce(t *testing.T) {
	p := NewS3FIFO[string](DefaultSmall)
	p.Insert("hot", 0)
	p.Touch("hot")
	p.Touch("hot")
	p.Insert("pinned", 0)
	if k, ok := p.Evict(func(k string) bool { return k != "pinned" }); !ok || k != "hot" {
		t.Errorf("given out is %q, %v", k, ok)
	}
}

// hits runs a trace over a cache of so many keys.
func hits(p Policy[int], size int, trace []int) (n int) {
	in := map[int]bool{}
	for _, k := range trace {
		if in[k] {
			n++
			p.Touch(k)
			continue
		}
		for len(in) >= size {
			gone, ok := p.Evict(func(int) bool { return true })
			if !ok {
				break
			}
			delete(in, gone)
		}
		p.Insert(k, 1)
		in[k] = true
	}
	return n
}

// A hot set that fits is read again and again, with a scan of keys that come once
// in between: what a boot storm does while somebody copies all images.
func TestAScanDoesNotFlushWhatIsHot(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const size, hot = 1000, 600
	var trace []int
	scan := 1 << 20
	for range 200_000 {
		if r.IntN(2) == 0 {
			trace = append(trace, r.IntN(hot))
			continue
		}
		scan++
		trace = append(trace, scan)
	}
	s3, lru := hits(NewS3FIFO[int](DefaultSmall), size, trace), hits(NewLRU[int](), size, trace)
	t.Logf("of %d: S3-FIFO %d hits, LRU %d", len(trace), s3, lru)
	if s3 < lru+len(trace)*8/100 {
		t.Errorf("S3-FIFO %d hits, LRU %d: less than 8 points more", s3, lru)
	}
}

func TestAFullCacheTakesWhatComesTwice(t *testing.T) {
	p := NewS3FIFO[string](0)
	p.Insert("resident", 1)
	if p.Admit("new") {
		t.Error("a key that was never seen has earned a place")
	}
	if !p.Admit("new") || !p.Admit("resident") {
		t.Error("a key that was refused before, or is there, has not")
	}
}

func TestNothingIsGivenOutWhenNothingMayGo(t *testing.T) {
	for name, p := range policies() {
		for k := range 100 {
			p.Insert(k, 1)
			p.Touch(k)
		}
		if k, ok := p.Evict(func(int) bool { return false }); ok {
			t.Errorf("%s gives %d", name, k)
		}
		if p.Len() != 100 {
			t.Errorf("%s lost %d", name, 100-p.Len())
		}
	}
}
