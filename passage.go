package ops

import (
	"context"
	"errors"
	"fmt"
	"io"

	"glimpse/backends"
	"glimpse/cachestore/chunk"
	"glimpse/registry/image"
)

// passage reads one object from the places of its image, one after the other: it
// goes on at the next one where one can't be opened or breaks. Without a manifest
// that proves every chunk there is one place only, for the bytes of two might be
// mixed. Used by one goroutine.
type passage struct {
	s   *Service
	ctx context.Context
	m   image.Image
	o   chunk.Object
	own target // that the object was named by
	at  target // that is read now

	rest   []image.Location // not tried yet
	proved *bool            // that the chunks to be read have a manifest; nil: not asked yet
}

// passage begins at the first place in the order of reading.
func (s *Service) passage(ctx context.Context, m image.Image, own target, o chunk.Object) *passage {
	p := &passage{s: s, ctx: ctx, m: m, o: o, own: own}
	for _, l := range s.ordered(m, preferredOf(o.Ref)) {
		if o.Key.Content() || l.ID == own.location {
			p.rest = append(p.rest, l)
		}
	}
	return p
}

// open opens the next place that can be had.
func (p *passage) open(off, n int64) (io.ReadCloser, error) {
	last := fmt.Errorf("origin: no place is left: %w", chunk.ErrNotFound)
	for len(p.rest) > 0 {
		l := p.rest[0]
		p.rest = p.rest[1:]
		t, err := p.place(l, off, n)
		if err == nil {
			var r io.ReadCloser
			if r, err = p.read(t, off, n); err == nil {
				p.at = t
				return r, nil
			}
			p.s.failed(p.ctx, l.ID)
			err = fmt.Errorf("origin %s: %w", t.store.ID, err)
		}
		if p.ctx.Err() != nil {
			return nil, err
		}
		last = graver(last, err)
	}
	return nil, last
}

// graver prefers what another try may mend to what is not there.
func graver(a, b error) error {
	if errors.Is(a, chunk.ErrNotFound) {
		return b
	}
	return a
}

var errUnfit = fmt.Errorf("origin: a place does not fit the object: %w", chunk.ErrNotFound)

// place resolves a location. One that the object was not named by must have as
// many bytes, and a manifest must prove them.
func (p *passage) place(l image.Location, off, n int64) (target, error) {
	if l.ID == p.own.location {
		return p.own, nil
	}
	if !p.isProved(off, n) {
		return target{}, errUnfit
	}
	t, err := p.s.target(p.ctx, p.m, l)
	if err == nil && t.object.Size != p.o.Size {
		err = errUnfit
	}
	return t, err
}

func (p *passage) isProved(off, n int64) bool {
	if p.proved == nil {
		ok := p.s.proves(p.ctx, p.o, off, n)
		p.proved = &ok
	}
	return *p.proved
}

// proves says whether a manifest tells the digest of every chunk of a range.
func (s *Service) proves(ctx context.Context, o chunk.Object, off, n int64) bool {
	if !o.Key.Content() || n <= 0 {
		return false
	}
	g := s.cfg.Geometry
	for seg := g.Index(off) / chunk.SegmentChunks; seg <= g.Index(off+n-1)/chunk.SegmentChunks; seg++ {
		digests, err := s.Segment(ctx, o.Key, seg, g.Count(o.Size))
		if err != nil || digests == nil || !digests.Complete() {
			return false
		}
	}
	return true
}

// read opens a place with its pinned validator. Where every chunk is checked
// against a manifest, a file that was put back from a backup, with the same size
// but another time, may be read as well: if its bytes differ, no chunk of them
// passes.
func (p *passage) read(t target, off, n int64) (io.ReadCloser, error) {
	r, err := t.store.Backend.Open(p.ctx, t.at, t.object.Validator, off, n)
	if !errors.Is(err, backends.ErrChanged) || !p.isProved(off, n) {
		return r, err
	}
	info, serr := t.store.Backend.Stat(p.ctx, t.at)
	if serr != nil || info.Size != p.o.Size {
		return nil, err
	}
	return t.store.Backend.Open(p.ctx, t.at, info.Validator, off, n)
}

// goOn reads on, from another place, where the reading at hand broke.
func (p *passage) goOn(broken error, off, n int64) (io.ReadCloser, error) {
	if p.ctx.Err() != nil {
		return nil, broken
	}
	from := p.at
	p.s.failed(p.ctx, from.location)
	r, err := p.open(off, n)
	if err != nil {
		return nil, graver(broken, err)
	}
	p.s.stats.failovers.Add(1)
	p.s.cfg.Log.Warn("an origin read broke and goes on elsewhere", "image", p.m.ID, "store", from.store.ID, "other", p.at.store.ID, "error", broken)
	return r, nil
}
