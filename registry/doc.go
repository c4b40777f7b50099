// Package registry is what is known about images: the interfaces to it, the
// cached record with its lease, and the reaper that guards it.
//
// What holds: SQL is the truth. A write is acknowledged when it is committed; a
// read through Leases is at most one lease old, and a write through the same
// Leases is seen at once. What may be lost: nothing that was acknowledged.
package registry
