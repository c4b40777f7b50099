package proxy

import (
	"strconv"
	"strings"

	"glimpse/registry/image"
)

// span is a range of bytes: n of them from off.
type span struct{ off, n int64 }

var errRange = image.Errorf(image.BadRange, "The range is not satisfiable.")

// parseRange reads a Range header for a body of size bytes. What is malformed is
// not satisfiable here, as in Glance; several ranges are refused.
func parseRange(h string, size int64) (span, error) {
	spec, ok := strings.CutPrefix(h, "bytes=")
	if !ok || size == 0 {
		return span{}, errRange
	}
	if strings.Contains(spec, ",") {
		return span{}, image.Errorf(image.Invalid, "Requests with multiple ranges are not supported.")
	}
	first, last, ok := strings.Cut(strings.TrimSpace(spec), "-")
	if !ok {
		return span{}, errRange
	}
	if first == "" {
		n, ok := digits(last)
		if !ok {
			return span{}, errRange
		}
		if n == 0 || n > size { // Glance gives the whole image for both
			n = size
		}
		return span{size - n, n}, nil
	}
	a, ok := digits(first)
	if !ok || a >= size {
		return span{}, errRange
	}
	if last == "" {
		return span{a, size - a}, nil
	}
	b, ok := digits(last)
	if !ok || b < a {
		return span{}, errRange
	}
	return span{a, min(b, size-1) - a + 1}, nil
}

// parseContentRange reads a Content-Range header of a request, an old way to ask
// for a range: bytes 0-4/*.
func parseContentRange(h string, size int64) (span, error) {
	spec, ok := strings.CutPrefix(h, "bytes ")
	if !ok {
		return span{}, errRange
	}
	limits, total, ok := strings.Cut(spec, "/")
	if n, isNumber := digits(total); !ok || total != "*" && (!isNumber || n != size) {
		return span{}, errRange
	}
	if strings.HasPrefix(limits, "-") || strings.HasSuffix(limits, "-") {
		return span{}, errRange
	}
	return parseRange("bytes="+limits, size)
}

// digits reads a number of digits only.
func digits(s string) (int64, bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}
