package ops

import (
	"context"
	"strings"

	"glimpse/cachestore/chunk"
	"glimpse/registry/image"
)

// proof compares all bytes of an image, written to it in order, with what is
// known of them: the digests of its manifest, and the hash in its record.
type proof struct {
	*tally
	s          *Service
	t          target
	algo, want string // of the record; "": it has no hash that can be computed
}

func (s *Service) newProof(m image.Image, t target) *proof {
	p := &proof{s: s, t: t}
	switch {
	case m.HashAlgo != nil && m.HashValue != nil && hashes[*m.HashAlgo] != nil:
		p.algo, p.want = *m.HashAlgo, *m.HashValue
	case m.Checksum != nil && *m.Checksum != "":
		p.algo, p.want = "md5", *m.Checksum
	}
	p.tally = newTally(s.cfg.Geometry, s.cfg.Geometry.Count(t.object.Size), p.algo)
	return p
}

// conclude says what the bytes have shown; its error is the registry's.
func (p *proof) conclude(ctx context.Context) (Verdict, error) {
	p.end()
	v := Verdict{Bytes: p.size, HashDiffers: p.algo != "" && !strings.EqualFold(p.want, p.sum(p.algo))}
	known := 0
	if p.t.content {
		count := p.s.cfg.Geometry.Count(p.t.object.Size)
		for seg, got := range p.manifest {
			want, err := p.s.Segment(ctx, p.t.object.Key, seg, count)
			if err != nil {
				return v, err
			}
			k, bad := differences(got, want)
			known += k
			for _, i := range bad {
				v.Bad = append(v.Bad, seg*chunk.SegmentChunks+i)
			}
		}
	}
	v.Unproven = p.algo == "" && known < p.s.cfg.Geometry.Count(p.t.object.Size)
	return v, nil
}

// differences compares two runs of a manifest where both are known.
func differences(got, want chunk.Segment) (known int, bad []int) {
	for i := range min(got.Chunks(), want.Chunks()) {
		g, _, ok := got.At(i)
		w, _, ok2 := want.At(i)
		if !ok || !ok2 {
			continue
		}
		known++
		if g != w {
			bad = append(bad, i)
		}
	}
	return known, bad
}
