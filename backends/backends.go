package backends

import (
	"context"
	"errors"
	"io"
	"time"

	"glimpse/cachestore/chunk"
)

// Errors that every driver returns for these cases, wrapped with what it knows.
// None of them may hold a credential or a whole location URL.
var (
	ErrExists      = errors.New("the key is taken")
	ErrFull        = errors.New("the store is full")
	ErrInUse       = errors.New("the object is in use") // as an image that volumes were cloned from
	ErrNotFound    = chunk.ErrNotFound                  // no such object
	ErrChanged     = chunk.ErrChanged                   // the validator no longer fits
	ErrUnavailable = chunk.ErrUnavailable               // the store is away: another try may succeed
)

// Locator is a location URL, in Glance's form for the driver. It may hold
// credentials: its text never reaches logs, errors, metrics or peers.
type Locator string

// String hides the URL.
func (Locator) String() string { return "***" }

// GoString hides the URL from %#v.
func (Locator) GoString() string { return "***" }

// Reveal returns the URL.
func (l Locator) Reveal() string { return string(l) }

// Secret is a password, or what else of a configuration must not be printed.
// Every way of printing it gives "***"; Reveal alone gives the text.
type Secret string

// String hides the text.
func (Secret) String() string { return "***" }

// GoString hides the text from %#v.
func (Secret) GoString() string { return "***" }

// MarshalText hides the text from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// Reveal returns the text.
func (s Secret) Reveal() string { return string(s) }

// Caps are a driver's abilities as data. A call beyond them is
// errors.ErrUnsupported.
type Caps struct {
	ReadOnly    bool  // no Create, no Delete
	Ranged      bool  // Open can start anywhere
	UnknownSize bool  // Create takes size -1
	Validators  bool  // Stat gives a validator and Open checks it
	NoReplace   bool  // Commit can't replace an object that is there
	Pending     bool  // half-done uploads can be listed
	InUse       bool  // Delete can refuse with ErrInUse, and the store is Users
	PartSize    int64 // its Writers are PartWriters whose first part has so many bytes; 0: they are not
}

// Info is what Stat finds.
type Info struct {
	Size      int64  // -1: the store can't tell
	Validator string // "" without the cap
}

// Store is one origin store. It is used by many goroutines at once.
type Store interface {
	Caps() Caps
	// Open reads n bytes from off, -1 for all that follow. With a validator it
	// fails with ErrChanged where the object is no longer the one it was taken
	// from, at Open or in the middle of the reading. A read that ends early
	// returns io.ErrUnexpectedEOF, never io.EOF. The caller closes the reader;
	// ctx bounds all of the reading.
	Open(ctx context.Context, at Locator, validator string, off, n int64) (io.ReadCloser, error)
	// Stat makes no promise about later reads: pass its validator to Open.
	Stat(ctx context.Context, at Locator) (Info, error)
	// Create prepares an object of size bytes, -1 for unknown. The store holds
	// nothing of it before the first Write, and shows nothing under key before
	// Commit. ErrExists comes at Create, at the first Write or at Commit. ctx bounds
	// the Writes too.
	Create(ctx context.Context, key string, size int64) (Writer, error)
	// Delete removes an object; ErrNotFound where it is not there, ErrInUse where
	// something else lives on its bytes.
	Delete(ctx context.Context, at Locator) error
	// Pending calls fn for each half-done upload with the locator that it would have
	// and the time of its last write; fn's error ends the walk.
	Pending(ctx context.Context, fn func(Locator, time.Time) error) error
	// Abort removes the half-done uploads towards a locator, whoever began them:
	// they can't be committed any more. It needs the cap Pending; that there are
	// none is no error.
	Abort(ctx context.Context, at Locator) error
	Close() error
}

// Writer takes an object's bytes in order, from one goroutine.
type Writer interface {
	// Write of no bytes begins the upload, where the store can tell early that it
	// has no room.
	io.Writer
	// Locator is where the object will be once committed.
	Locator() Locator
	// Commit makes the object durable and visible. It fails where the bytes
	// written are not the size announced, and with ErrExists where the key is
	// taken; it never replaces an object.
	Commit(ctx context.Context) (Locator, error)
	// Cancel removes what was written. It touches only this Writer's half-done
	// work and does nothing after Commit.
	Cancel() error
}
