package imageapi

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"strings"
)

var hashes = map[string]func() hash.Hash{"md5": md5.New, "sha1": sha1.New, "sha224": sha256.New224, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New}

// ErrHash is the cause where bytes do not give the hash in their record.
var ErrHash = errors.New("the hash is another")

// Proof compares all bytes of an image, written to it in order, with the hash in
// its record.
type Proof struct {
	hash hash.Hash // nil: the record has none that is known here
	Algo string
	Want string
}

// NewProof takes the record's hash, or else its checksum.
func NewProof(m Image) *Proof {
	if m.HashAlgo != nil && m.HashValue != nil && *m.HashValue != "" && hashes[*m.HashAlgo] != nil {
		return &Proof{hashes[*m.HashAlgo](), *m.HashAlgo, *m.HashValue}
	}
	if m.Checksum != nil && *m.Checksum != "" {
		return &Proof{md5.New(), "md5", *m.Checksum}
	}
	return &Proof{}
}

// Idle says that there is nothing to compare with.
func (p *Proof) Idle() bool { return p.hash == nil }

// Write never fails.
func (p *Proof) Write(b []byte) (int, error) {
	if p.hash != nil {
		p.hash.Write(b)
	}
	return len(b), nil
}

// Conclude returns the algorithm of the hash that was compared with; "": none.
func (p *Proof) Conclude() (string, error) {
	if p.hash == nil {
		return "", nil
	}
	return p.Algo, p.Compare(p.hash.Sum(nil))
}

// Compare says whether a sum of the same algorithm is the record's.
func (p *Proof) Compare(sum []byte) error {
	if !strings.EqualFold(hex.EncodeToString(sum), p.Want) {
		return &Error{Code: Wrong, Msg: "the bytes do not give the " + p.Algo + " in the image's record", Err: ErrHash}
	}
	return nil
}
