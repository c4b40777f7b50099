package registry

import (
	"slices"

	"glimpse/registry/image"
)

// Keys returns the full order of the list: the asked keys, then created_at and
// id where they aren't among them, so that the order is total. As in Glance the
// added ones run with a single asked key, else descending.
func (q Query) Keys() []Sort {
	keys := slices.Clone(q.Sort)
	desc := len(keys) != 1 || keys[0].Desc
	for _, key := range []string{"created_at", "id"} {
		if !slices.ContainsFunc(keys, func(s Sort) bool { return s.Key == key }) {
			keys = append(keys, Sort{Key: key, Desc: desc})
		}
	}
	return keys
}

// Check refuses a field, operator or key that a list doesn't know; the error is
// Invalid.
func (q Query) Check() error {
	for _, e := range q.Equals {
		if !e.Property && !slices.Contains([]string{
			"name", "id", "status", "container_format", "disk_format", "checksum",
			"os_hash_value", "os_hash_algo", "size", "min_disk", "min_ram",
		}, e.Field) {
			return image.Errorf(image.Invalid, "Unable to filter on %q.", e.Field)
		}
	}
	for _, r := range q.Ranges {
		if !slices.Contains([]string{"size", "min_disk", "min_ram"}, r.Field) {
			return image.Errorf(image.Invalid, "Unable to filter on a range of %q.", r.Field)
		}
	}
	for _, t := range q.Times {
		if t.Field != "created_at" && t.Field != "updated_at" {
			return image.Errorf(image.Invalid, "Unable to filter on a time of %q.", t.Field)
		}
		if !slices.Contains([]string{"gt", "gte", "eq", "neq", "lt", "lte"}, t.Op) {
			return image.Errorf(image.Invalid, "Unable to filter by unknown operator %q.", t.Op)
		}
	}
	for _, s := range q.Sort {
		if !slices.Contains([]string{
			"name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at",
		}, s.Key) {
			return image.Errorf(image.Invalid, "Invalid sort key: %s.", s.Key)
		}
	}
	return nil
}
