package sim

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// ReadLog reads an access log: a line for each read, "TIME IMAGE OFFSET LENGTH
// SIZE", in bytes, in the order of time; what TIME looks like does not matter.
// Chunks are of unit bytes. Empty lines and those that begin with # are left out.
//
// Such a log is made of Glimpse's or of a proxy's with awk, for example.
func ReadLog(name string, r io.Reader, unit int64) (Trace, error) {
	t := Trace{Name: name, Sizes: map[int]int{}}
	images := map[string]int{}
	s := bufio.NewScanner(r)
	for n := 1; s.Scan(); n++ {
		line := strings.TrimSpace(s.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		var at, image string
		var off, length, size int64
		if _, err := fmt.Sscan(line, &at, &image, &off, &length, &size); err != nil {
			return t, fmt.Errorf("%s: line %d: %w", name, n, err)
		}
		if off < 0 || length <= 0 || off > size-length || unit <= 0 {
			return t, fmt.Errorf("%s: line %d: %d bytes at %d of %d", name, n, length, off, size)
		}
		id, ok := images[image]
		if !ok {
			id = len(images)
			images[image] = id
		}
		t.Sizes[id] = max(t.Sizes[id], int((size+unit-1)/unit))
		t.Requests = append(t.Requests, Request{id, int(off / unit), int((off+length-1)/unit) + 1})
	}
	return t, s.Err()
}
