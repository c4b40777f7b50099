package wire

import (
	"bytes"
	"errors"
	"fmt"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
)

// The kinds of errors that cross. Their numbers never change.
const (
	kindUnavailable = iota + 1
	kindCannot
	kindNotResident
	kindOther // with the id of the node to ask; what a later version adds begins with a 0
	kindChanged
	kindNotFound
	kindCorrupt
	kindRange
	kindMended
)

var kinds = []struct {
	kind byte
	err  error
}{
	{kindCannot, cluster.ErrCannot},
	{kindNotResident, cluster.ErrNotResident},
	{kindChanged, chunk.ErrChanged},
	{kindNotFound, chunk.ErrNotFound},
	{kindMended, chunk.ErrMended}, // before what it is one of
	{kindCorrupt, chunk.ErrCorrupt},
	{kindRange, chunk.ErrRange},
}

var errPeer = fmt.Errorf("the peer can't serve it: %w", chunk.ErrUnavailable)

// maxID bounds a node's id, bytes.
const maxID = 64

// EncodeError returns what an error frame has for its head. All that is not of a
// kind, and so also that a third node does not answer, is "not available now".
func EncodeError(err error) []byte {
	var other *cluster.AskOther
	if errors.As(err, &other) && other.ID != "" && len(other.ID) <= maxID {
		return append([]byte{kindOther}, other.ID...)
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return []byte{k.kind}
		}
	}
	return []byte{kindUnavailable}
}

// Err returns the error that an error frame stands for.
func (f Frame) Err() error { return DecodeError(f.head) }

// DecodeError is the opposite of EncodeError. A kind that is not known yet is "not
// available now".
func DecodeError(b []byte) error {
	if len(b) == 0 {
		return garbage("an error without a kind")
	}
	if b[0] == kindOther {
		id, _, _ := bytes.Cut(b[1:], []byte{0})
		if len(id) == 0 || len(id) > maxID {
			return garbage("another node's id of %d bytes", len(id))
		}
		return &cluster.AskOther{ID: string(id)}
	}
	for _, k := range kinds {
		if k.kind == b[0] {
			return k.err
		}
	}
	return errPeer
}
