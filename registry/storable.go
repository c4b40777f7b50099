package registry

import (
	"math"
	"strings"
	"unicode/utf8"

	"glimpse/registry/image"
)

// maxText is the most that a TEXT column of MySQL holds, in bytes.
const maxText = 65535

// Text says whether a column of max characters can hold s: Glance's tables are
// utf8mb3, which has no characters beyond U+FFFF, and NUL is cut or refused by
// one tool or another. The error is Invalid. All implementations ask here, so
// that they answer alike.
func Text(field, s string, max int) error {
	switch {
	case !utf8.ValidString(s):
		return image.Errorf(image.Invalid, "%s is not valid UTF-8.", field)
	case strings.ContainsFunc(s, func(r rune) bool { return r > 0xFFFF }):
		return image.Errorf(image.Invalid, "Param values can't contain 4 byte unicode.")
	case strings.ContainsRune(s, 0):
		return image.Errorf(image.Invalid, "%s can't contain NUL.", field)
	case max < maxText && utf8.RuneCountInString(s) > max, len(s) > maxText:
		return image.Errorf(image.Invalid, "%s is longer than %d characters.", field, max)
	}
	return nil
}

// Storable says whether Glance's tables can hold the record; the error is
// Invalid.
func Storable(m image.Image) error {
	if err := columns(m); err != nil {
		return err
	}
	for name, value := range m.Properties {
		if err := Text("Property name", name, 255); err != nil {
			return err
		}
		if err := Text("Property value", value, maxText); err != nil {
			return err
		}
	}
	for _, tag := range m.Tags {
		if err := Text("Tag", tag, 255); err != nil {
			return err
		}
	}
	return locations(m.Locations)
}

func columns(m image.Image) error {
	switch m.Visibility {
	case image.Private, image.Public, image.Shared, image.Community:
	default:
		return image.Errorf(image.Invalid, "Invalid visibility value.")
	}
	for name, n := range map[string]int64{"min_disk": m.MinDisk, "min_ram": m.MinRAM} {
		if n < 0 || n > math.MaxInt32 {
			return image.Errorf(image.Invalid, "'%s' value out of range, must not exceed %d.", name, math.MaxInt32)
		}
	}
	status := string(m.Status)
	for _, c := range []struct {
		field string
		value *string
		max   int
	}{
		{"id", &m.ID, 36},
		{"name", m.Name, 255},
		{"status", &status, 30},
		{"owner", m.Owner, 255},
		{"disk_format", m.DiskFormat, 20},
		{"container_format", m.ContainerFormat, 20},
		{"checksum", m.Checksum, 32},
		{"os_hash_algo", m.HashAlgo, 64},
		{"os_hash_value", m.HashValue, 128},
	} {
		if c.value == nil {
			continue
		}
		if err := Text(c.field, *c.value, c.max); err != nil {
			return err
		}
	}
	return nil
}

func locations(all []image.Location) error {
	for _, l := range all {
		if err := Text("Location", l.URL.Reveal(), maxText); err != nil {
			return err
		}
		for k, v := range l.Metadata {
			if err := Text("Location metadata", k+v, maxText); err != nil {
				return err
			}
		}
	}
	return nil
}

// Copyable says why an image can't be given another place. For implementations.
func Copyable(m image.Image) error {
	if m.Status != image.Active {
		return image.Errorf(image.Conflict, "Image %s is in status '%s', not active.", m.ID, m.Status)
	}
	return nil
}
