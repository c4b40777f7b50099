// Package source leads a fill from one level of the cache to the next across
// nodes: client, zone, home.
//
// A router knows who owns an extent. What this node owns at the next level is a
// call in the same process and one fill serves both levels (the Owns of
// cachestore.Outside); the rest comes from the owner by cluster.Peers. A node that
// is asked at a level answers from that level, whatever its own ring says, and a
// level causes only the next one: nodes that disagree about the ring can't wait in
// a circle.
//
// Before a level goes outward (zone to home, home to the origin) it looks around:
// it asks, in parallel and for at most 200 ms, the owner under the previous ring,
// its next two candidates, and who asked it lately for the same extent, for what
// they have. Of two nodes that look around at once for the same extent the one
// with the smaller id goes on, and the other one follows it.
//
// What holds: a stream gives every byte once and in order, or ends with an error;
// when a node behind it goes away, the next one goes on at the byte where it stood.
// An origin is read by the home level alone, and on a node that is no home
// candidate only where all candidates say that they can't find it, never in an
// edge zone or by a client.
//
// What may be lost: the memory of who asked lately is bounded and short; without
// it an extent may come out of an origin twice while nodes disagree.
//
// Locks: Router.mu is innermost, and held across nothing.
package source
