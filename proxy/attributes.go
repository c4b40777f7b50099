package proxy

import (
	"encoding/json"
	"math"
	"slices"
	"strings"

	"glimpse/registry/image"
)

// What names of attributes mean to create and patch.
var (
	readOnly = []string{
		"status", "size", "checksum", "created_at", "updated_at", "virtual_size", "os_hash_algo", "os_hash_value",
		"direct_url", "self", "file", "schema", "stores",
	}
	reserved = []string{"location", "deleted", "deleted_at"}
	writable = []string{
		"name", "visibility", "protected", "os_hidden", "owner", "container_format", "disk_format", "min_disk", "min_ram", "tags",
	}
)

// closed refuses what no user may set.
func closed(name string) error {
	switch {
	case slices.Contains(readOnly, name):
		return image.Errorf(image.Forbidden, "Attribute '%s' is read-only.", name)
	case slices.Contains(reserved, name):
		return image.Errorf(image.Forbidden, "Attribute '%s' is reserved.", name)
	case strings.HasPrefix(name, "os_glance_"):
		return image.Errorf(image.Forbidden, "Attribute '%s' is reserved for the service itself.", clip(name))
	}
	return nil
}

// assign sets a writable attribute or a custom property to a JSON value.
func assign(m *image.Image, name string, v any) (err error) {
	switch name {
	case "name":
		m.Name, err = textOrNull(name, v)
	case "owner":
		m.Owner, err = textOrNull(name, v)
	case "container_format":
		m.ContainerFormat, err = textOrNull(name, v)
	case "disk_format":
		m.DiskFormat, err = textOrNull(name, v)
	case "visibility":
		var s string
		s, err = text(name, v)
		m.Visibility = image.Visibility(s)
	case "protected":
		m.Protected, err = boolean(name, v)
	case "os_hidden":
		m.Hidden, err = boolean(name, v)
	case "min_disk":
		m.MinDisk, err = count(name, v)
	case "min_ram":
		m.MinRAM, err = count(name, v)
	case "tags":
		m.Tags, err = words(v)
	default:
		return property(m, name, v)
	}
	return err
}

func property(m *image.Image, name string, v any) error {
	s, err := text(name, v)
	if err != nil {
		return err
	}
	if m.Properties == nil {
		m.Properties = map[string]string{}
	}
	m.Properties[name] = s
	return nil
}

func wrongType(name, want string) error {
	return image.Errorf(image.Invalid, "Invalid value for '%s': it is not %s.", clip(name), want)
}

func text(name string, v any) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", wrongType(name, "a string")
	}
	return s, nil
}

func textOrNull(name string, v any) (*string, error) {
	if v == nil {
		return nil, nil
	}
	s, err := text(name, v)
	return &s, err
}

func boolean(name string, v any) (bool, error) {
	b, ok := v.(bool)
	if !ok {
		return false, wrongType(name, "a boolean")
	}
	return b, nil
}

// count reads an integer, from either of the decoders.
func count(name string, v any) (int64, error) {
	var f float64
	switch n := v.(type) {
	case float64:
		f = n
	case json.Number:
		x, err := n.Float64()
		if err != nil {
			return 0, wrongType(name, "an integer")
		}
		f = x
	default:
		return 0, wrongType(name, "an integer")
	}
	if f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, wrongType(name, "an integer")
	}
	return int64(f), nil
}

// words reads tags; those that are there twice count once.
func words(v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, wrongType("tags", "an array")
	}
	tags := []string{}
	for _, item := range list {
		s, err := text("tags", item)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(tags, s) {
			tags = append(tags, s)
		}
	}
	return tags, nil
}

// quota refuses more than limit of something; negative is no limit.
func quota(what string, n, limit int) error {
	if limit >= 0 && n > limit {
		return image.Errorf(image.TooLarge, "The limit has been exceeded on the number of allowed image %s. Attempted: %d, Maximum: %d", what, n, limit)
	}
	return nil
}

// publish asks the rules that guard the wider visibilities.
func (r *request) publish(m image.Image) error {
	switch m.Visibility {
	case image.Public:
		return r.may("publicize_image", m)
	case image.Community:
		return r.may("communitize_image", m)
	}
	return nil
}
