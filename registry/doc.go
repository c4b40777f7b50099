// Package registry is what is known about images: the interfaces to it, the
// cached record with its lease, the node table, and the reaper that guards it.
//
// What holds: SQL is the truth. A write is acknowledged when it is committed; a
// read through Leases is at most one lease old, and a write through the same
// Leases is seen at once. In a cluster it is seen at once on every node: see
// Cluster for how, and Heart for what makes a node known to those who write. What
// may be lost: nothing that was acknowledged.
//
// One lock each, that of Leases and that of Heart, never both; the database and
// other nodes are never asked under one. Reads run on
// their own bounded context, shared by all who ask the same, and Close waits for
// them. While the database is away records are served beyond their lease, for the
// grace at most, and OnStale is told.
package registry
