// Package serve is the listener of the peer plane: it answers what other nodes ask
// for out of a Local, which is this node's cache and what lies behind it.
//
// It is net/http, and not fasthttp as the API is: here a request's context must end
// when the asker leaves (fasthttp's never does, and a peer's fills would run on for
// nobody), each listener is TLS, where fasthttp's kernel copies are lost anyway, and
// the byte plane does not know of fasthttp.
//
// What holds:
//
//   - A listener without certificates is on loopback, or there is none. With them
//     each request is from a node of this cluster (package ca), and an ask that
//     claims to be from another node than its certificate names is refused.
//   - Connections, asks and headers are bounded. Who comes in over a bound is turned
//     away at once with 503; an asker takes that for "wait", never for "gone".
//   - The bounds are by level: asks of zones can't take the places of asks of homes,
//     nor those of hedges and record drops; a stat, which may wait for an origin, has
//     places of its own, too. An ask of a level waits for the next
//     level only (zone for home, home for the origin), so askers that fill each
//     other's places can't wait in a circle.
//   - While a stream has nothing a waiting frame goes out every Beat, also before it
//     is opened: an asker can tell a node that waits from one that is gone.
//   - Write deadlines roll: an asker that takes bytes lives, one that takes none for
//     half a minute is cut.
//   - An answer ends with an end or an error frame, or is cut. A Local's pieces are
//     passed on as they are; the asker checks them.
//   - Pieces go out packed (package wire) only to who asked for that.
//   - A connection may become a link or a way (package edge): it has a place of its
//     own kind, and Shutdown closes it. What comes in over a link is served as on any
//     connection, by the same checks.
//   - An asker that hangs up ends the context of its stream. A handler returns only
//     when its Local has.
//
// What may be lost: an answer, at any byte; the asker asks another node. Shutdown
// lets answers end for as long as its context lives and then cuts them.
//
// Locks: none of its own.
package serve
