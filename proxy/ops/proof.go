package ops

import (
	"context"
	"hash"
	"strings"

	"glimpse/cachestore/chunk"
	"glimpse/registry/image"

	"lukechampine.com/blake3"
)

// proof compares all bytes of an image, as they are written to it in order, with
// what is known of them: the digests of its manifest, and the hash in its record.
type proof struct {
	ctx   context.Context
	s     *Service
	t     target
	count int

	sum  hash.Hash // nil: the record has none that we can compute
	want string

	off     int64
	digest  *blake3.Hasher
	data    bool // the chunk has other bytes than zeros
	segment chunk.Segment
	bad     []int
	checked int
}

func (s *Service) newProof(ctx context.Context, m image.Image, t target) *proof {
	p := &proof{ctx: ctx, s: s, t: t, count: s.cfg.Geometry.Count(t.object.Size), digest: blake3.New(len(chunk.Digest{}), nil)}
	switch {
	case m.HashAlgo != nil && m.HashValue != nil && hashes[*m.HashAlgo] != nil:
		p.sum, p.want = hashes[*m.HashAlgo](), *m.HashValue
	case m.Checksum != nil && *m.Checksum != "":
		p.sum, p.want = hashes["md5"](), *m.Checksum
	}
	return p
}

// Write takes the next bytes; its error is the registry's.
func (p *proof) Write(b []byte) (int, error) {
	if p.sum != nil {
		p.sum.Write(b)
	}
	for n := 0; n < len(b); {
		index := p.s.cfg.Geometry.Index(p.off)
		end := p.s.cfg.Geometry.Off(index) + p.s.cfg.Geometry.Len(index, p.t.object.Size)
		piece := b[n:min(len(b), n+int(end-p.off))]
		if len(piece) == 0 {
			return n, chunk.ErrRange // more than the image has
		}
		_, _ = p.digest.Write(piece) // never fails
		p.data = p.data || !chunk.IsZero(piece)
		n, p.off = n+len(piece), p.off+int64(len(piece))
		if p.off == end {
			if err := p.compare(index); err != nil {
				return n, err
			}
		}
	}
	return len(b), nil
}

// compare ends a chunk.
func (p *proof) compare(index int) error {
	var got chunk.Digest
	p.digest.Sum(got[:0])
	zero := !p.data
	p.digest.Reset()
	p.data = false
	if !p.t.content {
		return nil
	}
	if i := index % chunk.SegmentChunks; i == 0 {
		var err error
		if p.segment, err = p.s.Segment(p.ctx, p.t.object.Key, index/chunk.SegmentChunks, p.count); err != nil {
			return err
		}
	}
	if p.segment == nil {
		return nil
	}
	want, wantZero, known := p.segment.At(index % chunk.SegmentChunks)
	if !known {
		return nil
	}
	p.checked++
	if wantZero != zero || !zero && want != got {
		p.bad = append(p.bad, index)
	}
	return nil
}

// hashDiffers says that the bytes do not give the hash in the record.
func (p *proof) hashDiffers() bool {
	return p.sum != nil && !strings.EqualFold(p.want, hexSum(p.sum))
}

// unproven says that nothing was known to compare the bytes with.
func (p *proof) unproven() bool { return p.sum == nil && p.checked < p.count }
