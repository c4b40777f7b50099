package wire

import (
	"encoding/json"
	"fmt"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
)

// The paths of version 1. Below V1 a later one may have more of them, which who does
// not know them answers with 404.
const (
	V1   = "/glimpse/peer/v1/"
	Open = "/glimpse/peer/v1/open"
	Stat = "/glimpse/peer/v1/stat"
	Drop = "/glimpse/peer/v1/drop"
	Ping = "/glimpse/peer/v1/ping"
	// Members exchanges lists of nodes, Link makes of the connection one on which the
	// asker is asked, Via one that leads to another node.
	Members = "/glimpse/peer/v1/members"
	Link    = "/glimpse/peer/v1/link"
	Via     = "/glimpse/peer/v1/via"
)

// MaxBook bounds a list of nodes, bytes.
const MaxBook = 1 << 20

// MaxAsk bounds the body of a request, bytes.
const MaxAsk = 16 << 10

// maxField bounds one text of an ask, maxAddress the asker's address.
const (
	maxField   = 2 << 10
	maxAddress = 256
)

// object is a chunk.Object on its way. Its texts are bytes of any kind, which JSON
// strings are not. MemoryOnly, Zone and Node do not travel: each node finds them out.
type object struct {
	Key       []byte `json:"key"`
	Size      int64  `json:"size"`
	Validator []byte `json:"validator,omitempty"`
	Ref       []byte `json:"ref,omitempty"`
	Former    []byte `json:"former,omitempty"`
}

// Ask is the body of each request; To is the node that is meant.
type Ask struct {
	cluster.Ask
	To     string
	Off, N int64          // of a range within one extent; N is -1 for all of an object of unknown size
	Image  string         // to drop
	After  cluster.Cursor // of a claim
	// Packed says that pieces may be packed.
	Packed bool
	// Through is the node that a connection is to lead to, Book a list of nodes, JSON.
	Through string
	Book    json.RawMessage
}

type ask struct {
	From     string          `json:"from"`
	Peer     string          `json:"peer,omitempty"`
	To       string          `json:"to"`
	Object   object          `json:"object"`
	Chunk    int64           `json:"chunk,omitempty"`
	Extent   int             `json:"extent,omitempty"`
	Level    cluster.Level   `json:"level,omitempty"`
	Resident bool            `json:"resident_only,omitempty"`
	Doubt    bool            `json:"doubt,omitempty"`
	Off      int64           `json:"off,omitempty"`
	N        int64           `json:"n,omitempty"`
	Image    string          `json:"image,omitempty"`
	After    []byte          `json:"after,omitempty"`
	Index    int             `json:"index,omitempty"`
	Packed   bool            `json:"packed,omitempty"`
	Through  string          `json:"through,omitempty"`
	Book     json.RawMessage `json:"book,omitempty"`
}

// Encode returns the ask as a request's body.
func (a Ask) Encode() ([]byte, error) {
	b, err := json.Marshal(ask{
		From: a.From, Peer: a.Peer, To: a.To, Object: out(a.Object), Chunk: a.Geometry.Chunk, Extent: a.Geometry.Extent,
		Level: a.Level, Resident: a.ResidentOnly, Doubt: a.Doubt, Off: a.Off, N: a.N, Image: a.Image,
		After: []byte(a.After.Key), Index: a.After.Index,
		Packed: a.Packed, Through: a.Through, Book: a.Book,
	})
	if err == nil && (len(b) > MaxAsk+len(a.Book) || len(a.Book) > MaxBook) {
		err = fmt.Errorf("an ask of %d bytes, at most %d", len(b), MaxAsk)
	}
	return b, err
}

// Decode reads a request's body. What it says is not checked yet.
func Decode(b []byte) (Ask, error) {
	var a ask
	if err := json.Unmarshal(b, &a); err != nil {
		return Ask{}, garbage("not an ask: %v", err)
	}
	return Ask{
		Ask: cluster.Ask{
			Object: a.Object.in(), Geometry: chunk.Geometry{Chunk: a.Chunk, Extent: a.Extent},
			Level: a.Level, ResidentOnly: a.Resident, Doubt: a.Doubt, From: a.From, Peer: a.Peer,
		},
		To: a.To, Off: a.Off, N: a.N, Image: a.Image, After: cluster.Cursor{Key: chunk.Key(a.After), Index: a.Index},
		Packed: a.Packed, Through: a.Through, Book: a.Book,
	}, nil
}

func out(o chunk.Object) object {
	return object{Key: []byte(o.Key), Size: o.Size, Validator: []byte(o.Validator), Ref: []byte(o.Ref), Former: []byte(o.Former)}
}

func (o object) in() chunk.Object {
	return chunk.Object{Key: chunk.Key(o.Key), Size: o.Size, Validator: string(o.Validator), Ref: string(o.Ref), Former: chunk.Key(o.Former)}
}

// EncodeObject returns the answer to a stat.
func EncodeObject(o chunk.Object) ([]byte, error) { return json.Marshal(out(o)) }

// DecodeObject reads the answer to a stat and checks it.
func DecodeObject(b []byte) (chunk.Object, error) {
	var o object
	if err := json.Unmarshal(b, &o); err != nil {
		return chunk.Object{}, garbage("not an object: %v", err)
	}
	return o.in(), CheckObject(o.in())
}

// CheckObject refuses what no object can be. An upload's key means nothing to
// another process. It may have no key: a steward that is asked to pin an object
// is not told one.
func CheckObject(o chunk.Object) error {
	switch {
	case len(o.Key) > maxField || len(o.Validator) > maxField || len(o.Ref) > maxField || len(o.Former) > maxField:
		return garbage("a text of more than %d bytes", maxField)
	case o.Key.Upload() || o.Former.Upload():
		return garbage("an upload's key")
	case o.Size < -1:
		return garbage("an object of %d bytes", o.Size)
	}
	return nil
}

// ErrGeometry says that two nodes cut objects differently, and can't share any.
var ErrGeometry = fmt.Errorf("nodes with other chunks or extents: %w", chunk.ErrUnavailable)

// CheckOpen refuses an ask that a node with geometry g can't answer. ErrRange: it
// goes beyond the object.
func (a Ask) CheckOpen(g chunk.Geometry) error {
	if err := CheckObject(a.Object); err != nil {
		return err
	}
	extent := g.Chunk * int64(g.Extent)
	switch {
	case a.Object.Key == "":
		return garbage("an ask without a key")
	case a.Geometry != g:
		return ErrGeometry
	case len(a.Peer) > maxAddress:
		return garbage("an address of more than %d bytes", maxAddress)
	case a.Level != cluster.Zone && a.Level != cluster.Home:
		return garbage("level %d", a.Level)
	case a.N == -1 && a.Object.Size == -1 && a.Off >= 0 && a.Off <= 1<<62:
		return nil // all that follow, however many they are
	case a.Off < 0 || a.N <= 0 || a.Off > 1<<62 || a.N > extent || a.Off/extent != (a.Off+a.N-1)/extent:
		return garbage("%d bytes at %d are not of one extent", a.N, a.Off)
	case a.Object.Size >= 0 && a.Off+a.N > a.Object.Size:
		return chunk.ErrRange
	}
	return nil
}
