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
// its next two candidates, and who asked it lately for the same extent (at the
// address that came with the ask, where this node does not know it) for what they
// have; of an object that was hashed meanwhile, then who owned the extent under
// its former name. Of two nodes that look around at once for the same extent the one
// with the smaller id goes on, and the other one follows it: nobody goes outward who
// was asked since he looked around last. So a change of the ring that some nodes have
// heard of and others have not costs no second copy. Home also asks the
// node through which the image was uploaded, as the registry knows; that one is
// waited for a second, and while it has something of the image the origin is read
// chunk by chunk, so that what it could not keep is all that is read.
//
// Who has not answered three looks in a row is left out of those of the next five
// seconds; as an owner it is asked all the same.
//
// Of an owner that is late with its first byte (later than 95 of its last hundred,
// and than 20 ms) the nodes that may have the same are asked as well, for a bounded
// share of all asks; of one that stalls for 50 ms in the middle of an answer always,
// up to 32 of those at once. Over a WAN both times are longer, and only nodes of the
// asker's zone are asked besides (Config).
// Whoever gives the next piece first is taken, the other one is left. That moves no
// fill: others are asked for what they have, on the level of the owner, and when
// whoever stood in has no more the owner is asked again. Another owner is asked to
// fill only where the first is away.
//
// A node that is not an owner keeps copies of what is hot on disk (Hot): it has
// itself seen two responses within ten seconds, or the owner says with its answer
// that two nodes ask. What was uploaded is told of by a rumour, and home owners
// fetch what they own of it in the background (Fresh).
//
// While an owner is warming, since it has joined, those who had its extents before
// are asked first: the owner under the previous ring, and the first candidate that
// is not warming. They are among those who are looked around for, too.
//
// Of a chunk that has a wrong digest the nodes that gave it are told; they look at
// their own copies and put aside what is bad. It is then asked for anew: of the next
// candidates, of homes, and of those nodes last. A node's word about another's copy
// does nothing more than that look.
//
// What holds: a stream gives every byte once and in order, or ends with an error;
// when a node behind it goes away, the next one goes on at the byte where it stood.
// An origin is read by the home level alone, and on a node that is no home
// candidate only where all candidates say that they can't find it, or are away,
// never in an edge zone or by a client.
//
// What may be lost: the memory of who asked lately, of what is hot and of who
// uploaded what is bounded, and short; without it an extent may come out of an
// origin twice while nodes disagree. So it may where they disagree about more than
// one change, and two owners by different rings look at neither the other one nor
// are looked at by it; and where who is asked is silent for longer than a look around
// takes. Rumours.
//
// Locks: race.mu, then pace.mu; Router.mu and heat.mu are innermost. None is held
// across a call out of the package.
package source
