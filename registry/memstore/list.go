package memstore

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"glimpse/registry"
	"glimpse/registry/image"
)

// List returns one page.
func (s *Store) List(ctx context.Context, q registry.Query) ([]image.Image, error) {
	if err := ended(ctx); err != nil {
		return nil, err
	}
	if err := q.Check(); err != nil {
		return nil, err
	}
	if err := numeric(q.Equals); err != nil {
		return nil, err
	}
	page := []image.Image{}
	if q.Limit <= 0 {
		return page, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := q.Keys()
	var marker *row
	if q.Marker != "" {
		if marker = s.images[q.Marker]; marker == nil || marker.DeletedAt != nil || !marker.visibleTo(q) {
			return nil, image.Errorf(image.Invalid, "Invalid marker. Image %s could not be found.", q.Marker)
		}
	}
	for _, r := range s.images {
		if r.DeletedAt == nil && r.listedTo(q) && r.matches(q) && (marker == nil || compare(keys, marker.Image, r.Image) < 0) {
			page = append(page, r.Clone())
		}
	}
	slices.SortFunc(page, func(a, b image.Image) int { return compare(keys, a, b) })
	return page[:min(q.Limit, len(page))], nil
}

func (r *row) visibleTo(q registry.Query) bool {
	m := r.member(q.Project)
	return r.VisibleTo(q.Project, q.Admin, m != nil && !m.deleted)
}

// listedTo holds where a rule of visibility shows the image in a list.
func (r *row) listedTo(q registry.Query) bool {
	if q.Visibility != "" && q.Visibility != "all" && q.Visibility != string(r.Visibility) {
		return false
	}
	switch {
	case r.OwnedBy(q.Project):
		return true
	case r.Visibility == image.Community:
		return q.Visibility != ""
	case q.Admin, r.Visibility == image.Public:
		return true
	}
	return r.Visibility == image.Shared && r.sharedWith(q)
}

func (r *row) sharedWith(q registry.Query) bool {
	m := r.member(q.Project)
	if m == nil || m.deleted || q.Project == "" {
		return false
	}
	return q.MemberStatus == "all" || m.Status == cmp.Or(q.MemberStatus, image.MemberAccepted)
}

func (r *row) matches(q registry.Query) bool {
	if r.Hidden != q.Hidden || r.Status == image.Killed ||
		q.Owner != nil && !is(r.Owner, q.Owner) || q.Protected != nil && r.Protected != *q.Protected {
		return false
	}
	for _, tag := range q.Tags {
		if !slices.Contains(r.Tags, tag) {
			return false
		}
	}
	return !slices.ContainsFunc(q.Equals, func(e registry.Equal) bool { return !r.equals(e) }) &&
		!slices.ContainsFunc(q.Ranges, func(g registry.Range) bool { return !r.within(g) }) &&
		!slices.ContainsFunc(q.Times, func(t registry.TimeFilter) bool { return !r.at(t) })
}

func (r *row) equals(e registry.Equal) bool {
	if e.Property {
		v, ok := r.Properties[e.Field]
		return ok && slices.Contains(e.Values, v)
	}
	if n, ok := number(r.Image, e.Field); ok {
		return n != nil && slices.ContainsFunc(e.Values, func(v string) bool {
			want, err := strconv.ParseInt(v, 10, 64)
			return err == nil && want == *n
		})
	}
	v := text(r.Image, e.Field)
	return v != nil && slices.Contains(e.Values, *v)
}

func numeric(all []registry.Equal) error {
	for _, e := range all {
		if _, ok := number(image.Image{}, e.Field); !ok || e.Property {
			continue
		}
		for _, v := range e.Values {
			if _, err := strconv.ParseInt(v, 10, 64); err != nil {
				return image.Errorf(image.Invalid, "Unable to filter %s by the non-numeric value %q.", e.Field, v)
			}
		}
	}
	return nil
}

func (r *row) within(g registry.Range) bool {
	n, _ := number(r.Image, g.Field)
	return n != nil && (g.Min == nil || *n >= *g.Min) && (g.Max == nil || *n <= *g.Max)
}

func (r *row) at(t registry.TimeFilter) bool {
	c := moment(r.Image, t.Field).Compare(t.At.UTC().Truncate(time.Second))
	switch t.Op {
	case "gt":
		return c > 0
	case "gte":
		return c >= 0
	case "eq":
		return c == 0
	case "neq":
		return c != 0
	case "lt":
		return c < 0
	}
	return c <= 0
}

// compare is negative where a comes before b.
func compare(keys []registry.Sort, a, b image.Image) int {
	for _, key := range keys {
		c := compareKey(key.Key, a, b)
		if key.Desc {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

func compareKey(key string, a, b image.Image) int {
	switch key {
	case "created_at", "updated_at":
		return moment(a, key).Compare(moment(b, key))
	case "size":
		return nilFirst(a.Size, b.Size)
	}
	return nilFirst(text(a, key), text(b, key))
}

func nilFirst[T cmp.Ordered](a, b *T) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return cmp.Compare(*a, *b)
}

func moment(m image.Image, field string) time.Time {
	if field == "created_at" {
		return m.CreatedAt
	}
	return m.UpdatedAt
}

// number returns a numeric field; ok=false where the field is a text.
func number(m image.Image, field string) (n *int64, ok bool) {
	switch field {
	case "size":
		return m.Size, true
	case "min_disk":
		return &m.MinDisk, true
	case "min_ram":
		return &m.MinRAM, true
	}
	return nil, false
}

func text(m image.Image, field string) *string {
	switch field {
	case "id":
		return &m.ID
	case "name":
		return m.Name
	case "status":
		s := string(m.Status)
		return &s
	case "container_format":
		return m.ContainerFormat
	case "disk_format":
		return m.DiskFormat
	case "checksum":
		return m.Checksum
	case "os_hash_value":
		return m.HashValue
	}
	return m.HashAlgo
}
