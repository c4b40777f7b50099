package rumor

import (
	"encoding/binary"
	"errors"
	"fmt"

	"glimpse/cluster"
)

// version is what this version writes. In all versions a message begins with it
// and an id, so that each can tell on what it does not understand.
//
//	version 1 byte, origin 8, number 8
//	kind: a length and its bytes; the body is the rest
const version = 1

const (
	maxKind    = 32
	idLen      = 1 + 8 + 8
	maxMessage = idLen + 1 + maxKind + cluster.MaxRumor
	// maxState bounds what is exchanged when two nodes compare all they know:
	// messages, each behind a length of 2 bytes.
	maxState = 32 << 10
)

var errMessage = errors.New("not a rumour")

type id struct {
	origin uint64
	number uint64
}

// encode refuses what is too large for a packet.
func encode(i id, r cluster.Rumor) ([]byte, error) {
	if r.Kind == "" || len(r.Kind) > maxKind || len(r.Body) > cluster.MaxRumor {
		return nil, fmt.Errorf("a rumour of kind %.40q with %d bytes: a kind has 1 to %d bytes, a body at most %d", r.Kind, len(r.Body), maxKind, cluster.MaxRumor)
	}
	b := append(make([]byte, 0, idLen+1+len(r.Kind)+len(r.Body)), version)
	b = binary.BigEndian.AppendUint64(b, i.origin)
	b = binary.BigEndian.AppendUint64(b, i.number)
	b = append(append(b, byte(len(r.Kind))), r.Kind...)
	return append(b, r.Body...), nil
}

// decode returns no kind for a message of a later version. The body is b's.
func decode(b []byte) (id, cluster.Rumor, error) {
	if len(b) < idLen || len(b) > maxMessage || b[0] == 0 {
		return id{}, cluster.Rumor{}, errMessage
	}
	i := id{binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:])}
	if b[0] > version {
		return i, cluster.Rumor{}, nil
	}
	if len(b) == idLen {
		return id{}, cluster.Rumor{}, errMessage
	}
	n, rest := int(b[idLen]), b[idLen+1:]
	if n == 0 || n > maxKind || n > len(rest) || len(rest)-n > cluster.MaxRumor {
		return id{}, cluster.Rumor{}, errMessage
	}
	return i, cluster.Rumor{Kind: string(rest[:n]), Body: rest[n:]}, nil
}
