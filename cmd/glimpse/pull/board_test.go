package pull

import (
	"context"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever runs do, in whatever order: no chunk is lost, none waits twice, none is
// fetched by more than two, and in the end all are done.
func TestNoChunkIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Bool(), 1, 40).Draw(t, "want")
		extent := rapid.IntRange(1, 9).Draw(t, "extent")
		b := newBoard(want, extent)
		for _, s := range b.todo {
			if s.from/extent != (s.to-1)/extent || slices.Contains(want[s.from:s.to], false) {
				t.Fatalf("span %v of extents of %d, wanted %v", s, extent, want)
			}
		}
		now := time.Now()
		n := &node{}
		type fetch struct {
			*run
			next int
		}
		var fetches []*fetch
		overtaken := map[*run]bool{}
		begin := func() {
			r, _ := b.nextLocked(now)
			if r == nil {
				return
			}
			fetches = append(fetches, &fetch{r, r.from})
			b.by(r, n, func(error) { overtaken[r] = true })
		}
		check := func() {
			waiting := make([]int, len(want))
			for _, s := range b.todo {
				for i := s.from; i < s.to; i++ {
					waiting[i]++
				}
			}
			left := 0
			for i := range want {
				under := 0
				for r := range b.running {
					if r.at <= i && i < r.to {
						under++
					}
				}
				if !b.done[i] {
					left++
				}
				if !b.done[i] && waiting[i]+under == 0 || waiting[i] > 1 || under > 2 || waiting[i] == 1 && under > 0 {
					t.Fatalf("chunk %d: done %v, waits %d times, under way %d times", i, b.done[i], waiting[i], under)
				}
			}
			if left != b.left {
				t.Fatalf("%d chunks are left, the board says %d", left, b.left)
			}
			for r := range b.running {
				if r.at < r.to && !slices.Contains(b.done[r.at:r.to], false) && !overtaken[r] {
					t.Fatalf("a run whose chunks are all done was not ended: %+v", r)
				}
			}
		}
		end := func(k int) {
			b.leave(fetches[k].run)
			fetches = slices.Delete(fetches, k, k+1)
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) { check() },
			"begin": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
				begin()
			},
			"go on": func(t *rapid.T) {
				if len(fetches) == 0 {
					t.Skip()
				}
				k := rapid.IntRange(0, len(fetches)-1).Draw(t, "which")
				f := fetches[k]
				if !b.wants(f.run, f.next) {
					end(k)
					return
				}
				if rapid.IntRange(0, 4).Draw(t, "spoilt") == 0 {
					b.spoilt(f.run, f.next, n)
				} else {
					b.finish(f.run, f.next)
				}
				f.next++
			},
			"fail": func(t *rapid.T) {
				if len(fetches) > 0 {
					end(rapid.IntRange(0, len(fetches)-1).Draw(t, "which"))
				}
			},
		})
		for len(fetches) > 0 {
			end(0)
		}
		for range 10 * len(want) {
			r, _, err := b.take(context.Background())
			if err != nil || r == nil {
				break
			}
			for i := r.from; b.wants(r, i); i++ {
				b.finish(r, i)
			}
			b.leave(r)
		}
		check()
		if b.left != 0 {
			t.Fatalf("%d chunks are never done", b.left)
		}
	})
}

// A chunk that is hardly moving is doubled again where the second fetch has failed.
func TestAChunkIsDoubledAgain(t *testing.T) {
	b := newBoard([]bool{true}, 1)
	now := time.Now()
	first, _ := b.nextLocked(now)
	for i, end := range []func(*run){
		b.leave,
		func(r *run) {
			b.spoilt(r, 0, &node{})
			b.leave(r)
		},
		b.leave,
	} {
		now = now.Add(doubleAfter)
		second, _ := b.nextLocked(now)
		if second == nil || second.from != first.from {
			t.Fatalf("time %d: not doubled", i+1)
		}
		if third, _ := b.nextLocked(now.Add(doubleAfter)); third != nil {
			t.Fatalf("time %d: fetched by three", i+1)
		}
		end(second)
	}
}
