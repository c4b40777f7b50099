package ops

import (
	"context"
	"errors"
	"hash"
	"strings"

	"glimpse/cachestore/chunk"
	"glimpse/registry"
	"glimpse/registry/image"

	"lukechampine.com/blake3"
)

// fold is an object on its way through its hashes. Only the learner's goroutine
// touches it, but for the fields under the learner's lock.
type fold struct {
	o        chunk.Object
	count    int
	next     int
	sums     map[string]hash.Hash
	record   image.Image
	location image.Location
	manifest []chunk.Segment

	// Under the learner's lock.
	queued bool
	wants  int  // the chunk it waits for
	over   bool // concluded, or given up
}

func newFold(o chunk.Object, g chunk.Geometry) *fold { return &fold{o: o, count: g.Count(o.Size)} }

// advance hashes resident chunks in order and returns the first that is not.
func (f *fold) advance(ctx context.Context, s *Service) (next int, err error) {
	if f.sums == nil {
		if err := f.begin(ctx, s); err != nil {
			return 0, err
		}
	}
	for f.next < f.count && ctx.Err() == nil {
		ok, err := s.cfg.Cache.Peek(ctx, f.o, f.next, func(b []byte) error { f.take(b); return nil })
		if err != nil || !ok {
			return f.next, err
		}
		f.next++
	}
	return f.next, ctx.Err()
}

// begin loads the record, which says what hashes to compare with.
func (f *fold) begin(ctx context.Context, s *Service) error {
	id, location, err := parseRef(f.o.Ref)
	if err != nil {
		return err
	}
	if f.record, err = s.cfg.Images.Get(ctx, id); err != nil {
		return err
	}
	for _, l := range f.record.Locations {
		if l.ID == location {
			f.location = l
		}
	}
	if f.location.ID == 0 {
		return chunk.ErrNotFound
	}
	f.sums = map[string]hash.Hash{"md5": hashes["md5"](), s.cfg.HashAlgo: hashes[s.cfg.HashAlgo]()}
	if a := f.record.HashAlgo; a != nil && hashes[*a] != nil {
		f.sums[*a] = hashes[*a]()
	}
	for left := f.count; left > 0; left -= chunk.SegmentChunks {
		f.manifest = append(f.manifest, chunk.NewSegment(min(left, chunk.SegmentChunks)))
	}
	return nil
}

func (f *fold) take(b []byte) {
	for _, h := range f.sums {
		h.Write(b)
	}
	seg, i := f.next/chunk.SegmentChunks, f.next%chunk.SegmentChunks
	if chunk.IsZero(b) {
		f.manifest[seg].SetZero(i)
		return
	}
	f.manifest[seg].Set(i, blake3.Sum256(b))
}

// conclude compares the hashes with the record's. Bytes that give them, or of
// which nothing was recorded, are filed under what they are; others are dropped
// and refused from now on.
func (f *fold) conclude(ctx context.Context, s *Service) error {
	if !f.matches() {
		s.stats.mismatched.Add(1)
		s.cfg.Cache.Drop(f.o.Key)
		s.known.forget(f.location.ID)
		s.cfg.Log.Error("the bytes of an image do not give the hash in its record: it is refused from now on", "image", f.record.ID, "location", f.location.ID)
		return s.cfg.Registry.MarkBad(ctx, f.location.ID)
	}
	c := registry.Content{LocationID: f.location.ID, Algo: s.cfg.HashAlgo, Hash: hexSum(f.sums[s.cfg.HashAlgo]), Size: f.o.Size}
	c.Key = string(chunk.ContentKey(c.Algo, c.Hash, c.Size, ""))
	segments := make([][]byte, len(f.manifest))
	for i, seg := range f.manifest {
		segments[i] = seg.Seal()
	}
	if err := s.cfg.Registry.PutContent(ctx, c, segments); err != nil {
		return err
	}
	s.damaged.Delete(c.Key)
	s.stats.learned.Add(1)
	s.known.forget(f.location.ID)
	t, err := s.target(ctx, f.record, f.location)
	if err != nil {
		return err
	}
	if !t.content {
		return errors.New("ops: the content that was filed is not found")
	}
	if t.object.Key != f.o.Key {
		s.cfg.Cache.Promote(f.o.Key, t.object)
	}
	return nil
}

func (f *fold) matches() bool {
	m := f.record
	if m.HashAlgo != nil && m.HashValue != nil && f.sums[*m.HashAlgo] != nil {
		return strings.EqualFold(*m.HashValue, hexSum(f.sums[*m.HashAlgo]))
	}
	return m.Checksum == nil || *m.Checksum == "" || strings.EqualFold(*m.Checksum, hexSum(f.sums["md5"]))
}
