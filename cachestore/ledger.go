package cachestore

import (
	"container/list"
	"context"
	"sync"
	"time"

	"glimpse/cachestore/chunk"
)

const (
	// ledgerBytes bounds what is remembered of digests: 32 MiB are 1,024 full
	// segments, those of 8 TiB of images at 4 MiB a chunk.
	ledgerBytes = 32 << 20
	// manifestRetry is how long "no manifest" is believed, and how long a failed
	// look-up is not repeated.
	manifestRetry = time.Minute
	manifestPause = time.Second
)

// page is what is known of one segment of one object.
type page struct {
	id      id // index is the number of the segment
	want    chunk.Segment
	seen    chunk.Segment
	asked   time.Time     // when the manifest may be asked again
	loading chan struct{} // closed when the look-up that runs has ended
}

func (p *page) size() int64 { return int64(len(p.want)+len(p.seen)) + 128 }

// ledger remembers digests: those that a manifest promises and those that were
// observed, with the marks of zero chunks among them. The longest unused pages
// are forgotten; then digests are observed anew and zero chunks without a disk
// mark are filled again. It is no ristretto cache since a mark must be found by
// the next look-up, and ristretto shows a Set late or never.
type ledger struct {
	source Manifests

	mu    sync.Mutex
	pages map[id]*list.Element // of *page
	order *list.List           // front: used last
	bytes int64
}

func newLedger(source Manifests) *ledger {
	return &ledger{source: source, pages: map[id]*list.Element{}, order: list.New()}
}

func (g *ledger) pageLocked(key chunk.Key, seg int, make bool) *page {
	k := id{key, seg}
	if el := g.pages[k]; el != nil {
		g.order.MoveToFront(el)
		return el.Value.(*page)
	}
	if !make {
		return nil
	}
	p := &page{id: k}
	g.pages[k] = g.order.PushFront(p)
	g.bytes += p.size()
	return p
}

// trimLocked forgets old pages, but never the one just used nor one that is
// being loaded.
func (g *ledger) trimLocked() {
	for el := g.order.Back(); el != nil && el != g.order.Front() && g.bytes > ledgerBytes; {
		older := el.Prev()
		if el.Value.(*page).loading == nil {
			g.dropLocked(el)
		}
		el = older
	}
}

func (g *ledger) dropLocked(el *list.Element) {
	p := el.Value.(*page)
	g.order.Remove(el)
	delete(g.pages, p.id)
	g.bytes -= p.size()
}

func split(index int) (seg, i int) {
	return index / chunk.SegmentChunks, index % chunk.SegmentChunks
}

func at(s chunk.Segment, i int) (d chunk.Digest, zero, known bool) {
	if i >= s.Chunks() {
		return d, false, false
	}
	return s.At(i)
}

// expected returns the digest that the manifest promises, as far as it has been
// loaded, else the one that was observed.
func (g *ledger) expected(k id) (d chunk.Digest, zero, known, promised bool) {
	seg, i := split(k.index)
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.pageLocked(k.key, seg, false)
	if p == nil {
		return d, false, false, false
	}
	if d, zero, known = at(p.want, i); known {
		return d, zero, true, true
	}
	d, zero, known = at(p.seen, i)
	return d, zero, known, false
}

// see notes an observed digest; the zero Digest marks a chunk of zeros.
func (g *ledger) see(k id, d chunk.Digest, count int) {
	seg, i := split(k.index)
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.pageLocked(k.key, seg, true)
	if n := min(chunk.SegmentChunks, count-seg*chunk.SegmentChunks); p.seen.Chunks() < n {
		s := chunk.NewSegment(n)
		copy(s, p.seen)
		g.bytes += int64(len(s) - len(p.seen))
		p.seen = s
	}
	p.seen.Set(i, d)
	g.trimLocked()
}

// unsee forgets what was observed of a chunk.
func (g *ledger) unsee(k id) {
	seg, i := split(k.index)
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.pageLocked(k.key, seg, false); p != nil && i < p.seen.Chunks() {
		copy(p.seen[i*len(chunk.Digest{}):], chunk.NewSegment(1))
	}
}

// load asks for the manifest's part that holds a chunk, once for all who need
// it. run starts the look-up on a context of the store's own. A manifest that
// can't be had now is not an error: the chunk's digest is then observed.
func (g *ledger) load(ctx context.Context, k id, count int, run func(func(context.Context)) bool) error {
	if g.source == nil {
		return nil
	}
	seg, _ := split(k.index)
	g.mu.Lock()
	p := g.pageLocked(k.key, seg, true)
	if p.want != nil || time.Now().Before(p.asked) {
		g.mu.Unlock()
		return nil
	}
	done := p.loading
	if done == nil {
		done = make(chan struct{})
		p.loading = done
		g.mu.Unlock()
		ok := run(func(ctx context.Context) {
			s, err := g.source.Segment(ctx, k.key, seg, count)
			g.loaded(k.key, seg, count, s, err)
		})
		if !ok {
			g.loaded(k.key, seg, count, nil, errClosed)
		}
	} else {
		g.mu.Unlock()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (g *ledger) loaded(key chunk.Key, seg, count int, s chunk.Segment, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.pageLocked(key, seg, true)
	if p.loading != nil {
		close(p.loading)
		p.loading = nil
	}
	if err == nil && s != nil {
		s, err = chunk.ParseSegment(s, seg, count)
	}
	switch {
	case err != nil:
		p.asked = time.Now().Add(manifestPause)
	case s == nil:
		p.asked = time.Now().Add(manifestRetry)
	default:
		g.bytes += int64(len(s) - len(p.want))
		p.want = s
	}
	g.trimLocked()
}

// segments returns what is known of an object's digests, segment by segment.
func (g *ledger) segments(key chunk.Key, count int) []chunk.Segment {
	var list []chunk.Segment
	for seg := 0; seg*chunk.SegmentChunks < count; seg++ {
		s := chunk.NewSegment(min(chunk.SegmentChunks, count-seg*chunk.SegmentChunks))
		for i := range s.Chunks() {
			if d, _, known, _ := g.expected(id{key, seg*chunk.SegmentChunks + i}); known {
				s.Set(i, d)
			}
		}
		list = append(list, s)
	}
	return list
}

// rename moves what was observed; a manifest under the new name is kept.
func (g *ledger) rename(from, to chunk.Key) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for k, el := range g.pages {
		if k.key != from {
			continue
		}
		old := el.Value.(*page)
		if old.loading != nil {
			close(old.loading)
		}
		g.dropLocked(el)
		p := g.pageLocked(to, k.index, true)
		if p.seen == nil {
			p.seen = old.seen
			g.bytes += int64(len(p.seen))
		}
	}
}

// drop forgets an object.
func (g *ledger) drop(key chunk.Key) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for k, el := range g.pages {
		if k.key == key {
			if p := el.Value.(*page); p.loading != nil {
				close(p.loading)
			}
			g.dropLocked(el)
		}
	}
}
