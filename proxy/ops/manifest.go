package ops

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"glimpse/cachestore/chunk"
	"glimpse/registry/image"
)

// A manifest as clients are given it, all numbers big-endian:
//
//	8 bytes      "GLIMPSE\x01", the last one the version
//	8            the image's size
//	4            the size of a chunk
//	4            how many chunks there are
//	32 each      their BLAKE3-256 digests in order; all zero: a chunk of zeros
//	4            crc32c of all before
const (
	manifestMagic = "GLIMPSE\x01"
	manifestHead  = 24
	manifestEnd   = 4
)

// Manifest returns the digests of all chunks in the form above, and its length.
// NotFound where they are not known (yet): of an image that Glimpse has not
// hashed. One that turns out to be damaged further on ends early, with an error.
func (d Data) Manifest(ctx context.Context) (chunk.Body, int64, error) {
	count := d.s.cfg.Geometry.Count(d.Size)
	b := &manifestBody{d: d, ctx: ctx, count: count, crc: crc32.New(crc32.MakeTable(crc32.Castagnoli))}
	b.next = append(b.next, manifestMagic...)
	b.next = binary.BigEndian.AppendUint64(b.next, uint64(d.Size))
	b.next = binary.BigEndian.AppendUint32(b.next, uint32(d.s.cfg.Geometry.Chunk))
	b.next = binary.BigEndian.AppendUint32(b.next, uint32(count))
	_, _ = b.crc.Write(b.next)
	if count > 0 {
		if !d.t.content {
			return nil, 0, errNoManifest
		}
		switch err := b.load(); {
		case errors.Is(err, chunk.ErrCorrupt):
			return nil, 0, errNoManifest
		case err != nil:
			return nil, 0, err
		}
	}
	return b, manifestHead + int64(count)*int64(len(chunk.Digest{})) + manifestEnd, nil
}

var errNoManifest = image.Errorf(image.NotFound, "The image has no manifest: its chunks have not been hashed yet.")

// manifestBody loads a segment at a time: 64 KiB, whatever the size of the image.
type manifestBody struct {
	d     Data
	ctx   context.Context
	count int
	seg   int // the next to load
	crc   interface {
		io.Writer
		Sum32() uint32
	}
	next []byte // not yet read
	sum  bool   // the checksum is in next, or read
}

// load appends a segment.
func (b *manifestBody) load() error {
	s, err := b.d.s.Segment(b.ctx, b.d.t.object.Key, b.seg, b.count)
	if err != nil {
		return kindedSegment(err)
	}
	if s == nil || !s.Complete() {
		return errNoManifest
	}
	_, _ = b.crc.Write(s)
	b.next = append(b.next, s...)
	b.seg++
	return nil
}

// kindedSegment leaves a damaged segment to be told from a registry that is away.
func kindedSegment(err error) error {
	if errors.Is(err, chunk.ErrCorrupt) {
		return err
	}
	return kinded(err)
}

func (b *manifestBody) Read(p []byte) (int, error) {
	if len(b.next) == 0 {
		switch {
		case b.seg*chunk.SegmentChunks < b.count:
			b.next = b.next[:0]
			if err := b.load(); err != nil {
				return 0, err
			}
		case !b.sum:
			b.next, b.sum = binary.BigEndian.AppendUint32(nil, b.crc.Sum32()), true
		default:
			return 0, io.EOF
		}
	}
	n := copy(p, b.next)
	b.next = b.next[n:]
	return n, nil
}

func (b *manifestBody) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{b})
}

func (*manifestBody) Close() error { return nil }
