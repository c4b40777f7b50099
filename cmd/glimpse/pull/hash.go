package pull

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"strings"

	"glimpse/cmd/glimpse/imageapi"
)

var hashes = map[string]func() hash.Hash{"md5": md5.New, "sha1": sha1.New, "sha224": sha256.New224, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New}

var errHash = errors.New("the hash is another")

// proof compares all bytes with the hash in the image's record.
type proof struct {
	hash.Hash // nil: the record has none that is known here
	algo      string
	want      string
}

func newProof(m imageapi.Image) *proof {
	if m.HashAlgo != nil && m.HashValue != nil && *m.HashValue != "" && hashes[*m.HashAlgo] != nil {
		return &proof{hashes[*m.HashAlgo](), *m.HashAlgo, *m.HashValue}
	}
	if m.Checksum != nil && *m.Checksum != "" {
		return &proof{md5.New(), "md5", *m.Checksum}
	}
	return &proof{}
}

func (p *proof) Write(b []byte) (int, error) {
	if p.Hash != nil {
		p.Hash.Write(b)
	}
	return len(b), nil
}

// conclude returns what was compared with.
func (p *proof) conclude() (string, error) {
	if p.Hash == nil {
		return "", nil
	}
	if got := hex.EncodeToString(p.Sum(nil)); !strings.EqualFold(got, p.want) {
		return "", &imageapi.Error{Code: imageapi.Wrong, Msg: "the bytes do not give the " + p.algo + " in the image's record", Err: errHash}
	}
	return p.algo, nil
}

// hash follows the chunks in order as they are written, and reads them from the
// file.
func (k *chunkwise) hash(ctx context.Context) (string, error) {
	p := newProof(k.Image)
	if p.Hash == nil {
		return "", nil
	}
	m := k.Manifest
	buf, zeros := make([]byte, m.Chunk), make([]byte, m.Chunk)
	for i := range m.Digests {
		if err := k.board.await(ctx, i); err != nil {
			return "", err
		}
		off, n := m.Span(i)
		if m.Zero(i) { // missing has seen to it
			p.Write(zeros[:n])
			continue
		}
		if _, err := k.part.f.ReadAt(buf[:n], off); err != nil {
			return "", err
		}
		p.Write(buf[:n])
	}
	return p.conclude()
}
