package inspect

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
)

const (
	vmdkAtEnd = math.MaxUint64 // the footer says where the grain directory is

	// minDescriptor is what readers take of a descriptor, whatever size the
	// header gives: they stop at a zero byte only.
	minDescriptor = 20 * sector
	// maxDescriptor is far above what is written: one extent and a handful of
	// settings.
	maxDescriptor = 128 << 10
)

// vmdkHeader is the part of the header that decides how the file is read. The
// footer of a file that was written as a stream has the same form, and counts in
// the header's place.
type vmdkHeader struct {
	version                           uint32
	capacity, grain, descAt, descSize uint64 // sectors
	tableEntries                      uint32
}

func parseVMDK(b []byte) (h vmdkHeader, directory uint64) {
	le := binary.LittleEndian
	return vmdkHeader{
		version: le.Uint32(b[4:]), capacity: le.Uint64(b[12:]), grain: le.Uint64(b[20:]),
		descAt: le.Uint64(b[28:]), descSize: le.Uint64(b[36:]), tableEntries: le.Uint32(b[44:]),
	}, le.Uint64(b[56:])
}

func isVMDK(b []byte) bool { return bytes.HasPrefix(b, []byte("KDMV")) }

func (i *Inspector) followVMDK() {
	if !isVMDK(i.head.data) {
		return
	}
	h, _ := parseVMDK(i.head.data)
	if h.descAt == 1 && h.descSize <= maxDescriptor/sector {
		// One byte more than the descriptor has, to see it end.
		i.descriptor = i.capture(i.head, sector, max(minDescriptor, int(h.descSize)*sector+1), nil)
	}
}

func (i *Inspector) vmdk() (Result, bool) {
	b := i.head.bytes()
	r := Result{Format: "vmdk", VirtualSize: -1}
	switch {
	case bytes.HasPrefix(b, []byte("COWD")):
		r.Problems = []string{"version: the format of old ESX hosts is not allowed"}
	case isVMDKText(b):
		r.Problems = []string{"descriptor: the data lie in other files"}
	case !isVMDK(b):
		return Result{}, false
	case len(b) < sector:
		r.Problems = []string{"header: it is cut short"}
	default:
		h, directory := parseVMDK(b)
		r.VirtualSize = size(h.capacity, sector)
		r.Problems = i.vmdkProblems(h, directory)
	}
	return r, true
}

func (i *Inspector) vmdkProblems(h vmdkHeader, directory uint64) (problems []string) {
	if h.version < 1 || h.version > 3 {
		problems = append(problems, "version: it is unknown")
	}
	if h.capacity == 0 {
		problems = append(problems, "header: the disk has no size") // readers would go by the descriptor alone
	}
	var d vmdkDescriptor
	reason := "it is not in its place or too large"
	if i.descriptor != nil {
		d, reason = parseDescriptor(i.descriptor.data, int(h.descSize)*sector)
	}
	if reason != "" {
		problems = append(problems, "descriptor: "+reason)
	}
	if directory == vmdkAtEnd {
		if reason := i.vmdkFooter(h, d); reason != "" {
			problems = append(problems, "footer: "+reason)
		}
	}
	return problems
}

// vmdkFooter compares the footer with the header, because a reader that can seek
// goes by the footer.
func (i *Inspector) vmdkFooter(h vmdkHeader, d vmdkDescriptor) string {
	b := i.tail.last(tailSize)
	if i.total < int64(sector+tailSize) || !isVMDK(b[sector:]) {
		return "there is none"
	}
	if d.createType != "" && d.createType != "streamoptimized" {
		return "only streamOptimized has one"
	}
	f, directory := parseVMDK(b[sector:])
	if f != h {
		return "it differs from the header"
	}
	if directory == vmdkAtEnd {
		return "it does not say where the grain directory is"
	}
	return ""
}

// isVMDKText finds a descriptor that stands alone and names the files with the
// data: after comments and empty lines comes its version.
func isVMDKText(head []byte) bool {
	if bytes.HasPrefix(bytes.ToLower(head), []byte("# disk descriptorfile")) {
		return true
	}
	for line := range strings.Lines(string(head)) {
		text := strings.TrimRight(line, "\r\n")
		if strings.Trim(text, " ") == "" || strings.HasPrefix(text, "#") {
			continue
		}
		return text != line && (text == "version=1" || text == "version=2" || text == "version=3")
	}
	return false
}
