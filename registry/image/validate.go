package image

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// Longest texts, in characters.
const (
	maxName    = 255
	maxTag     = 255
	maxOwner   = 255
	maxPropKey = 255
)

// Validate checks a record as a whole before it is stored for a user: words that
// are allowed, ranges, lengths. Its errors are Invalid.
func Validate(m Image, l Limits) error {
	switch m.Visibility {
	case Private, Public, Shared, Community:
	default:
		return Errorf(Invalid, "Invalid value for visibility: it is not one of community, public, private, shared.")
	}
	if err := oneOf("disk_format", m.DiskFormat, l.DiskFormats); err != nil {
		return err
	}
	if err := oneOf("container_format", m.ContainerFormat, l.ContainerFormats); err != nil {
		return err
	}
	for name, n := range map[string]int64{"min_disk": m.MinDisk, "min_ram": m.MinRAM} {
		if n < 0 || n > math.MaxInt32 {
			return Errorf(Invalid, "'%s' value out of range: it must be between 0 and %d.", name, math.MaxInt32)
		}
	}
	if err := pairs(m); err != nil {
		return err
	}
	return texts(m)
}

func oneOf(name string, v *string, allowed []string) error {
	if v == nil || slices.Contains(allowed, *v) {
		return nil
	}
	return Errorf(Invalid, "Invalid value for %s: it is not one of %s.", name, strings.Join(allowed, ", "))
}

// pairs checks the Amazon formats, whose disk and container must be the same.
func pairs(m Image) error {
	if m.DiskFormat == nil || m.ContainerFormat == nil {
		return nil
	}
	amazon := []string{"aki", "ari", "ami"}
	if slices.Contains(amazon, *m.ContainerFormat) && *m.ContainerFormat != *m.DiskFormat {
		return Errorf(Invalid, "Invalid mix of disk and container formats. When setting a disk or container format to one of 'aki', 'ari', or 'ami', "+
			"the container and disk formats must match.")
	}
	return nil
}

func texts(m Image) error {
	if err := optional("name", m.Name, maxName); err != nil {
		return err
	}
	if err := optional("owner", m.Owner, maxOwner); err != nil {
		return err
	}
	for _, t := range m.Tags {
		if err := within("tag", t, maxTag); err != nil {
			return err
		}
	}
	for k, v := range m.Properties {
		if k == "" {
			return Errorf(Invalid, "A property must have a name.")
		}
		if err := within("property name", k, maxPropKey); err != nil {
			return err
		}
		if err := within("property value", v, math.MaxUint16); err != nil {
			return err
		}
	}
	return nil
}

func optional(name string, v *string, most int) error {
	if v == nil {
		return nil
	}
	return within(name, *v, most)
}

func within(name, s string, most int) error {
	switch {
	case utf8.RuneCountInString(s) > most:
		return Errorf(Invalid, "The %s is longer than %d characters.", name, most)
	case strings.ContainsFunc(s, func(r rune) bool { return r > 0xFFFF || r == 0 }):
		return Errorf(Invalid, "The %s holds a character that can't be stored: NUL, or one of 4 bytes in UTF-8.", name)
	}
	return nil
}
