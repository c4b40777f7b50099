package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"glimpse/cachestore/chunk"
)

// Type is what a frame is.
type Type uint8

// The types. From Skippable on a frame may be passed over.
const (
	Opened Type = iota + 1
	Piece
	Zero
	Waiting
	End
	Error
	Answer
	Skippable Type = 0x80
)

const (
	// GroupBytes is the most data in one frame, and so the unit of checking.
	GroupBytes  = 64 << 10
	headerBytes = 12
	// maxHead leaves room to grow: a piece's head has 48 bytes.
	maxHead   = 512
	pieceHead = 16
	// FrameBytes is the most room that a frame takes.
	FrameBytes = headerBytes + maxHead + GroupBytes
)

// What is wrong with what came.
var (
	// ErrGarbage: bytes that are no frame, or not one that belongs there.
	ErrGarbage = errors.New("bytes that make no sense")
	// ErrSum: a frame that was damaged on its way.
	ErrSum = fmt.Errorf("%w: wrong checksum", ErrGarbage)
)

func garbage(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrGarbage}, args...)...)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// hasDigest is a flag of a piece, as packed is. Others are for later versions to use
// towards who has offered to take them.
const hasDigest = 1

// Append appends a frame other than a piece.
func Append(b []byte, t Type, head, data []byte) []byte {
	return appendFrame(b, t, 0, head, data)
}

// AppendPiece appends one frame with as much of p as fits and returns the rest.
// A mark of zeros fits whole.
func AppendPiece(b []byte, p chunk.Piece) (_ []byte, rest chunk.Piece) {
	var head [pieceHead + len(chunk.Digest{})]byte
	now := p
	t := Zero
	if !p.Zero {
		t = Piece
		now.Len = min(p.Len, GroupBytes)
		now.Data = p.Data[:now.Len]
		rest = p
		rest.Off, rest.Len, rest.Data = p.Off+now.Len, p.Len-now.Len, p.Data[now.Len:]
	}
	binary.LittleEndian.PutUint64(head[0:], uint64(now.Off))
	binary.LittleEndian.PutUint32(head[8:], uint32(now.Index))
	binary.LittleEndian.PutUint32(head[12:], uint32(now.Len))
	if p.Digest == (chunk.Digest{}) {
		return appendFrame(b, t, 0, head[:pieceHead], now.Data), rest
	}
	copy(head[pieceHead:], p.Digest[:])
	return appendFrame(b, t, hasDigest, head[:], now.Data), rest
}

func appendFrame(b []byte, t Type, flags uint8, head, data []byte) []byte {
	at := len(b)
	b = append(b, byte(t), flags)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(head)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	b = append(b, 0, 0, 0, 0)
	b = append(b, head...)
	b = append(b, data...)
	binary.LittleEndian.PutUint32(b[at+8:], sum(b[at:]))
	return b
}

// sum is the checksum of a whole frame.
func sum(f []byte) uint32 {
	return crc32.Update(crc32.Checksum(f[:8], castagnoli), castagnoli, f[headerBytes:])
}

// Frame is one frame as it was read.
type Frame struct {
	Type  Type
	flags uint8
	head  []byte
	data  []byte
}

// Read reads one frame into buf, which has FrameBytes; the frame is valid as long
// as buf is. io.EOF comes only where a frame would begin.
func Read(r io.Reader, buf []byte) (Frame, error) {
	if _, err := io.ReadFull(r, buf[:headerBytes]); err != nil {
		return Frame{}, err
	}
	head := int(binary.LittleEndian.Uint16(buf[2:]))
	data := int64(binary.LittleEndian.Uint32(buf[4:]))
	if head > maxHead || data > GroupBytes {
		return Frame{}, garbage("a frame of %d + %d bytes", head, data)
	}
	f := buf[:headerBytes+head+int(data)]
	if _, err := io.ReadFull(r, f[headerBytes:]); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Frame{}, err
	}
	if sum(f) != binary.LittleEndian.Uint32(f[8:]) {
		return Frame{}, ErrSum
	}
	return Frame{Type: Type(f[0]), flags: f[1], head: f[headerBytes : headerBytes+head], data: f[headerBytes+head:]}, nil
}

// Data returns what an answer holds, valid as long as the frame.
func (f Frame) Data() []byte { return f.data }

// Piece returns what a frame of that type, or of zeros, says. Its bytes are valid
// as long as the frame.
func (f Frame) Piece() (chunk.Piece, error) {
	if f.flags&^hasDigest != 0 {
		return chunk.Piece{}, garbage("a piece in a form that was not asked for")
	}
	if len(f.head) < pieceHead {
		return chunk.Piece{}, garbage("a piece with a head of %d bytes", len(f.head))
	}
	off := binary.LittleEndian.Uint64(f.head)
	if off > 1<<62 {
		return chunk.Piece{}, garbage("a piece at %d", off)
	}
	p := chunk.Piece{
		Off:   int64(off),
		Index: int(binary.LittleEndian.Uint32(f.head[8:])),
		Len:   int64(binary.LittleEndian.Uint32(f.head[12:])),
		Zero:  f.Type == Zero,
	}
	if !p.Zero {
		p.Data = f.data
	}
	if p.Len == 0 || !p.Zero && p.Len != int64(len(f.data)) || p.Zero && len(f.data) > 0 {
		return chunk.Piece{}, garbage("a piece of %d bytes with %d", p.Len, len(f.data))
	}
	if f.flags&hasDigest != 0 {
		if len(f.head) < pieceHead+len(p.Digest) {
			return chunk.Piece{}, garbage("a digest cut short")
		}
		copy(p.Digest[:], f.head[pieceHead:])
	}
	return p, nil
}

// Track follows the pieces of one answer: they must be those that were asked for.
type Track struct {
	Pos, End int64 // of what is still to come
	Chunk    int64 // bytes in a chunk
	open     bool
}

// NewTrack follows the answer to an ask.
func NewTrack(a Ask) Track {
	if a.N < 0 {
		return Track{Pos: a.Off, End: math.MaxInt64, Chunk: a.Geometry.Chunk, open: true}
	}
	return Track{Pos: a.Off, End: a.Off + a.N, Chunk: a.Geometry.Chunk}
}

// Take accepts the next piece.
func (t *Track) Take(p chunk.Piece) error {
	switch {
	case p.Len <= 0 || !p.Zero && p.Len != int64(len(p.Data)):
		return garbage("a piece of %d bytes with %d", p.Len, len(p.Data))
	case p.Off != t.Pos:
		return garbage("a piece at %d, and %d comes next", p.Off, t.Pos)
	case int64(p.Index) != p.Off/t.Chunk || (p.Off+p.Len-1)/t.Chunk != p.Off/t.Chunk:
		return garbage("%d bytes at %d of chunk %d", p.Len, p.Off, p.Index)
	case p.Len > t.End-p.Off:
		return garbage("%d bytes at %d, and %d was the end", p.Len, p.Off, t.End)
	}
	t.Pos += p.Len
	return nil
}

// Done says whether an answer may end here.
func (t *Track) Done() error {
	if t.Pos != t.End && !t.open {
		return garbage("an end at %d, and %d was the end", t.Pos, t.End)
	}
	return nil
}
