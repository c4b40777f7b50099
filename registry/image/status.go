package image

import "slices"

// Status is where an image stands in its life.
type Status string

// The states.
const (
	Queued        Status = "queued"
	Saving        Status = "saving"
	Uploading     Status = "uploading"
	Importing     Status = "importing"
	Active        Status = "active"
	Deactivated   Status = "deactivated"
	Killed        Status = "killed"
	PendingDelete Status = "pending_delete"
	Deleted       Status = "deleted"
)

// transitions is Glance's status machine.
var transitions = map[Status][]Status{
	Queued:        {Saving, Uploading, Importing, Active, Deleted},
	Saving:        {Active, Killed, Deleted, Queued},
	Uploading:     {Importing, Queued, Deleted},
	Importing:     {Active, Deleted, Queued},
	Active:        {PendingDelete, Deleted, Deactivated},
	Killed:        {Deleted},
	PendingDelete: {Deleted, Active},
	Deactivated:   {Active, Deleted},
}

// CanBecome says whether the status machine has an edge from s to next.
func (s Status) CanBecome(next Status) bool { return slices.Contains(transitions[s], next) }

// SetStatus moves the image along the status machine. Going back to queued
// clears the sizes and the hashes, and becoming active needs both formats.
func (m *Image) SetStatus(next Status) error {
	if !m.Status.CanBecome(next) {
		return Errorf(Conflict, "Image status transition from %s to %s is not allowed", m.Status, next)
	}
	if next == Active && (m.DiskFormat == nil || m.ContainerFormat == nil) {
		return Errorf(Invalid, "Properties disk_format, container_format must be set prior to saving data.")
	}
	if next == Queued {
		m.Size, m.VirtualSize = nil, nil
		m.Checksum, m.HashAlgo, m.HashValue = nil, nil, nil
	}
	m.Status = next
	return nil
}

// Visibility is who may see an image besides its owner.
type Visibility string

// The visibilities.
const (
	Private   Visibility = "private"
	Public    Visibility = "public"
	Shared    Visibility = "shared"
	Community Visibility = "community"
)

// VisibleTo says whether the caller may know of the image. member says whether
// the image is shared with the caller's project; community images are listed
// only on request, yet visible to all.
func (m Image) VisibleTo(project string, admin, member bool) bool {
	switch {
	case admin, m.Owner == nil, m.OwnedBy(project), m.Visibility == Public, m.Visibility == Community:
		return true
	}
	return m.Visibility == Shared && member
}
