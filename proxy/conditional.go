package proxy

import "strings"

// unchanged says whether If-None-Match names the entity that there is: 304.
// Weak comparison, as RFC 9110 has it for this header.
func unchanged(ifNoneMatch, etag string) bool {
	return ifNoneMatch != "" && etag != "" && listed(ifNoneMatch, etag, true)
}

// mismatched says whether If-Match names only other entities: 412. Strong
// comparison; where no hash is known, nothing matches but "*".
func mismatched(ifMatch, etag string) bool {
	return ifMatch != "" && strings.TrimSpace(ifMatch) != "*" && (etag == "" || !listed(ifMatch, etag, false))
}

// rangeStands says whether If-Range lets the range be answered: it is absent, or
// the strong tag of the entity. A date can't be it, for images have no
// Last-Modified.
func rangeStands(ifRange, etag string) bool {
	return ifRange == "" || etag != "" && strings.TrimSpace(ifRange) == etag
}

func listed(header, etag string, weak bool) bool {
	for t := range strings.SplitSeq(header, ",") {
		t = strings.TrimSpace(t)
		if t == "*" || t == etag || weak && t == "W/"+etag {
			return true
		}
	}
	return false
}
