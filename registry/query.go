package registry

import (
	"time"

	"glimpse/registry/image"
)

// Query asks for one page of a list. The zero value of a filter is no filter.
type Query struct {
	// Project sees its own images, public ones, and those shared with it whose
	// membership has MemberStatus. Admin sees all, but others' community images
	// only as Visibility asks.
	Project string
	Admin   bool

	Visibility   string             // "", "all", or one visibility
	MemberStatus image.MemberStatus // "" means accepted; "all" is allowed
	Hidden       bool               // list the hidden ones instead of the others
	Owner        *string
	Equals       []Equal      // fields and custom properties, all must hold
	Ranges       []Range      // size_min and the like
	Times        []TimeFilter // created_at and updated_at
	Tags         []string     // all of them
	Protected    *bool

	Sort   []Sort // empty: created_at descending; the id is always appended as the last key
	Marker string // id of the last image seen; Invalid where it is not there for the caller to see
	Limit  int    // 0: an empty page
}

// Equal holds where a field has one of the values. Field is one of name, id,
// status, container_format, disk_format, checksum, os_hash_value, os_hash_algo,
// size, min_disk, min_ram; or, with Property set, the name of a custom property.
type Equal struct {
	Field    string
	Property bool
	Values   []string
}

// Range bounds size, min_disk or min_ram, both ends inclusive.
type Range struct {
	Field    string
	Min, Max *int64
}

// TimeFilter compares created_at or updated_at. Op is gt, gte, eq, neq, lt or lte.
type TimeFilter struct {
	Field string
	Op    string
	At    time.Time
}

// Sort is one key: name, status, container_format, disk_format, size, id,
// created_at or updated_at. NULL sorts before every value, as in MySQL and
// SQLite.
type Sort struct {
	Key  string
	Desc bool
}
