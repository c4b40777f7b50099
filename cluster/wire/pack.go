package wire

import (
	"encoding/binary"

	"github.com/klauspost/compress/s2"

	"glimpse/cachestore/chunk"
)

// packed marks a piece whose bytes are one block of s2. It is sent only to who has
// offered to take it (Ask.Packed), and that is done only between zones.
//
// Of s2 and zstd, measured on groups of 64 KiB of programs and of Python's
// packages, zstd leaves a seventh to a fifth less, and takes up to eight times as
// long: a fast link would wait for it. What can't be packed costs either next to
// nothing.
const packed = 2

// pays: at least an eighth is saved.
func pays(n, of int) bool { return n <= of-of/8 }

// Packer appends the pieces of one answer, packed where that pays: of each chunk
// the first group is tried, and says whether the others are. The zero value packs
// nothing.
type Packer struct {
	On    bool
	index int // of the chunk that was tried
	tried bool
	use   bool
	room  []byte
	Saved int64 // bytes that were not sent
}

// Append is AppendPiece.
func (k *Packer) Append(b []byte, p chunk.Piece) ([]byte, chunk.Piece) {
	if !k.On || p.Zero {
		return AppendPiece(b, p)
	}
	if !k.tried || k.index != p.Index {
		k.tried, k.index, k.use = true, p.Index, true
	}
	if !k.use {
		return AppendPiece(b, p)
	}
	now := p.Data[:min(len(p.Data), GroupBytes)]
	if k.room == nil {
		k.room = make([]byte, s2.MaxEncodedLen(GroupBytes))
	}
	small := s2.Encode(k.room, now)
	if k.use = pays(len(small), len(now)); !k.use {
		return AppendPiece(b, p)
	}
	k.Saved += int64(len(now) - len(small))
	at := len(b)
	short := p
	short.Len, short.Data = int64(len(small)), small
	b, _ = AppendPiece(b, short)
	rest := p
	n := int64(len(now))
	rest.Off, rest.Len, rest.Data = p.Off+n, p.Len-n, p.Data[n:]
	// The frame's head says how many bytes these are unpacked.
	b[at+1] |= packed
	binary.LittleEndian.PutUint32(b[at+headerBytes+12:], uint32(n))
	binary.LittleEndian.PutUint32(b[at+8:], sum(b[at:]))
	return b, rest
}

// Packed says whether a frame must be unpacked.
func (f Frame) Packed() bool { return f.Type == Piece && f.flags&packed != 0 }

// Unpack returns the piece of a packed frame. Its bytes lie in room, which has
// GroupBytes: what claims to be more is refused before anything is unpacked.
func (f Frame) Unpack(room []byte) (chunk.Piece, error) {
	if len(f.head) < pieceHead {
		return chunk.Piece{}, garbage("a piece with a head of %d bytes", len(f.head))
	}
	want := binary.LittleEndian.Uint32(f.head[12:])
	n, err := s2.DecodedLen(f.data)
	if err != nil || n > GroupBytes || uint32(n) != want {
		return chunk.Piece{}, garbage("%d packed bytes that are not %d", len(f.data), want)
	}
	data, err := s2.Decode(room[:GroupBytes], f.data)
	if err != nil || len(data) != n {
		return chunk.Piece{}, garbage("packed bytes: %v", err)
	}
	f.flags &^= packed
	f.data = data
	return f.Piece()
}
