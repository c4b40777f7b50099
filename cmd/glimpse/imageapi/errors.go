package imageapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
)

// Code says what kind of failure it was; a process ends with it.
type Code int

// The codes. They are told of in the README, and scripts rely on them.
const (
	Failed      Code = 1 // on this machine: a file, a disk
	Usage       Code = 2 // what was asked for makes no sense
	NotFound    Code = 3 // no such image, or it has no data
	NotAllowed  Code = 4 // who asks may not, or is not known
	Wrong       Code = 5 // the bytes are not the image's
	Unreachable Code = 6 // nobody answers, or not in time
	Interrupted Code = 130
)

// Error is a failure with its code.
type Error struct {
	Code Code
	Msg  string
	Err  error // may be nil
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Msg
	}
	return e.Msg + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// ExitCode is the code.
func (e *Error) ExitCode() int { return int(e.Code) }

// Errorf makes an error without a cause.
func Errorf(c Code, format string, args ...any) error {
	return &Error{Code: c, Msg: fmt.Sprintf(format, args...)}
}

// Wrap gives a cause a code, unless it has one.
func Wrap(c Code, err error, msg string) error {
	if CodeOf(err) != 0 {
		return err
	}
	return &Error{Code: c, Msg: msg, Err: err}
}

// CodeOf returns the code of an error; 0: it has none.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// unreachable tells of a request that got no answer. The URL is left out: it may
// be long, and the host is in most causes.
func unreachable(host string, err error) error {
	return Wrap(Unreachable, err, host+" does not answer")
}

// refused turns an answer that is not what was asked for into an error, and closes
// its body.
func refused(r *http.Response) error {
	defer r.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(r.Body, 8<<10)) // what is missing is only said worse
	msg := fmt.Sprintf("%s answers %s", r.Request.URL.Host, r.Status)
	if text := plainText(b); text != "" {
		msg += ": " + text
	}
	if redirects(r.StatusCode) {
		msg += "; redirects are not followed: the endpoint has to be the one they lead to"
	}
	return &Error{Code: codeOf(r.StatusCode), Msg: msg}
}

func redirects(status int) bool { return status >= 300 && status < 400 }

func codeOf(status int) Code {
	switch {
	case redirects(status):
		return Usage
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return NotAllowed
	case status == http.StatusNotFound || status == http.StatusGone || status == http.StatusNoContent || status < 400:
		return NotFound
	case status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests:
		return Unreachable
	case status == http.StatusRequestedRangeNotSatisfiable: // of a range that lies in the image
		return Wrong
	}
	return Failed
}

var tags = regexp.MustCompile(`<head>(?s:.*?)</head>|<h1>(?s:.*?)</h1>|<[^>]*>`)

// plainText is what an answer says, without its markup and on one line.
func plainText(b []byte) string {
	s := strings.ToValidUTF8(tags.ReplaceAllString(string(b), " "), "?")
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "..."
	}
	return s
}
