package image

import (
	"maps"
	"slices"
	"time"
)

// Image is one image record. A nil pointer is the API's null and SQL's NULL.
type Image struct {
	ID              string
	Name            *string
	Status          Status
	Visibility      Visibility
	Owner           *string // project id
	Size            *int64  // bytes
	VirtualSize     *int64  // bytes of the disk inside, where the format says
	DiskFormat      *string
	ContainerFormat *string
	Checksum        *string // md5, hex
	HashAlgo        *string // of HashValue: sha512 or whatever a Glance was set to
	HashValue       *string // hex; a claim, unless Glimpse itself computed it
	MinDisk         int64   // GB
	MinRAM          int64   // MB
	Protected       bool
	Hidden          bool
	CreatedAt       time.Time // UTC, whole seconds
	UpdatedAt       time.Time // UTC, whole seconds; never compare it to detect a change
	DeletedAt       *time.Time

	Properties map[string]string // custom properties
	Tags       []string          // unique, in the order they were added
	Locations  []Location        // live ones, in the order they were added

	Version int64 // Glimpse's own count of its writes to the record; 0 where Glimpse never wrote
}

// Location is one place where an image's bytes lie.
type Location struct {
	ID       int64             // row id; 0 before it is stored
	URL      Secret            // may hold credentials
	Metadata map[string]string // {"store": id} and what else a Glance wrote
	Status   string            // active, pending, uploading, pending_delete, deleted
}

// Member is a project with which an image is shared.
type Member struct {
	ID        int64
	ImageID   string
	MemberID  string // the project's id
	CanShare  bool
	Status    MemberStatus
	CreatedAt time.Time
	UpdatedAt time.Time
}

// MemberStatus is what the other project said to the share. It only filters
// lists: a pending member can read and download by id.
type MemberStatus string

// The states of a share.
const (
	MemberPending  MemberStatus = "pending"
	MemberAccepted MemberStatus = "accepted"
	MemberRejected MemberStatus = "rejected"
)

// Clone returns a copy that shares nothing with m that could be written.
func (m Image) Clone() Image {
	m.Properties = maps.Clone(m.Properties)
	m.Tags = slices.Clone(m.Tags)
	m.Locations = slices.Clone(m.Locations)
	for i := range m.Locations {
		m.Locations[i].Metadata = maps.Clone(m.Locations[i].Metadata)
	}
	return m
}

// OwnedBy says whether project owns the image. No one owns an image without
// owner.
func (m Image) OwnedBy(project string) bool {
	return project != "" && m.Owner != nil && *m.Owner == project
}

// Secret is a string that must not reach logs, errors, metrics or peers. Every
// way of printing it gives "***"; Reveal alone gives the text.
type Secret string

// Reveal returns the text.
func (s Secret) Reveal() string { return string(s) }

// String hides the text.
func (s Secret) String() string { return "***" }

// GoString hides the text from %#v.
func (s Secret) GoString() string { return "***" }

// MarshalText hides the text from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }
