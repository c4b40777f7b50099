package source

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lukechampine.com/blake3"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"

	"golang.org/x/time/rate"
)

func (w *world) whoUploaded(context.Context, chunk.Object) (string, error) { return w.uploader, nil }

// upload has a node keep those chunks of the image that keep says.
func (w *world) upload(id string, keep func(index int) bool) (kept int64) {
	u := w.nodes[id].store.NewWriter("token", false)
	for i := range small.Count(imageSize) {
		if !keep(i) {
			continue
		}
		b, err := u.Buffers(context.Background(), 1)
		if err != nil {
			w.t.Fatal(err)
		}
		n := small.Len(i, imageSize)
		copy(b[0].Bytes(), w.data[small.Off(i):][:n])
		u.Keep(i, b[0], int(n), blake3.Sum256(w.data[small.Off(i):][:n]), false)
		kept += n
	}
	u.Publish(w.object())
	w.uploader = id
	return kept
}

// The storm that follows an upload reads of the origin what the uploader could not
// keep, and nothing else.
func TestAFreshUploadIsReadFromWhoKeptIt(t *testing.T) {
	for name, nodes := range map[string][]ring.Node{"3 nodes": members(3, "a"), "8 nodes in 2 zones": members(8, "a", "b"), "50 nodes in 3 zones": members(50, "a", "b", "c")} {
		for what, keep := range map[string]func(int) bool{"all": func(int) bool { return true }, "some": func(i int) bool { return i%3 > 0 }} {
			if len(nodes) == 50 && what == "all" {
				continue // it takes long, and shows less
			}
			t.Run(what+" of it, "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := settle(t, imageSize, nodes...)
					kept := w.upload(nodes[len(nodes)/2].ID, keep)
					if failed := w.storm(2*len(nodes), ids(nodes)...); failed > 0 {
						t.Errorf("%d clients failed", failed)
					}
					if w.read != imageSize-kept {
						t.Errorf("the origin gave %d bytes, %d of %d had been kept: %v", w.read, kept, imageSize, w.readBy)
					}
					w.close()
				})
			})
		}
	}
}

// An uploader that is slow to answer, or has no place free, is waited for longer
// than others: it is known to have what is wanted.
func TestAFreshUploadIsWorthAWait(t *testing.T) {
	for name, trouble := range map[string]func(w *world) (times *int){
		"slow": func(w *world) *int {
			w.lag = 300 * time.Millisecond
			return new(1)
		},
		"busy": func(w *world) *int {
			var mu sync.Mutex
			times := new(0)
			w.busy = func(at string, q cluster.Ask) bool {
				mu.Lock()
				defer mu.Unlock()
				busy := at == w.uploader && q.ResidentOnly && *times%5 < 4
				if busy || at == w.uploader {
					*times++
				}
				return busy
			}
			return times
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nodes := members(8, "a", "b")
				w := settle(t, imageSize, nodes...)
				w.upload(nodes[3].ID, func(int) bool { return true })
				times := trouble(w)
				if failed := w.storm(8, ids(nodes)...); failed > 0 {
					t.Errorf("%d clients failed", failed)
				}
				if *times == 0 {
					t.Error("there was no trouble: the test shows nothing")
				}
				if w.read > 0 {
					t.Errorf("the origin gave %d bytes", w.read)
				}
				w.close()
			})
		})
	}
}

// What is not found by asking others does not count against the uploader, and who
// has been asked already is not waited for once more.
func TestTheUploaderIsJudgedByItsOwnAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(4, "a", "b")
		w := settle(t, imageSize, nodes...)
		r, o, uploader := w.nodes[nodes[0].ID].r, w.object(), nodes[1].ID
		w.uploader = uploader
		r.uploadedBy(o.Key, uploader)
		for range staleAfter {
			p := place{cluster.Zone, o.Key, 0}
			if _, err := r.tour(t.Context(), p, nodes[2:3], o, 0, small.Chunk); !errors.Is(err, cluster.ErrNotResident) {
				t.Fatal(err)
			}
		}
		if !r.isFresh(o.Key) {
			t.Error("looks around in a zone, in which the uploader was not asked, have made the upload stale")
		}
		p := place{cluster.Home, o.Key, 0}
		w.busy = func(at string, q cluster.Ask) bool {
			if at == uploader {
				r.remember(p, nodes[2].ID, "") // who will not answer
			}
			return false
		}
		go w.halt(nodes[2].ID, 5*time.Second)
		synctest.Wait()
		began := time.Now()
		if _, err := r.tour(t.Context(), p, nil, o, 0, small.Chunk); !errors.Is(err, cluster.ErrNotResident) {
			t.Fatal(err)
		}
		if took := time.Since(began); took < r.c.LookFor || took > 2*r.c.LookFor {
			t.Errorf("it took %v, of which %v may be for who does not answer", took, r.c.LookFor)
		}
		time.Sleep(5 * time.Second)
		w.close()
	})
}

