package ops

import (
	"context"
	"errors"
	"strings"

	"glimpse/cachestore/chunk"
	"glimpse/registry"
	"glimpse/registry/image"
)

// fold is an object on its way through its hashes. Only the learner's goroutine
// touches it, but for the fields under the learner's lock.
type fold struct {
	o        chunk.Object
	count    int
	next     int
	*tally   // nil before begin
	record   image.Image
	location image.Location

	// Under the learner's lock.
	queued bool
	wants  int  // the chunk it waits for
	over   bool // concluded, or given up
}

func newFold(o chunk.Object, g chunk.Geometry) *fold { return &fold{o: o, count: g.Count(o.Size)} }

// advance hashes resident chunks in order and returns the first that is not.
func (f *fold) advance(ctx context.Context, s *Service) (next int, err error) {
	if f.tally == nil {
		if err := f.begin(ctx, s); err != nil {
			return 0, err
		}
	}
	for f.next < f.count && ctx.Err() == nil {
		ok, err := s.cfg.Cache.Peek(ctx, f.o, f.next, func(b []byte) error { _, err := f.Write(b); return err })
		if err != nil || !ok {
			return f.next, err
		}
		f.next++
	}
	if f.next == f.count {
		f.end()
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
	f.start(s)
	return nil
}

// start begins the hashes.
func (f *fold) start(s *Service) {
	algos := []string{"md5", s.cfg.HashAlgo}
	if a := f.record.HashAlgo; a != nil {
		algos = append(algos, *a)
	}
	f.tally = newTally(s.cfg.Geometry, f.count, algos...)
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
	c := registry.Content{LocationID: f.location.ID, Algo: s.cfg.HashAlgo, Hash: f.sum(s.cfg.HashAlgo), Size: f.o.Size}
	c.Key = string(chunk.ContentKey(c.Algo, c.Hash, c.Size, ""))
	if err := s.cfg.Registry.PutContent(ctx, c, f.sealed()); err != nil {
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

// matches says that the bytes give all hashes in the record that are known here:
// a caller may have claimed a checksum beside a hash.
func (f *fold) matches() bool {
	m := f.record
	if m.HashAlgo != nil && m.HashValue != nil && f.sums[*m.HashAlgo] != nil && !strings.EqualFold(*m.HashValue, f.sum(*m.HashAlgo)) {
		return false
	}
	return m.Checksum == nil || *m.Checksum == "" || strings.EqualFold(*m.Checksum, f.sum("md5"))
}
