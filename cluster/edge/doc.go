// Package edge joins zones to the cluster that nobody reaches from outside.
//
// An edge zone gossips within itself alone. Each of its nodes dials the peer ports
// of two nodes of zones that are not edge, and keeps a link to each: a connection
// on which these open streams back to it (yamux). On such a stream the edge node is
// the server of the peer plane, and whoever asks shakes hands with it by TLS as on
// any connection: who holds the link passes bytes on, and need not be trusted with
// them. A third node goes by way of one that holds a link (package wire, Via).
//
//	edge node ── link (TLS) ──► H1 ◄── via ── H3      H3 asks the edge node: TLS from
//	          ── link (TLS) ──► H2                    end to end, inside of both
//
// Over ordinary connections it tells those two every two seconds what it is and
// where its links are, and hears what nodes there are; the zones that gossip with
// each other pass on what they know of edge nodes among themselves, at once what is
// new and all of it every three seconds.
//
// What holds: an edge node sees the nodes of the other zones within some 2 s of
// their gossip, and they see it as soon as it has a link. A link that fails is made
// anew, to another node where that one is gone, within seconds of there being a
// way. While all ways are cut both sides go on: the edge zone with the last list it
// had, the others without the edge nodes, after 45 s.
//
// An edge node speaks for itself alone; what others say of it counts by the number
// that it gave its word. A list that makes no sense is counted and not taken. Nodes
// from before links refuse them: of a cluster that is brought to this version the
// other zones come first, and then the edge.
//
// What may be lost: any stream, at any byte; news, until the next exchange.
//
// Locks: Far.mu, innermost, and held over no I/O.
package edge