// bus is gossip between the nodes of a process.
type bus struct {
	mu  sync.Mutex
	all []*bused
}

// bused is a node's part.
type bused struct {
	b  *bus
	fn func(cluster.Rumor)
}

func (b *bus) join() *bused {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := &bused{b: b}
	b.all = append(b.all, n)
	return n
}

func (n *bused) Hear(fn func(cluster.Rumor)) (stop func()) { n.fn = fn; return func() {} }

func (n *bused) Spread(x cluster.Rumor) error {
	for _, o := range n.b.all {
		if o != n && o.fn != nil {
			o.fn(x)
		}
	}
	return nil
}

// freshen has all nodes listen to rumours.
func (w *world) freshen(ctx context.Context, bytes int64) (all map[string]*Fresh) {
	all = map[string]*Fresh{}
	b := &bus{}
	limit := rate.Limit(bytes)
	if bytes == 0 {
		limit = rate.Inf
	}
	for id, n := range w.nodes {
		f := NewFresh(FreshConfig{
			Router: n.r, Rumors: b.join(), From: n.fresh, Resident: n.store.Resident, Rate: rate.NewLimiter(limit, int(max(bytes, int64(small.Chunk)))), Log: slog.New(slog.DiscardHandler),
			Object: func(context.Context, string) (chunk.Object, error) { return w.object(), nil },
		})
		all[id] = f
		go f.Run(ctx)
	}
	return all
}

// Owners have what was uploaded before anybody asks for it, at the rate that they
// may have it, and don't need the uploader then.
func TestAFreshUploadGoesToItsOwners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(8, "a", "b")
		w := settle(t, imageSize, nodes...)
		ctx, stop := context.WithCancel(t.Context())
		const pace = 8 * 64 << 10
		all := w.freshen(ctx, pace)
		by := nodes[5].ID
		w.upload(by, func(int) bool { return true })
		all[by].Tell("image")
		time.Sleep(time.Minute)
		most := int64(0)
		for id, f := range all {
			c := f.Counts()
			most = max(most, c.Bytes)
			own := int64(0)
			for i := range small.Count(imageSize) {
				if w.nodes[id].r.OwnsHome(w.object(), small.ExtentOf(i)) {
					own += small.Len(i, imageSize)
				}
			}
			if id != by && (c.Bytes != own || c.Missed+c.Dropped > 0) {
				t.Errorf("node %s owns %d bytes and has fetched %+v", id, own, c)
			}
		}
		if most == 0 {
			t.Error("nobody owns anything: the test shows nothing")
		}
		if w.read > 0 {
			t.Errorf("the origin gave %d bytes", w.read)
		}
		w.kill(by)
		if failed := w.storm(7, ids(append(nodes[:5:5], nodes[6:]...))...); failed > 0 {
			t.Errorf("%d clients failed", failed)
		}
		owned := int64(0) // by the uploader itself, which is gone
		for i := range small.Count(imageSize) {
			if w.nodes[by].r.OwnsHome(w.object(), small.ExtentOf(i)) {
				owned += small.Len(i, imageSize)
			}
		}
		if w.read != owned {
			t.Errorf("the origin gave %d bytes, of which %d were nobody else's", w.read, owned)
		}
		stop()
		synctest.Wait()
		w.close()
	})
}

// Rumours are hints: what makes no sense, or is told of too often, hurts nobody.
func TestRumoursOfUploadsAreHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := members(3, "a")
		w := settle(t, imageSize, nodes...)
		ctx, stop := context.WithCancel(t.Context())
		all := w.freshen(ctx, 0)
		b := all[nodes[0].ID].c.Rumors
		for _, body := range []string{"", "{", `{"image":""}`, `{"image":"` + strings.Repeat("n", 100) + `"}`} {
			_ = b.Spread(cluster.Rumor{Kind: freshKind, Body: []byte(body)})
		}
		_ = b.Spread(cluster.Rumor{Kind: "another", Body: []byte(`{"image":"x"}`)})
		synctest.Wait()
		if w.asks.Load() > 0 {
			t.Errorf("%d questions were asked", w.asks.Load())
		}
		w.uploader = nodes[0].ID // who has kept nothing
		for range 2 * mostFresh {
			_ = b.Spread(cluster.Rumor{Kind: freshKind, Body: []byte(`{"image":"x"}`)})
		}
		time.Sleep(time.Minute)
		c := all[nodes[1].ID].Counts()
		if c.Dropped == 0 || c.Missed == 0 || c.Bytes > 0 {
			t.Errorf("of too many: %+v", c)
		}
		if w.read > 0 {
			t.Errorf("the origin gave %d bytes", w.read)
		}
		stop()
		synctest.Wait()
		w.close()
	})
}
