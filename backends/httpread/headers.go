package httpread

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ErrRange says that an answer is not the range that was asked for.
var ErrRange = errors.New("the server sends another range than asked for")

// ContentRange reads the header of that name: where a partial answer begins and
// how long the whole is, -1 if the server does not say.
func ContentRange(header string) (first, size int64, err error) {
	span, ok := strings.CutPrefix(header, "bytes ")
	from, total, ok2 := strings.Cut(span, "/")
	from, _, ok3 := strings.Cut(from, "-")
	if !ok || !ok2 || !ok3 {
		return 0, 0, ErrRange
	}
	if first, err = strconv.ParseInt(from, 10, 64); err != nil || first < 0 {
		return 0, 0, ErrRange
	}
	if total == "*" {
		return first, -1, nil
	}
	if size, err = strconv.ParseInt(total, 10, 64); err != nil || size < 0 {
		return 0, 0, ErrRange
	}
	return first, size, nil
}

// maxWait bounds what a server may ask for.
const maxWait = time.Hour

// RetryAfter reads the header of that name, seconds or a date: how long a server
// wants to be left alone, at most an hour; 0 where it does not say.
func RetryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if s, err := strconv.ParseInt(v, 10, 32); err == nil {
		return min(max(0, time.Duration(s)*time.Second), maxWait)
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return min(max(0, time.Until(at)), maxWait)
}
