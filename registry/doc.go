// Package registry is what is known about images: the interfaces to it, the
// cached record with its lease, and the reaper that guards it.
//
// What holds: SQL is the truth. A write is acknowledged when it is committed; a
// read through Leases is at most one lease old, and a write through the same
// Leases is seen at once. What may be lost: nothing that was acknowledged.
//
// One lock, that of Leases; the database is never asked under it. Reads run on
// their own bounded context, shared by all who ask the same, and Close waits for
// them. While the database is away records are served beyond their lease, for the
// grace at most, and OnStale is told.
package registry
