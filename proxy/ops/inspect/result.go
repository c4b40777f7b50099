package inspect

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Result is what an Inspector found.
type Result struct {
	// Format is raw, qcow2, qed, vmdk, vhd, vhdx, vdi, luks, iso or gpt (a disk
	// with a partition table, of the older kind too). Where several match it
	// names them all, joined by plus signs.
	Format string
	// VirtualSize is the size of the disk inside in bytes, -1 where it's unknown.
	VirtualSize int64
	// Problems are the safety checks that failed, each "check: reason". They are
	// fixed texts: nothing out of the file is quoted.
	Problems []string
	// Ambiguous: the bytes are of several formats at once.
	Ambiguous bool
}

// Check returns nil if the bytes fit the declared disk_format and are safe as
// such. What is declared raw, or to be of a format that has no marks of its own
// (ami, ari, aki, ploop), may be anything that is not ambiguous: it is used
// byte by byte and never interpreted. A partition table is no format of its own
// but part of raw unless allowGPT.
func (r Result) Check(declared string, allowGPT bool) error {
	found := r.Format
	if found == "gpt" && !allowGPT {
		found = "raw"
	}
	switch {
	case r.Ambiguous:
		return fmt.Errorf("the content matches more than one format: %s", found)
	case opaque(declared):
		return nil
	case found != declared:
		return fmt.Errorf("declared as %q, but the content is %s", declared, found)
	case len(r.Problems) > 0:
		return fmt.Errorf("the content failed safety checks of %s: %s", found, strings.Join(r.Problems, "; "))
	}
	return nil
}

// Warning returns what an operator should know of bytes that Check lets pass:
// they are declared raw and look like more than that. It's empty otherwise.
func (r Result) Warning(declared string) string {
	if !opaque(declared) || r.Format == "raw" || r.Format == "gpt" {
		return ""
	}
	w := fmt.Sprintf("declared as %q, but the content looks like %s", declared, r.Format)
	if len(r.Problems) > 0 {
		w += " with failed safety checks: " + strings.Join(r.Problems, "; ")
	}
	return w
}

// opaque reports whether nothing in the bytes says that they are of the format.
func opaque(format string) bool {
	return !slices.Contains([]string{"qcow2", "qed", "vmdk", "vhd", "vhdx", "vdi", "luks", "iso", "gpt"}, format)
}

// size turns count units of bytes into a VirtualSize.
func size(count, unit uint64) int64 {
	if unit == 0 || count > math.MaxInt64/unit {
		return -1
	}
	return int64(count * unit)
}
