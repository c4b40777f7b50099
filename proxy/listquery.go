package proxy

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"glimpse/registry"
	"glimpse/registry/image"
)

// maxFilters bounds the conditions of one list.
const maxFilters = 100

var sortKeys = []string{"name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at"}

// parseQuery reads the parameters of a list. Who asks is left to the caller.
func parseQuery(values url.Values, limitDefault, limitMax int) (registry.Query, error) {
	q := registry.Query{Limit: min(limitDefault, limitMax)}
	if len(values) > maxFilters {
		return q, invalid("A list has at most %d conditions.", maxFilters)
	}
	for name, all := range values {
		for _, v := range all {
			if !utf8.ValidString(name) || !utf8.ValidString(v) {
				return q, invalid("The query is not UTF-8.")
			}
		}
		if err := parameter(&q, name, all, limitMax); err != nil {
			return q, err
		}
	}
	return q, parseSort(&q, values)
}

func invalid(format string, args ...any) error { return image.Errorf(image.Invalid, format, args...) }

// parameter reads one parameter; of one that is there twice the last counts, but
// for tags.
func parameter(q *registry.Query, name string, all []string, limitMax int) (err error) {
	v := all[len(all)-1]
	switch name {
	case "sort", "sort_key", "sort_dir", "deleted":
	case "limit":
		return parseLimit(q, v, limitMax)
	case "marker":
		q.Marker = v
	case "visibility":
		q.Visibility = v
		return word(name, v, "public", "private", "shared", "community", "all")
	case "member_status":
		q.MemberStatus = image.MemberStatus(v)
		return word(name, v, "pending", "accepted", "rejected", "all")
	case "owner":
		q.Owner = &v
	case "protected":
		q.Protected = new(bool)
		*q.Protected, err = truth(name, v)
	case "os_hidden":
		q.Hidden, err = truth(name, strings.ToLower(v)) // clients in Python write True
	case "tag":
		return parseTags(q, all)
	case "changes-since":
		return invalid("The filter changes-since is not known in this version of the API.")
	default:
		return filter(q, name, v)
	}
	return err
}

func parseLimit(q *registry.Query, v string, most int) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		return invalid("limit param must be an integer that is not negative")
	}
	q.Limit = min(n, most)
	return nil
}

func word(name, v string, of ...string) error {
	if !slices.Contains(of, v) {
		return invalid("Invalid value for %s: it is not one of %s.", name, strings.Join(of, ", "))
	}
	return nil
}

func truth(name, v string) (bool, error) {
	return v == "true", word(name, v, "true", "false")
}

func parseTags(q *registry.Query, all []string) error {
	for _, t := range all {
		if utf8.RuneCountInString(t) > 255 {
			return invalid("A tag has at most 255 characters.")
		}
	}
	q.Tags = all
	return nil
}

// filter reads a condition on a field, or on the custom property of that name.
func filter(q *registry.Query, name, v string) error {
	switch name {
	case "name", "id", "status", "container_format", "disk_format":
		values, err := oneOf(v)
		if err != nil {
			return err
		}
		q.Equals = append(q.Equals, registry.Equal{Field: name, Values: values})
		return nil
	case "checksum", "os_hash_value", "os_hash_algo":
		q.Equals = append(q.Equals, registry.Equal{Field: name, Values: []string{v}})
		return nil
	case "created_at", "updated_at":
		return timeFilter(q, name, v)
	case "size", "min_disk", "min_ram":
		n, err := integer(name, v)
		q.Ranges = append(q.Ranges, registry.Range{Field: name, Min: &n, Max: &n})
		return err
	}
	for _, field := range []string{"size", "min_disk", "min_ram"} {
		switch name {
		case field + "_min":
			n, err := integer(name, v)
			q.Ranges = append(q.Ranges, registry.Range{Field: field, Min: &n})
			return err
		case field + "_max":
			n, err := integer(name, v)
			q.Ranges = append(q.Ranges, registry.Range{Field: field, Max: &n})
			return err
		}
	}
	q.Equals = append(q.Equals, registry.Equal{Field: name, Property: true, Values: []string{v}})
	return nil
}

