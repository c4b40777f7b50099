package imageapi

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
	"net/http"
)

// Manifest is what an image's bytes are, chunk by chunk.
type Manifest struct {
	Size    int64 // of the image
	Chunk   int64 // bytes in each chunk but the last
	Digests []Digest
}

// Digest is the BLAKE3-256 digest of a chunk; all zero marks a chunk of zeros.
type Digest [32]byte

// Zero says whether a chunk is of zeros.
func (m *Manifest) Zero(i int) bool { return m.Digests[i] == Digest{} }

// Span returns where a chunk lies.
func (m *Manifest) Span(i int) (off, n int64) {
	off = int64(i) * m.Chunk
	return off, min(m.Chunk, m.Size-off)
}

const (
	manifestType = "application/vnd.glimpse.manifest"
	manifestHead = 24
	minChunk     = 4 << 10
	maxChunk     = 64 << 20
	maxCount     = 1 << 22 // 16 TiB of the usual chunks, 128 MiB of digests
)

// Manifest asks for an image's. It is nil where the server has none for the image,
// or is no Glimpse at all.
func (s *Session) Manifest(ctx context.Context, id string, size int64) (*Manifest, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	resp, err := s.do(ctx, request{method: "GET", base: s.Endpoint, path: "/glimpse/v1/images/" + id + "/manifest"})
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != manifestType {
		err := refused(resp)
		if c := codeOf(resp.StatusCode); c == NotAllowed || c == Unreachable {
			return nil, err
		}
		return nil, nil
	}
	defer resp.Body.Close()
	m, err := readManifest(resp.Body, size)
	if err != nil {
		return nil, Wrap(Unreachable, err, "the image's manifest can't be read")
	}
	return m, nil
}

// readManifest reads the form that package ops describes. size is the image's, by
// its record.
func readManifest(r io.Reader, size int64) (*Manifest, error) {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	r = bufio.NewReader(r)
	in := io.TeeReader(r, sum)
	var head [manifestHead]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, err
	}
	if string(head[:8]) != "GLIMPSE\x01" {
		return nil, errors.New("it is of a version that is not known here")
	}
	m := &Manifest{Size: int64(binary.BigEndian.Uint64(head[8:])), Chunk: int64(binary.BigEndian.Uint32(head[16:]))}
	count := int64(binary.BigEndian.Uint32(head[20:]))
	switch {
	case m.Size != size:
		return nil, fmt.Errorf("it tells of %d bytes, the record of %d", m.Size, size)
	case m.Chunk < minChunk || m.Chunk > maxChunk || bits.OnesCount64(uint64(m.Chunk)) != 1 || count > maxCount || count != (size+m.Chunk-1)/m.Chunk:
		return nil, fmt.Errorf("%d chunks of %d bytes make no sense", count, m.Chunk)
	}
	m.Digests = make([]Digest, 0, min(count, 1<<14)) // more as they come
	for range count {
		var d Digest
		if _, err := io.ReadFull(in, d[:]); err != nil {
			return nil, err
		}
		m.Digests = append(m.Digests, d)
	}
	want := sum.Sum32()
	var end [4]byte
	if _, err := io.ReadFull(r, end[:]); err != nil {
		return nil, err
	}
	if binary.BigEndian.Uint32(end[:]) != want {
		return nil, errors.New("its checksum is another")
	}
	return m, nil
}
