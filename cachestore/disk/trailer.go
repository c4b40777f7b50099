package disk

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"lukechampine.com/blake3"

	"glimpse/cachestore/chunk"
)

const (
	// BlockSize is the run of bytes that one crc covers: what fits a processor's
	// second-level cache, so that a block is checked and sent in one visit.
	BlockSize  = 64 << 10
	magic      = "GLMCHNK1" // its last digit is the version of the format
	footerSize = 8 + 4 + 4 + 4 + 32 + 4
	maxKey     = 1024
)

// trailer follows a chunk's bytes: the crcs of its blocks, its key, and a footer
// of fixed size: magic, length, index, length of the key, digest, and the crc of
// everything before.
type trailer struct {
	key    chunk.Key
	index  int
	length int
	digest chunk.Digest
	crcs   []uint32
}

func blocks(length int) int { return (length + BlockSize - 1) / BlockSize }

func castagnoli(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func blockCRCs(data []byte) []uint32 {
	crcs := make([]uint32, 0, blocks(len(data)))
	for len(data) > 0 {
		n := min(BlockSize, len(data))
		crcs = append(crcs, castagnoli(data[:n]))
		data = data[n:]
	}
	return crcs
}

func (t trailer) encode() []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, 4*len(t.crcs)+len(t.key)+footerSize)
	for _, c := range t.crcs {
		b = le.AppendUint32(b, c)
	}
	b = append(b, t.key...)
	b = append(b, magic...)
	b = le.AppendUint32(b, uint32(t.length))
	b = le.AppendUint32(b, uint32(t.index))
	b = le.AppendUint32(b, uint32(len(t.key)))
	b = append(b, t.digest[:]...)
	return le.AppendUint32(b, castagnoli(b))
}

// parseTrailer reads what follows the first length bytes of a chunk's file.
func parseTrailer(b []byte, length int) (trailer, error) {
	n := 4 * blocks(length)
	if length <= 0 || len(b) < n+footerSize || len(b) > n+maxKey+footerSize {
		return trailer{}, fmt.Errorf("a trailer of %d bytes: %w", len(b), chunk.ErrCorrupt)
	}
	le := binary.LittleEndian
	body, sum := b[:len(b)-4], le.Uint32(b[len(b)-4:])
	f := b[len(b)-footerSize:]
	if string(f[:8]) != magic || castagnoli(body) != sum {
		return trailer{}, fmt.Errorf("not a trailer: %w", chunk.ErrCorrupt)
	}
	key := b[n : len(b)-footerSize]
	if int64(le.Uint32(f[8:])) != int64(length) || int(le.Uint32(f[16:])) != len(key) {
		return trailer{}, fmt.Errorf("a trailer of another length: %w", chunk.ErrCorrupt)
	}
	t := trailer{key: chunk.Key(key), index: int(le.Uint32(f[12:])), length: length, crcs: make([]uint32, n/4)}
	copy(t.digest[:], f[20:52])
	for i := range t.crcs {
		t.crcs[i] = le.Uint32(b[4*i:])
	}
	return t, nil
}

func digestOf(data []byte) chunk.Digest { return blake3.Sum256(data) }
