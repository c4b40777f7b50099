package cachestore

import (
	"context"

	"lukechampine.com/blake3"

	"glimpse/cachestore/chunk"
)

// Check reads what is here of a chunk, in memory and on disk, and puts aside what is
// not right any more. It is for who hears that the chunk came wrong from here: that
// alone is believed of nobody.
func (l *Level) Check(ctx context.Context, o chunk.Object, index int) {
	s := l.s
	if index < 0 || index >= s.geo.Count(o.Size) || !s.enter() {
		return
	}
	defer s.leave()
	k := s.name(o, index)
	s.checkMemory(k)
	if s.disk == nil {
		return
	}
	for _, key := range s.onDiskAs(k.key) {
		s.checkDisk(ctx, o, k, key)
	}
}

// isRight says whether d is the digest of a chunk that had this one when it came.
func (s *Store) isRight(k id, d, came chunk.Digest) bool {
	if want, _, known, _ := s.ledger.expected(k); known {
		return d == want
	}
	_, _, said := chunk.Segment(came[:]).At(0)
	return !said || d == came
}

func (s *Store) checkMemory(k id) {
	e := s.mem.pin(k)
	if e == nil {
		return
	}
	defer s.mem.unpin(e)
	if s.isRight(k, digest(e.bytes()), e.digest) {
		return
	}
	s.mem.remove(k)
	s.stats.verifyFailed(tierMemory)
	s.log.Error("a chunk in memory is bad and was given up", "key", k.key, "index", k.index)
}

// checkDisk is checkMemory for what the disk has as a chunk of key.
func (s *Store) checkDisk(ctx context.Context, o chunk.Object, k id, key chunk.Key) {
	if _, _, zero, ok := s.disk.t.Has(key, k.index); !ok || zero {
		return
	}
	d, err := s.disk.t.Read(ctx, key, k.index)
	if err == nil {
		err = s.whole(o, k, d)
		_ = d.Close() // it was only read
	}
	if err != nil && ctx.Err() == nil {
		s.badOnDisk(id{key, k.index}, err)
	}
}

// whole reads all of a chunk on disk, also where it has been verified before.
func (s *Store) whole(o chunk.Object, k id, d diskChunk) error {
	if !s.fits(o, k, d) {
		return chunk.ErrCorrupt
	}
	h, buf := blake3.New(32, nil), make([]byte, blockBytes)
	for off := 0; off < d.Len(); {
		b, err := d.Block(buf, off)
		if err != nil {
			return err
		}
		_, _ = h.Write(b) // never fails
		off += len(b)
	}
	if !s.isRight(k, chunk.Digest(h.Sum(nil)), d.Digest()) {
		return chunk.ErrCorrupt
	}
	return nil
}
