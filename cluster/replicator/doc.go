// Package replicator moves extents to the nodes that own them since the ring has
// changed: to a node that joins, from one that drains, and to whoever inherits
// from a dead one where somebody else still holds them.
//
// Bytes are always fetched by their new owner, over the peer plane, only if they
// are resident there, one chunk at a time at a bounded rate:
//
//	new owner                                   holder
//	  Pass   ── list: what have you of mine? ──►  Holdings   pages, by the holder's own ring
//	         ── open, only if resident ────────►  package source
//	  Take   ◄── take: fetch what is yours ─────  HandOver   a draining node, until all have it
//
// A node that joins is warming: it owns its extents already, while readers ask
// those who had them first (package source). Warm ends that when a pass has left
// nothing behind, or after ten minutes.
//
// What holds:
//
//   - No byte is read from an origin: what its holder has evicted meanwhile is not
//     moved.
//   - A node takes only what it owns by its own ring, and a pass counts as complete
//     only when no holder disagreed, none was away, and the ring is still the same.
//   - What is here already does not move again. A chunk that is moved is a fill as
//     any other: readers join it, and its digest is checked (Level.Pull).
//   - Who owns an extent in a zone gets it from nodes of that zone; only a home owner
//     asks other zones, and after its own.
//   - What nobody asks for any more by its name, a private one, stays where it is.
//   - The former owner forgets nothing: what it does not own any more leaves its cache
//     as whatever is not wanted does.
//   - A node of an earlier version that does not know the questions has nothing to
//     hand over, and takes nothing: its extents are asked for when they are read.
//
// What may be lost: any extent, which is then asked for when it is read. Where the
// cache of the new owner is full, its policy decides what stays.
//
// Lock: Replicator.mu, held over no call out of the package.
package replicator
