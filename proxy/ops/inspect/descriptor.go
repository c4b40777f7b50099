package inspect

import (
	"bytes"
	"strings"
)

// vmdkDescriptor is the text inside a VMDK, as far as it matters here.
type vmdkDescriptor struct {
	createType string // in small letters
	extents    int
}

// parseDescriptor reads the text in b, which is size bytes long and is captured
// with what follows it. The reason says why it's refused; "" is a sound one:
// every line is understood, and all data are in this very file.
func parseDescriptor(b []byte, size int) (d vmdkDescriptor, reason string) {
	end := bytes.IndexByte(b, 0)
	switch {
	case len(b) < size:
		return d, "it is cut short"
	case end < 0 && len(b) > size, end > size:
		return d, "it has no end"
	case end < 0:
		end = size // and of the file
	}
	if end < size && !isRemnant(b[:end], bytes.Trim(b[end:size], "\x00")) {
		return d, "something follows its end"
	}
	for _, c := range b[:end] {
		if c >= 0x80 {
			return d, "it is not plain text"
		}
	}
	text := strings.ToLower(string(b[:end]))
	if strings.Contains(text, "parentfilenamehint") { // readers look for it in comments too
		return d, "it names a parent"
	}
	for line := range strings.SplitSeq(text, "\n") {
		if reason := d.line(strings.TrimSpace(line)); reason != "" {
			return d, reason
		}
	}
	switch {
	case d.createType != "monolithicsparse" && d.createType != "streamoptimized":
		return d, "its createType is neither monolithicSparse nor streamOptimized"
	case d.extents != 1:
		return d, "it has not exactly one extent"
	}
	return d, ""
}

// isRemnant says whether what follows the text's end was left of a longer text of
// the same end: qemu-img writes the descriptor again with another content id, of up
// to eight hexadecimal digits, and that may be shorter.
func isRemnant(text, rest []byte) bool {
	return len(rest) < 8 && bytes.HasSuffix(text, rest)
}

// line reads one line and says why it's refused.
func (d *vmdkDescriptor) line(s string) string {
	if s == "" || s[0] == '#' || strings.HasPrefix(s, "ddb") {
		return ""
	}
	switch word, _, _ := strings.Cut(s, " "); word {
	case "rw", "rdonly", "noaccess":
		d.extents++
		return checkExtent(s)
	}
	key, value, ok := strings.Cut(s, "=")
	if !ok || strings.ContainsAny(strings.TrimSpace(key), " \t") {
		return "a line of it is not understood"
	}
	value = strings.Trim(strings.TrimSpace(value), `"`)
	switch strings.TrimSpace(key) {
	case "createtype":
		if d.createType != "" && d.createType != value {
			return "it has two createTypes"
		}
		d.createType = value
	case "parentcid":
		if value != "ffffffff" {
			return "it has a parent"
		}
	}
	return ""
}

// checkExtent takes: access, sectors, kind, "name". The name is that of the file
// itself and must be no more than a name.
func checkExtent(s string) string {
	if strings.ContainsAny(s, `/\`) {
		return "an extent names a path"
	}
	if f := strings.Fields(s); len(f) < 4 || f[2] != "sparse" {
		return "an extent is not part of the file"
	}
	return ""
}
