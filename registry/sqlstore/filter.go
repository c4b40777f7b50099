package sqlstore

import (
	"strconv"

	"glimpse/registry"
	"glimpse/registry/image"
)

var operators = map[string]string{"gt": ">", "gte": ">=", "eq": "=", "neq": "<>", "lt": "<", "lte": "<="}

// filters are the conditions that every branch has beside its own. Field names
// were checked against the known ones and are safe to be put into SQL.
//
// COALESCE keeps MariaDB from intersecting the index of os_hidden with others
// instead of walking the one that has the order (200,000 images: 500 ms a page,
// 1 ms without).
func (db *DB) filters(q registry.Query) (conditions, error) {
	var c conditions
	c.add("COALESCE(i.os_hidden, 0) = ? AND i.status <> 'killed'", q.Hidden)
	if q.Owner != nil {
		c = append(c, is("i.owner", *q.Owner))
	}
	if q.Protected != nil {
		c.add("i.protected = ?", *q.Protected)
	}
	for _, e := range q.Equals {
		one, err := equals(e)
		if err != nil {
			return nil, err
		}
		c = append(c, one)
	}
	for _, r := range q.Ranges {
		if r.Min != nil {
			c.add("i."+r.Field+" >= ?", *r.Min)
		}
		if r.Max != nil {
			c.add("i."+r.Field+" <= ?", *r.Max)
		}
	}
	for _, t := range q.Times {
		c.add("i."+t.Field+" "+operators[t.Op]+" ?", db.d.timeText(t.At))
	}
	for _, tag := range q.Tags {
		value := is("t.value", tag)
		c.add("EXISTS (SELECT 1 FROM image_tags t WHERE t.image_id = i.id AND t.deleted = 0 AND "+value.sql+")", value.args...)
	}
	return c, nil
}

// is holds where the column has one of the values. MySQL refuses to compare its
// columns with characters that they can't hold, so such values are left out.
func is(column string, values ...string) clause {
	var args []any
	for _, v := range values {
		if registry.Text(column, v, len(v)) == nil {
			args = append(args, v)
		}
	}
	if len(args) == 0 {
		return clause{sql: "1 = 0"}
	}
	return clause{column + " IN (" + marks(len(args)) + ")", args}
}

func equals(e registry.Equal) (clause, error) {
	if e.Property {
		name, value := is("p.name", e.Field), is("p.value", e.Values...)
		return clause{
			"EXISTS (SELECT 1 FROM image_properties p WHERE p.image_id = i.id AND p.deleted = 0 AND " + name.sql + " AND " + value.sql + ")",
			append(name.args, value.args...),
		}, nil
	}
	switch e.Field {
	case "size", "min_disk", "min_ram":
		return numbers(e)
	}
	return is("i."+e.Field, e.Values...), nil
}

func numbers(e registry.Equal) (clause, error) {
	c := clause{sql: "1 = 0"}
	for _, v := range e.Values {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return clause{}, image.Errorf(image.Invalid, "Unable to filter %s by the non-numeric value %q.", e.Field, v)
		}
		c.args = append(c.args, n)
	}
	if len(c.args) > 0 {
		c.sql = "i." + e.Field + " IN (" + marks(len(c.args)) + ")"
	}
	return c, nil
}