func integer(name, v string) (int64, error) {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return 0, invalid("Invalid value for %s: it is not an integer.", name)
	}
	return n, nil
}

// oneOf reads a value, or in:a,b,"c,d".
func oneOf(v string) ([]string, error) {
	op, rest, ok := strings.Cut(v, ":")
	switch {
	case !ok:
		return []string{v}, nil
	case op == "in":
		return quotedList(rest)
	case op == "eq":
		return []string{rest}, nil
	}
	return nil, invalid("Unable to filter by unknown operator '%s'.", clip(op))
}

// quotedList splits at commas outside quotes.
func quotedList(s string) (values []string, err error) {
	var cur strings.Builder
	quoted := false
	for _, c := range s {
		switch {
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			values = append(values, cur.String())
			cur.Reset()
		default:
			cur.WriteRune(c)
		}
	}
	if quoted {
		return nil, invalid("Invalid filter value: a quote is not closed.")
	}
	if values = append(values, cur.String()); len(values) > maxFilters {
		return nil, invalid("A filter has at most %d values.", maxFilters)
	}
	return values, nil
}

func timeFilter(q *registry.Query, name, v string) error {
	f := registry.TimeFilter{Field: name, Op: "eq"}
	at, err := isoTime(v)
	if err != nil {
		op, rest, ok := strings.Cut(v, ":")
		if !ok || !slices.Contains([]string{"gt", "gte", "eq", "neq", "lt", "lte"}, op) {
			return invalid("Invalid value for %s: want an operator (gt, gte, eq, neq, lt, lte), a colon, and a time as in ISO 8601.", name)
		}
		f.Op = op
		if at, err = isoTime(rest); err != nil {
			return invalid("Invalid value for %s: the time is not one of ISO 8601.", name)
		}
	}
	f.At = at.UTC()
	q.Times = append(q.Times, f)
	return nil
}

// isoTime reads the usual forms; one without a zone is in UTC.
func isoTime(s string) (at time.Time, err error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04:05-0700", "2006-01-02T15:04", "2006-01-02", "20060102T150405Z"} {
		if at, err = time.Parse(layout, s); err == nil {
			return at, nil
		}
	}
	return at, err
}

// parseSort reads sort=key:dir,... or sort_key and sort_dir.
func parseSort(q *registry.Query, values url.Values) error {
	keys, dirs := values["sort_key"], values["sort_dir"]
	if sorts, ok := values["sort"]; ok {
		if len(keys)+len(dirs) > 0 {
			return invalid("Old and new sorting syntax cannot be combined")
		}
		for _, item := range strings.Split(sorts[len(sorts)-1], ",") {
			key, dir, _ := strings.Cut(strings.TrimSpace(item), ":")
			if err := addSort(q, key, dir); err != nil {
				return err
			}
		}
		return nil
	}
	if len(keys) == 0 && len(dirs) > 0 {
		keys = []string{"created_at"}
	}
	if len(dirs) > 1 && len(dirs) != len(keys) {
		return invalid("Number of sort dirs does not match the number of sort keys")
	}
	for i, key := range keys {
		dir := ""
		switch len(dirs) {
		case 0:
		case 1:
			dir = dirs[0]
		default:
			dir = dirs[i]
		}
		if err := addSort(q, key, dir); err != nil {
			return err
		}
	}
	return nil
}

func addSort(q *registry.Query, key, dir string) error {
	if !slices.Contains(sortKeys, key) {
		return invalid("Invalid sort key: %s. It must be one of: %s.", clip(key), strings.Join(sortKeys, ", "))
	}
	if len(q.Sort) >= len(sortKeys) {
		return invalid("A list is sorted by at most %d keys.", len(sortKeys))
	}
	if dir == "" {
		dir = "desc"
	}
	q.Sort = append(q.Sort, registry.Sort{Key: key, Desc: dir == "desc"})
	return word("sort direction", dir, "asc", "desc")
}
