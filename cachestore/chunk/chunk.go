package chunk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// Errors of the byte plane. Callers test them with errors.Is.
var (
	// ErrChanged: the origin no longer holds the bytes that were pinned.
	ErrChanged = errors.New("the origin object has changed")
	// ErrNotFound: there is no such object at the origin.
	ErrNotFound = errors.New("object not found")
	// ErrCorrupt: bytes did not match their digest and no good copy was found.
	ErrCorrupt = errors.New("chunk failed verification")
	// ErrMended: some of the bytes that were given of a chunk are wrong, and the right
	// ones are there by now. It is an ErrCorrupt for who can't take them back.
	ErrMended = fmt.Errorf("%w, and has been filled anew since", ErrCorrupt)
	// ErrUnavailable: the bytes can't be had now, another try may succeed.
	ErrUnavailable = errors.New("bytes not available now")
	// ErrUnresolved: where the object comes from can't be found out here.
	ErrUnresolved = errors.New("the object's origin can't be found out")
	// ErrNotResident: what was asked for only if it is there is not there.
	ErrNotResident = errors.New("not resident")
	// ErrRange: the range asked for lies outside the object.
	ErrRange = errors.New("range outside the object")
)

// Digest is the BLAKE3-256 digest of a chunk's bytes.
type Digest [32]byte

// Object is what a Source needs to know of the bytes it is asked for.
type Object struct {
	Key       Key
	Size      int64  // bytes; -1: unknown
	Validator string // what pins the origin's bytes: ETag, version id, mtime and size; "" where the origin has none
	Ref       string // opaque image id + location row id, no secret: lets an owner find the origin through its own registry
	// MemoryOnly keeps the object out of the disk tier: its origin is a folder of
	// this very node, and a second copy on the same disk gains nothing.
	MemoryOnly bool
	// Zone is where the nodes are that read the origin; "": any that is not an edge.
	// As MemoryOnly it is said by the stores of the node that holds the object.
	Zone string
	// Node is the only one that reads the origin, a folder of its own; "": any of
	// Zone. The registry says so to each node.
	Node string
	// Former is the key under which the bytes may lie elsewhere yet: theirs before
	// they were hashed. "" where there was none.
	Former Key
}

// Piece is a run of bytes within one chunk.
type Piece struct {
	Index  int    // of the chunk
	Off    int64  // of Data's first byte in the object
	Zero   bool   // all bytes are zero: Data is nil and Len says how many
	Len    int64  // bytes in the piece
	Digest Digest // of the whole chunk, all zero where it is not known yet
	Data   []byte // valid until the next call of Next or Close
}

// Stream gives pieces in order. A stream that ends early returns an error other
// than io.EOF; io.EOF comes only after every byte that was asked for. Next is
// called by one goroutine at a time; Close may be called at any time, more than
// once, and ends a Next that is waiting.
type Stream interface {
	Next() (Piece, error)
	Close() error
}

// Given is a Stream that can say which node gave the piece that came last.
type Given interface{ By() Giver }

// Giver is a node as others name it. Without an id it is this node, or an origin.
type Giver struct{ ID, Name string }

// GivenBy returns who gave the piece that came last, as far as the stream can say.
func GivenBy(s Stream) Giver {
	if g, ok := s.(Given); ok {
		return g.By()
	}
	return Giver{}
}

// Source is any place bytes come from: a level of the cache, the cluster, an
// origin. OpenRange asks for n bytes from off; n is -1 for all that follow. The
// caller closes the stream. ctx bounds the whole stream, not only the call.
type Source interface {
	OpenRange(ctx context.Context, o Object, off, n int64) (Stream, error)
}

// Body is a range of an object on its way to a client. WriteTo sends it all and
// is the fast path; Read is for small consumers. Both return an error when the
// range could not be completed right: the response must then be cut, never ended
// cleanly. Used by one goroutine; Close may be called from any, and ends a wait.
type Body interface {
	io.Reader
	io.WriterTo
	io.Closer
}

// Buffer is room for one chunk out of the node's fixed budget, on loan.
type Buffer interface {
	Bytes() []byte // of a chunk's full length
	Release()      // gives it back; the bytes must not be touched afterwards
}

// Writer takes the chunks of one upload into a cache. Nothing can be read before
// Publish. One goroutine at a time.
type Writer interface {
	// Buffers waits, in order of asking, until n buffers of the upload quota are
	// free, and takes them all at once.
	Buffers(ctx context.Context, n int) ([]Buffer, error)
	// Keep hands the chunk's buffer to the cache, n bytes of it; the caller must
	// not touch or release it again. It never waits for a disk and may decline to
	// keep the bytes: a slow cache never slows an upload. A chunk of zeros is kept
	// as a mark alone.
	Keep(index int, b Buffer, n int, d Digest, zero bool)
	// Publish makes what was kept readable under o's key: called once, after the
	// registry has acknowledged the upload.
	Publish(o Object)
	// Cancel forgets what was kept. It does nothing after Publish.
	Cancel()
}

// IsZero says whether every byte of b is zero.
func IsZero(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	// A slice equal to itself shifted by one holds one value throughout; the
	// comparison runs at the speed of memory.
	return b[0] == 0 && bytes.Equal(b[:len(b)-1], b[1:])
}
