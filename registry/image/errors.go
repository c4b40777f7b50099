package image

import (
	"errors"
	"fmt"
)

// Kind sorts errors by what the caller can do about them. The HTTP layer has one
// table from Kind to status.
type Kind int

// The kinds. They may travel between nodes: never reorder them.
const (
	Internal        Kind = iota // our fault: nothing of it is shown to users
	Invalid                     // the request is wrong
	Unauthenticated             // who asks is not known
	Forbidden                   // known, but may not
	NotFound                    // not there, or not for the caller to see
	Conflict                    // not in this state
	Gone                        // was there when the request began
	TooLarge                    // over a quota or a size limit
	Unsupported                 // media type, or bytes of another format than declared
	BadRange                    // range not satisfiable
	Unavailable                 // a server behind us is away: try again later
	Timeout                     // the client stopped sending
)

// Error is an error with a kind and a text for the user. Err, the cause, is for
// the log alone.
type Error struct {
	Kind Kind
	Msg  string
	Err  error
}

// Errorf makes an Error of the kind; its text is shown to users. A %w verb keeps
// the cause for errors.Is, and its text becomes part of the message.
func Errorf(k Kind, format string, args ...any) *Error {
	e := fmt.Errorf(format, args...)
	return &Error{Kind: k, Msg: e.Error(), Err: errors.Unwrap(e)}
}

// Wrap gives err a kind and a text of its own for users; err's own text goes to
// the log alone.
func Wrap(k Kind, err error, msg string) *Error { return &Error{Kind: k, Msg: msg, Err: err} }

func (e *Error) Error() string {
	if e.Err == nil || e.Msg == e.Err.Error() {
		return e.Msg
	}
	return e.Msg + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the first Error in err's chain; Internal where
// there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}
